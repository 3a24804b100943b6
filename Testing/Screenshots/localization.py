r"""The README's picture of the panel: the tutorial on the synthetic sample; real panel and results.

Called so:

    export PYTHONPATH=Testing:RPRLocalization:RPRTraining
    python -m slicerhost RPRLocalization --size 1600x1180 \
        --screenshot Resources/Screenshots/localization.png \
        --script Testing/Screenshots/localization.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import slicer
from RPRLocalizationLib.sampledata import QUERY, REFERENCE, loadSample
from RPRLocalizationLib.scene.resultrows import Run

sys.path.insert(0, str(Path(__file__).resolve().parent))

from panel_picture import (
    PANEL_PIXELS,
    annotate_views,
    bounds_of_results,
    search,
    select_result,
    take_from_scene,
)

SHOWN = "Mandible"


def take_picture(window: Any, host: Any) -> None:
    """Follow the tutorial up to the review of one result."""
    widget = slicer.util.getModuleWidget("RPRLocalization")
    ui = widget.ui
    host.mainWindow.resizePanel(PANEL_PIXELS)
    loadSample(QUERY)
    _, organs = loadSample(REFERENCE)
    take_from_scene(ui, host, REFERENCE, organs)
    search(ui, widget.logic, host, QUERY)
    select_result(ui.resultsTable, SHOWN)
    annotate_views()
    # The review of the results would be below the fold.
    ui.queriesSection.collapsed = True
    window.renderVolume(slicer.util.getNode(QUERY))
    host.processEvents()
    (run,) = Run.ofScene(slicer.mrmlScene)
    window.lookAt(bounds=bounds_of_results(run))


take_picture(window, host)  # noqa: F821 (given by slicerhost)
