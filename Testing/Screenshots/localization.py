r"""The README's picture of the panel: the tutorial on the synthetic sample; real panel and results.

Called so:

    export PYTHONPATH=Testing:RPRLocalization:RPRTraining
    python -m slicerhost RPRLocalization --size 1600x1180 \
        --screenshot Resources/Screenshots/localization.png \
        --script Testing/Screenshots/localization.py
"""

from __future__ import annotations

from typing import Any

import qt
import slicer
from RPRLocalizationLib.sampledata import QUERY, REFERENCE, loadSample
from RPRLocalizationLib.scene.resultrows import Run
from RPRLocalizationLib.scene.viewing import resultCorners

SHOWN = "Mandible"
PANEL_PIXELS = 460
LONGEST_RUN_S = 240


def localize(ui: Any, logic: Any, host: Any) -> None:
    """Load the sample, take its organs, and search the query."""
    loadSample(QUERY)
    _, organs = loadSample(REFERENCE)
    ui.referenceSelector.setCurrentNode(slicer.util.getNode(REFERENCE))
    host.processEvents()
    ui.existingSelector.setCurrentIndex(ui.existingSelector.findData(organs.GetID()))
    ui.addExistingButton.click()
    organs.GetDisplayNode().SetVisibility(False)
    host.processEvents()

    for row in range(ui.volumesList.count):
        if ui.volumesList.item(row).text().startswith(QUERY):
            ui.volumesList.item(row).setCheckState(qt.Qt.Checked)
    host.processEvents()
    ui.runButton.click()
    host.waitFor(lambda: not logic.running, LONGEST_RUN_S)


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


def take_picture(window: Any, host: Any) -> None:
    """Follow the tutorial up to the review of one result."""
    widget = slicer.util.getModuleWidget("RPRLocalization")
    ui = widget.ui
    host.mainWindow.resizePanel(PANEL_PIXELS)
    localize(ui, widget.logic, host)
    select_result(ui.resultsTable, SHOWN)
    annotate_views()
    # The review of the results would be below the fold.
    ui.queriesSection.collapsed = True
    window.renderVolume(slicer.util.getNode(QUERY))
    host.processEvents()
    (run,) = Run.ofScene(slicer.mrmlScene)
    window.lookAt(bounds=bounds_of_results(run))


take_picture(window, host)  # noqa: F821 (given by slicerhost)
