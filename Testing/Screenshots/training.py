"""The README's picture of the training panel: a real training of a few minutes on a folder of CTs.

    RPRLOC_CTS=folder python -m slicerhost RPRTraining --size 1500x1000 --screenshot out.png \\
        --script Testing/Screenshots/training.py

The picture shows the training while it runs: what it has reached after ``MINUTES`` is not what a
    user will get.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import slicer

MINUTES, SHOWN_FRACTION, PATIENCE_S = 6.0, 0.62, 600.0


def train(window: Any, host: Any) -> None:
    """Scan the folder, plan, begin to train, and show the curves."""
    widget = slicer.util.getModuleWidget("RPRTraining")
    ui, logic = widget.ui, widget.logic
    ui.ctsFolderEdit.currentPath = os.environ["RPRLOC_CTS"]
    ui.runsFolderEdit.currentPath = str(Path(tempfile.mkdtemp(prefix="rprloc-trainings-")))
    host.processEvents()
    ui.scanButton.click()
    host.waitFor(lambda: not logic.task, PATIENCE_S)
    ui.nameEdit.setText("my-head-and-neck")
    ui.regionEdit.setText("head and neck")
    ui.minutesSpin.setValue(MINUTES)
    host.waitFor(lambda: ui.trainButton.enabled and "about" in ui.planLabel.text, PATIENCE_S)
    ui.trainButton.click()
    host.waitFor(lambda: logic.run.fraction > SHOWN_FRACTION or not logic.training, PATIENCE_S)
    ui.curveButton.click()
    host.processEvents()


train(window, host)  # noqa: F821 (given by slicerhost)
