r"""Pictures of a place of the synthetic trunk, found from one click; real panel and result.

Called so, once for each place:

    export PYTHONPATH=Testing:RPRLocalization:RPRTraining RPRLOC_SHOWN=Carina
    python -m slicerhost RPRLocalization --size 1600x1180 \
        --screenshot Resources/Screenshots/chest.png --script Testing/Screenshots/one_click.py

``RPRLOC_SHOWN=KidneyLeft`` and ``abdomen.png`` for the other.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import slicer
from RPRLocalizationLib.sampledata import TRUNK_QUERY, TRUNK_REFERENCE, loadSample

sys.path.insert(0, str(Path(__file__).resolve().parent))

from panel_picture import (
    PANEL_PIXELS,
    annotate_views,
    search,
    select_result,
    take_from_scene,
)

# Window and level, HU, in which the place is looked at.
WINDOWS = {"Carina": (1400.0, -400.0), "KidneyLeft": (400.0, 40.0)}
NAMES = {"Carina": "Carina", "KidneyLeft": "Left kidney"}
# So much of the body around the place is in every slice view, mm.
FIELD_OF_VIEW_MM = 380.0


def click_at(landmarks: Any, label: str) -> Any:
    """A list of the one place that a user would click on the reference."""
    index = landmarks.GetControlPointIndexByLabel(label)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", NAMES[label])
    node.AddControlPointWorld(landmarks.GetNthControlPointPositionWorld(index), NAMES[label])
    node.CreateDefaultDisplayNodes()
    slicer.mrmlScene.RemoveNode(landmarks)
    return node


def show_body(query: Any, label: str) -> None:
    """Show the body around the place, not only its surroundings."""
    display = query.GetDisplayNode()
    display.SetWindowLevel(*WINDOWS[label])
    for name in slicer.app.layoutManager().sliceViewNames():
        node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
        width, height, depth = node.GetFieldOfView()
        scale = FIELD_OF_VIEW_MM / min(width, height)
        node.SetFieldOfView(width * scale, height * scale, depth)


def take_picture(window: Any, host: Any, label: str) -> None:
    """Mark one place on the reference, and look at its result."""
    widget = slicer.util.getModuleWidget("RPRLocalization")
    ui = widget.ui
    host.mainWindow.resizePanel(PANEL_PIXELS)
    (query,) = loadSample(TRUNK_QUERY)
    _, organs, landmarks = loadSample(TRUNK_REFERENCE)
    slicer.mrmlScene.RemoveNode(organs)
    take_from_scene(ui, host, TRUNK_REFERENCE, click_at(landmarks, label))
    search(ui, widget.logic, host, TRUNK_QUERY)
    select_result(ui.resultsTable, NAMES[label])
    # The review of the results would be below the fold.
    ui.queriesSection.collapsed = True
    annotate_views()
    show_body(query, label)
    window.renderVolume(query)
    host.processEvents()
    window.lookAt()


take_picture(window, host, os.environ["RPRLOC_SHOWN"])  # noqa: F821 (given by slicerhost)
