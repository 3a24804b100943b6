"""What the pictures of the panel share: a search by the panel, and the views around its results."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from RPRLocalizationLib.scene.viewing import resultCorners

PANEL_PIXELS = 460
LONGEST_RUN_S = 400


def search(ui: Any, logic: Any, host: Any, query: str) -> None:
    """Tick a query, press Localize, and wait."""
    for row in range(ui.volumesList.count):
        if ui.volumesList.item(row).text().startswith(query):
            ui.volumesList.item(row).setCheckState(qt.Qt.Checked)
    host.processEvents()
    ui.runButton.click()
    host.waitFor(lambda: not logic.running, LONGEST_RUN_S)


def take_from_scene(ui: Any, host: Any, reference: str, node: Any) -> None:
    """Choose the reference CT, and what is marked on it; the marks are hidden."""
    ui.referenceSelector.setCurrentNode(slicer.util.getNode(reference))
    host.processEvents()
    ui.existingSelector.setCurrentIndex(ui.existingSelector.findData(node.GetID()))
    ui.addExistingButton.click()
    node.GetDisplayNode().SetVisibility(False)
    host.processEvents()


def select_result(table: Any, target: str) -> None:
    """Choose the row of a target, as a click does."""
    for row in range(table.rowCount):
        texts = [table.item(row, column).text() for column in range(table.columnCount)]
        if target in texts:
            table.selectRow(row)


def annotate_views() -> None:
    """Switch on what Slicer offers to tell sides and sizes: orientation marker and ruler."""
    for name in slicer.app.layoutManager().sliceViewNames():
        node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
        node.SetOrientationMarkerType(node.OrientationMarkerTypeAxes)
        node.SetOrientationMarkerSize(node.OrientationMarkerSizeMedium)
        node.SetRulerType(node.RulerTypeThin)
        node.SetRulerColor(node.RulerColorYellow)
    view = slicer.app.layoutManager().threeDWidget(0).mrmlViewNode()
    view.SetBackgroundColor(0.0, 0.0, 0.0)
    view.SetBackgroundColor2(0.0, 0.0, 0.0)
    view.SetOrientationMarkerType(view.OrientationMarkerTypeAxes)


def bounds_of_results(run: Any) -> tuple[float, ...]:
    """What the 3D view has to show (world RAS mm: xmin, xmax, ymin, ...)."""
    corners = resultCorners(run, run.rows[0].query)
    return tuple(
        float(v) for pair in zip(corners.min(0), corners.max(0), strict=True) for v in pair
    )
