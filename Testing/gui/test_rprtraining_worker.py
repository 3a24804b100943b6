"""RPRTraining with the real worker on the synthetic sample: what both sides must agree on."""

from __future__ import annotations

from pathlib import Path

import pytest
from RPRTrainingLib.trainingrun import RunState
from support.panels.training_panel_driver import TrainingPanelDriver
from support.paths import SAMPLE_DATA as SAMPLE

pytest.importorskip("torch", reason="the worker needs torch")


@pytest.fixture
def real(host, loadModule, tmp_path):
    """The panel as the user has it, over the folder of the sample."""
    from RPRTrainingLib.trainingsettings import TrainingSettings

    settings = TrainingSettings()
    settings.chosenRunsFolder = str(tmp_path / "trainings")
    settings.modelFolder = str(tmp_path / "models")
    widget = loadModule("RPRTraining")
    yield TrainingPanelDriver(host, widget, None, SAMPLE)
    host.unloadModules()


def test_scanAndPlanOfTheSample(real):
    real.scan()
    verdicts = dict(
        zip(real.column(real.ui.ctsTable, 0), real.column(real.ui.ctsTable, 1), strict=True)
    )
    assert verdicts["query"] == verdicts["reference"] == "used"
    assert verdicts["query.labels"].startswith("left out: ") and len(verdicts) == 4
    real.plan()
    assert "1 CT to learn from, 1 CT held out" in real.ui.planLabel.text
    assert real.ui.coarseRangeSpin.value > 100.0 and "Time" in real.ui.planLabel.text
    assert real.ui.trainButton.enabled, real.ui.trainButton.toolTip


def test_bundledModelIsExportedAndImportedAgain(real, tmp_path):
    real.host.dialogs.answerFile(tmp_path / "model.zip")
    real.click(real.ui.exportModelButton)
    real.host.waitFor(lambda: not real.logic.task)
    real.settle()
    assert (tmp_path / "model.zip").is_file() and "Written" in real.ui.useLabel.text
    real.host.dialogs.answerFile(tmp_path / "model.zip")
    real.click(real.ui.importModelButton)
    real.host.waitFor(lambda: not real.logic.task)
    real.settle()
    assert (tmp_path / "models" / "body-ct" / "model.json").is_file()
    assert (
        "Installed" in real.ui.useLabel.text
        and Path(real.panel.judge.model["folder"]).parent == tmp_path / "models"
    )


def test_foreignFileIsRefusedInOneLine(real, tmp_path):
    (tmp_path / "model.zip").write_bytes(b"no archive")
    real.host.dialogs.answerFile(tmp_path / "model.zip")
    real.click(real.ui.importModelButton)
    real.host.waitFor(lambda: not real.logic.task)
    real.settle()
    assert real.ui.useLabel.text.startswith("⚠") and "\n" not in real.ui.useLabel.text
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())


def test_selfTestOfTheModule(real):
    from RPRTrainingLib.trainingselftest import RPRTrainingTest

    RPRTrainingTest().runTest()


def until(bench, state, step: int = 0) -> None:
    """Wait for a state of the training, at some step."""
    run = bench.logic.run
    bench.host.waitFor(lambda: run.state == state and run.stage and run.step >= step, 120)
    bench.settle()


def test_pauseKillResumeAndStopOfARealTraining(real):
    real.scan()
    real.ui.minutesSpin.setValue(4.0)
    real.plan()
    real.click(real.ui.trainButton)
    until(real, RunState.RUNNING)
    real.click(real.ui.pauseButton)
    until(real, RunState.PAUSED)
    assert real.ui.trainStatusLabel.text == "Paused."
    real.click(real.ui.pauseButton)
    until(real, RunState.RUNNING, step=1)
    real.logic.client._link._process.kill()
    real.host.waitFor(lambda: not real.ui.unfinishedBox.isHidden())
    assert "Resume goes on" in real.ui.trainStatusLabel.text
    real.click(real.ui.resumeRunButton)
    until(real, RunState.RUNNING, step=1)
    real.click(real.ui.stopButton)
    real.host.waitFor(lambda: not real.logic.task, 120)
    real.settle()
    assert real.ui.trainStatusLabel.text.startswith("Stopped; the best network so far was kept")
    real.host.waitFor(lambda: real.ui.useModelLabel.text.startswith("my abdomen (trained"))
    real.settle()
    assert real.ui.installButton.enabled
