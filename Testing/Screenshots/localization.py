"""The README's picture of the panel: the tutorial's steps on the synthetic sample; real panel, real results.

python -m slicerhost RPRLocalization --render --size 1500x1000 --screenshot out.png \\
        --script Testing/Screenshots/localization.py
"""

from __future__ import annotations

from typing import Any

import qt
import slicer
from RPRLocalizationLib.sampledata import QUERY, REFERENCE, loadSample

SHOWN = "Mandible"
LONGEST_RUN_S = 240


def follow_the_tutorial(window: Any, host: Any) -> None:
    """Load the sample, take its organs, search the query, and show one result."""
    _, organs = loadSample(REFERENCE)
    (query,) = loadSample(QUERY)
    widget = slicer.util.getModuleWidget("RPRLocalization")
    ui, logic = widget.ui, widget.logic
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
    window.show(query)
    window.renderVolume(query)
    for row in range(ui.resultsTable.rowCount):
        if SHOWN in [
            ui.resultsTable.item(row, column).text()
            for column in range(ui.resultsTable.columnCount)
        ]:
            ui.resultsTable.selectRow(row)
    ui.queriesSection.collapsed = True
    host.processEvents()
    window.lookAt()


follow_the_tutorial(window, host)  # noqa: F821 (given by slicerhost)
