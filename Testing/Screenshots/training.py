r"""The README's picture of the training panel: a real training of minutes on a folder of CTs.

    export PYTHONPATH=Testing:RPRLocalization:RPRTraining
    RPRLOC_CTS=FOLDER python -m slicerhost RPRTraining --size 1600x1180 \
        --screenshot Resources/Screenshots/training.png --script Testing/Screenshots/training.py

FOLDER holds CTs of one body region (60 are enough). Nothing in the picture is invented: the worker
reads the CTs, trains on them and measures the errors. It differs from what a user has in one thing:
it validates every few steps (``support.trainings.frequent_validation``), because minutes have
few steps.
The picture is taken shortly before the end; what minutes reach is not what a user will get.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import slicer
from RPRLocalizationLib.worker import process
from RPRLocalizationLib.worker.client import WorkerClient
from RPRTrainingLib.traininglogic import PLUGIN, TRAINING_FOLDER

MINUTES = float(os.environ.get("RPRLOC_MINUTES", "5"))
SHOWN_FRACTION = 0.97
PATIENCE_S = 3600.0


def client_that_validates_often() -> WorkerClient:
    """The client of the module with one plug-in more."""
    plugins = [PLUGIN, "support.trainings.frequent_validation"]
    return WorkerClient(
        arguments=process.workerArguments(plugins),
        environment=process.workerEnvironment((process.EXTENSION_FOLDER, TRAINING_FOLDER)),
    )


def train(window: Any, host: Any) -> None:
    """Scan the folder, plan, train almost to the end, and show the curves."""
    widget = slicer.util.getModuleWidget("RPRTraining")
    ui, logic = widget.ui, widget.logic
    logic.client = client_that_validates_often()
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
    # The list of CTs has done its part; the figures would be below the fold.
    ui.ctsSection.collapsed = True
    ui.curveButton.click()
    host.processEvents()


train(window, host)  # noqa: F821 (given by slicerhost)
