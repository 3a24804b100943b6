"""Sections 4 and 5 of RPRTraining: self-check, install, export and import; fake worker."""

from __future__ import annotations

from pathlib import Path

import pytest
import qt
import slicer
from RPRTrainingLib.errorpicture import COLORS, SIZE
from support.panels.fake_trainer import write_card


@pytest.fixture
def done(bench):
    """A training that has ended, with its model on disk."""
    run = bench.logic.settings.runsFolder / "my-abdomen"
    bench.scan()
    bench.plan()
    bench.worker.held.add("train.start")
    bench.click(bench.ui.trainButton)
    write_card(run, "my-abdomen")
    (run / "run.json").write_text("{}", encoding="utf-8")
    for event in bench.worker._train_start(bench.worker.of("train.start")[0]):
        bench.worker.last("train.start").tell(event)
    bench.settle()
    return bench


def titles(bench) -> list[str]:
    """The models of section 4."""
    return [bench.ui.trainedSelector.itemText(n) for n in range(bench.ui.trainedSelector.count)]


def test_trainedModelIsChosenForSectionsFourAndFive(done):
    assert titles(done) == [
        "my abdomen (trained 2026-11-22)",
        "body-ct 1.0.0 (installed)",
        "han-ct 1.0.0 (installed)",
    ]
    assert done.ui.useModelLabel.text == "my abdomen (trained 2026-11-22)"
    assert done.ui.trainStatusLabel.text.startswith("Done. Judge the model")


def test_selfCheckIsATableAndASentence(done):
    done.click(done.ui.checkButton)
    (params,) = done.worker.of("train.check")
    folder = str(done.logic.settings.runsFolder / "my-abdomen")
    assert params["model"] == folder and params["run"] == folder and params["targets"] is None
    assert done.column(done.ui.checkTable, 0) == [
        "There and back (cycle error)",
        "Same point twice (repeatability)",
    ]
    assert done.column(done.ui.checkTable, 1) == ["4.2 mm", "2.1 mm"]
    assert done.column(done.ui.checkTable, 2) == ["9.6 mm", "5 mm"]
    text = "Good: most points come back to where they started. Measured on 4 CTs, 12 pairs of them."
    assert done.ui.checkLabel.text == text


def test_selfCheckShowsItsPicture(done):
    assert done.ui.checkPictureLabel.isHidden()
    done.click(done.ui.checkButton)
    picture = done.ui.checkPictureLabel.pixmap.toImage()
    assert not done.ui.checkPictureLabel.isHidden() and (picture.width(), picture.height()) == SIZE
    points = [picture.pixelColor(x, y) for x in range(0, 420, 2) for y in range(230)]
    colors = {(point.red(), point.green(), point.blue()) for point in points}
    assert set(COLORS[:2]) <= colors, "a curve for each measure"


def test_checkOnCTsOfTheTrainingIsSaid(done):
    usual = done.worker._train_check
    note = {"held_out": False, "left_out": ["a.nii.gz: damaged"]}
    done.worker.replies["train.check"] = lambda params: [
        {**event, **note} for event in usual(params)
    ]
    done.click(done.ui.checkButton)
    assert (
        "The training has seen these CTs" in done.ui.checkLabel.text
        and "a.nii.gz" in done.ui.checkLabel.text
    )


def test_drawnOrgansAreMeasuredAsWell(done, tmp_path):
    done.ui.checkTargetsEdit.setCurrentPath(str(tmp_path))
    done.click(done.ui.checkButton)
    assert done.worker.of("train.check")[0]["targets"] == str(tmp_path)
    assert done.column(done.ui.checkTable, 0)[2] == "liver: overlap (IoU)"
    assert done.column(done.ui.checkTable, 2)[2] == "-"


def test_installedModelIsJudgedOnTheTickedCTs(done):
    bundled = titles(done).index("han-ct 1.0.0 (installed)")
    done.ui.trainedSelector.setCurrentIndex(bundled)
    done.ui.trainedSelector.activated.emit(bundled)
    done.settle()
    done.click(done.ui.checkButton)
    (params,) = done.worker.of("train.check")
    assert (
        params["run"] == "" and len(params["rows"]) == 6 and Path(params["model"]).name == "han-ct"
    )
    assert (
        not done.ui.installButton.enabled and "installed already" in done.ui.installButton.toolTip
    )


def test_selfCheckCanBeCancelledAndFail(done):
    done.worker.held.add("train.check")
    done.click(done.ui.checkButton)
    assert not done.ui.trainButton.enabled and not done.ui.exportModelButton.enabled
    done.click(done.ui.cancelCheckButton)
    assert done.ui.checkLabel.text == "⚠ Cancelled" and done.ui.checkTable.isHidden()
    done.worker.held.clear()
    done.worker.replies["train.check"] = lambda params: [
        {"event": "error", "code": "input", "message": "too few CTs"}
    ]
    done.click(done.ui.checkButton)
    assert done.ui.checkLabel.text == "⚠ too few CTs" and done.ui.checkButton.enabled


@pytest.mark.mainwindow
def test_installedModelIsListedByTheLocalizationAtOnce(done):
    localization = done.host.loadModule("RPRLocalization")
    done.host.selectModule("RPRTraining")
    done.settle()
    done.click(done.ui.checkButton)
    done.click(done.ui.installButton)
    assert "Installed" in done.ui.useLabel.text and not done.ui.installButton.enabled
    assert titles(done)[0] == "my abdomen (trained 2026-11-22, installed)"
    assert done.ui.checkTable.rowCount == 2, "what was measured stays"
    done.click(done.ui.openLocalizationButton)
    assert slicer.util.selectedModule() == "RPRLocalization"
    selector = localization.ui.modelSelector
    assert selector.currentText.startswith("my-abdomen 1.0.0") and selector.count == 4


@pytest.mark.parametrize("answer", [qt.QMessageBox.Yes, qt.QMessageBox.No])
def test_modelOfThatNameIsReplacedOnlyAfterAYes(done, answer):
    (done.logic.settings.installFolder / "my-abdomen").mkdir(parents=True)
    done.host.dialogs.answerMessage(answer)
    done.click(done.ui.installButton)
    replaced = [params["replace"] for params in done.worker.of("model.install")]
    assert replaced == ([False, True] if answer == qt.QMessageBox.Yes else [False])
    assert ("Installed" in done.ui.useLabel.text) is (answer == qt.QMessageBox.Yes)


def test_exportWritesOneFile(done, tmp_path):
    done.host.dialogs.answerFile(tmp_path / "model.zip")
    done.click(done.ui.exportModelButton)
    (params,) = done.worker.of("model.export")
    assert params == {
        "folder": str(done.logic.settings.runsFolder / "my-abdomen"),
        "path": str(tmp_path / "model.zip"),
    }
    assert "5.3 MB" in done.ui.useLabel.text
    done.host.dialogs.answerFile("")
    done.click(done.ui.exportModelButton)
    assert len(done.worker.of("model.export")) == 1


def test_importedModelIsChosen(bench, tmp_path):
    bench.host.dialogs.answerFile(tmp_path / "liver.zip")
    bench.click(bench.ui.importModelButton)
    assert bench.worker.of("model.import")[0]["path"] == str(tmp_path / "liver.zip")
    assert bench.ui.useModelLabel.text == "liver 1.0.0 (installed)"


def test_damagedFileIsRefused(bench, tmp_path):
    error = {"event": "error", "code": "model", "message": "liver.zip: damaged (checksum)"}
    bench.worker.replies["model.import"] = lambda params: [error]
    bench.host.dialogs.answerFile(tmp_path / "liver.zip")
    bench.click(bench.ui.importModelButton)
    assert "damaged (checksum)" in bench.ui.useLabel.text
