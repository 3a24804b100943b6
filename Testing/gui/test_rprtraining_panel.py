"""Sections 1 and 2 of RPRTraining: what is scanned, ticked and planned; fake worker."""

from __future__ import annotations

import pytest
import qt
import slicer
from support.panels.fake_trainer import row


def tick(bench, index: int, on: bool) -> None:
    """Click the tick box of a row."""
    bench.ui.ctsTable.item(index, 0).setCheckState(qt.Qt.Checked if on else qt.Qt.Unchecked)
    bench.settle()


def test_openingTheModuleStartsNothing(bench):
    assert bench.worker.requests == []
    assert not bench.ui.trainButton.enabled and "Choose a folder" in bench.ui.trainWhyLabel.text


def test_everyDisabledButtonSaysWhy(bench):
    buttons = bench.widget.parent.findChildren("QPushButton")
    assert len(buttons) >= 15
    assert [b.objectName for b in buttons if not b.enabled and not b.toolTip] == []


def test_scanListsEveryVolumeWithItsVerdict(bench):
    bench.scan()
    (request,) = bench.worker.of("train.scan")
    assert request == {"folder": str(bench.folder)}
    verdicts = bench.column(bench.ui.ctsTable, 1)
    assert verdicts == ["used"] * 6 + ["left out: a label map, by its name"]
    assert [bench.ui.ctsTable.item(0, column).text() for column in range(2, 7)] == [
        "patient0",
        "512 x 512 x 120",
        "0.98 x 0.98 x 2.5",
        "-1024 ... 3071",
        "300",
    ]
    assert "6 of 6 usable CTs ticked, of 6 patients; 1 left out" in bench.ui.scanLabel.text
    assert "weak model" in bench.ui.scanLabel.text


def test_leftOutVolumesCanBeHiddenAndNeverTicked(bench):
    bench.scan()
    assert not bench.ui.ctsTable.item(6, 0).flags() & qt.Qt.ItemIsUserCheckable
    bench.click(bench.ui.leftOutCheckBox)
    assert bench.ui.ctsTable.isRowHidden(6) and not bench.ui.ctsTable.isRowHidden(0)
    bench.click(bench.ui.useAllButton)
    assert len(bench.panel.cts.chosen()) == 6


def test_untickedRowsAreNotTrainedOn(bench):
    bench.scan()
    tick(bench, 1, False)
    assert bench.column(bench.ui.ctsTable, 1)[1] == "left out by you"
    assert [r["name"] for r in bench.panel.cts.chosen()] == [
        "patient0",
        *(f"patient{n}" for n in range(2, 6)),
    ]
    bench.plan()
    assert len(bench.worker.of("train.plan")[-1]["rows"]) == 5
    tick(bench, 1, True)
    assert len(bench.panel.cts.chosen()) == 6


def test_selectedRowsAreTickedTogether(bench):
    bench.scan()
    bench.ui.ctsTable.setRangeSelected(qt.QTableWidgetSelectionRange(0, 0, 2, 6), True)
    tick(bench, 1, False)
    assert [r["name"] for r in bench.panel.cts.chosen()] == ["patient3", "patient4", "patient5"]


def test_onePatientIsNotEnough(bench):
    bench.worker.rows = [row("a", "one"), row("b", "one")]
    bench.scan()
    assert "at least two patients" in bench.ui.trainWhyLabel.text


def test_scanCanBeCancelled(bench):
    bench.worker.held.add("train.scan")
    bench.ui.ctsFolderEdit.setCurrentPath(str(bench.folder))
    bench.click(bench.ui.scanButton)
    assert not bench.ui.scanButton.enabled and not bench.ui.installButton.enabled
    request = bench.worker.last("train.scan")
    request.tell({"event": "partial", "row": row("a")})
    bench.click(bench.ui.cancelScanButton)
    assert "not complete" in bench.ui.scanLabel.text and bench.ui.scanButton.enabled


def test_missingOrEmptyFolderIsSaid(bench, tmp_path):
    bench.ui.ctsFolderEdit.setCurrentPath(str(tmp_path / "gone"))
    bench.click(bench.ui.scanButton)
    assert "no such folder" in bench.ui.scanLabel.text and bench.worker.requests == []
    bench.worker.rows = []
    bench.scan()
    assert "no volume in this folder" in bench.ui.scanLabel.text


def test_errorOfTheScanIsShown(bench):
    bench.worker.replies["train.scan"] = lambda params: [
        {"event": "error", "code": "worker-died", "message": "it died"}
    ]
    bench.scan()
    assert "it died" in bench.ui.scanLabel.text and bench.ui.scanButton.enabled


def test_anotherFolderNeedsAnotherScan(bench, tmp_path):
    bench.scan()
    bench.ui.ctsFolderEdit.setCurrentPath(str(tmp_path))
    bench.settle()
    assert bench.ui.ctsTable.rowCount == 0 and "Press Scan" in bench.ui.trainWhyLabel.text


def test_planIsShownBeforeTheStart(bench):
    bench.scan()
    bench.host.waitFor(lambda: (bench.panel.plan.plan or {}).get("seconds"))
    bench.settle()
    text = bench.ui.planLabel.text
    assert (
        "5 CTs to learn from, 1 CT held out" in text
        and "r = 500 mm" in text
        and "receptive field 188 mm" in text
    )
    assert "3 h 30 min" in text and "memory 3.4 GB" in text and "only 6 patients" in text
    assert bench.ui.coarseRangeSpin.value == 500.0 and bench.ui.fineSpacingSpin.value == 3.0
    assert "name" in bench.ui.trainWhyLabel.text and not bench.ui.trainButton.enabled
    bench.plan()
    assert bench.ui.trainButton.enabled and bench.ui.trainWhyLabel.isHidden()


def test_planIsShownWhileStepsAreTimed(bench):
    usual = bench.worker._train_plan
    bench.worker.replies["train.plan"] = lambda params: [] if params["measure"] else usual(params)
    bench.scan()
    bench.plan()
    assert "being timed" in bench.ui.planLabel.text and "r = 500 mm" in bench.ui.planLabel.text


def test_planFollowsTheChoices(bench):
    bench.scan()
    bench.plan()
    asked = len(bench.worker.of("train.plan"))
    index = bench.ui.presetSelector.findData("abdomen")
    bench.ui.presetSelector.setCurrentIndex(index)
    bench.ui.presetSelector.activated.emit(index)
    bench.ui.coarseRangeSpin.setValue(700.0)
    bench.ui.minutesSpin.setValue(90.0)
    bench.settle()
    bench.host.waitFor(lambda: (bench.panel.plan.plan or {}).get("seconds"))
    last = bench.worker.of("train.plan")[-1]
    assert len(bench.worker.of("train.plan")) == asked + 2, (
        "once for all changes: at once, and with the time"
    )
    assert (
        last["preset"] == "abdomen"
        and last["minutes"] == 90.0
        and last["changes"] == {"coarse": {"range_mm": 700.0}}
    )
    bench.settle()
    bench.click(bench.ui.resetNumbersButton)
    bench.host.waitFor(lambda: (bench.panel.plan.plan or {}).get("seconds"))
    assert (
        bench.ui.coarseRangeSpin.value == 500.0
        and bench.worker.of("train.plan")[-1]["changes"] == {}
    )


def test_planThatFailsIsSaid(bench):
    error = {"event": "error", "code": "input", "message": "the CTs are too small"}
    bench.worker.replies["train.plan"] = lambda params: [error]
    bench.scan()
    bench.host.waitFor(lambda: "too small" in bench.ui.planLabel.text)
    bench.ui.nameEdit.setText("x")
    bench.ui.regionEdit.setText("y")
    bench.settle()
    assert "too small" in bench.ui.trainButton.toolTip


def test_fineTuningStartsFromAnInstalledModel(bench):
    selector = bench.ui.startFromSelector
    assert [selector.itemData(n) for n in range(selector.count)] == ["", "body-ct", "han-ct"]
    selector.setCurrentIndex(2)
    selector.activated.emit(2)
    bench.scan()
    bench.plan()
    assert bench.worker.of("train.plan")[-1]["start_from"] == "han-ct"


def test_choicesAreRemembered(bench):
    bench.scan()
    bench.plan()
    bench.ui.minutesSpin.setValue(30.0)
    bench.host.unloadModules()
    bench.host.restartSettings()
    ui = bench.host.loadModule("RPRTraining").ui
    assert ui.ctsFolderEdit.currentPath == str(bench.folder) and ui.nameEdit.text == "my abdomen"
    assert ui.regionEdit.text == "abdomen" and ui.minutesSpin.value == 30.0


def test_devicesAreFoundAndShared(bench):
    bench.click(bench.ui.findDevicesButton)
    selector = bench.ui.trainDeviceSelector
    index = selector.findData("cuda:0")
    selector.setCurrentIndex(index)
    selector.activated.emit(index)
    bench.scan()
    bench.plan()
    assert bench.worker.of("train.plan")[-1]["device"] == "cuda:0"
    assert bench.logic.settings.device == "cuda:0", "the localization panel uses the same setting"


@pytest.mark.parametrize("name", ["...", "///"])
def test_nameWithoutLettersIsRefused(bench, name):
    bench.scan()
    bench.plan()
    bench.ui.nameEdit.setText(name)
    bench.settle()
    assert "letter or digit" in bench.ui.trainButton.toolTip


def test_registrationIsForPhysicists(bench):
    module = slicer.modules.rprtraining
    assert module.title == "One-Shot Localization Training" and tuple(module.categories) == (
        "Segmentation",
    )
    assert tuple(module.dependencies) == ("RPRLocalization",) and not module.icon.isNull()
    assert "nothing is uploaded" in module.helpText and "MICCAI 2021" in module.acknowledgementText


def test_reloadedPanelWorks(bench):
    bench.scan()
    bench.widget.onReload()
    again = slicer.modules.RPRTrainingWidget
    assert bench.worker.closed >= 1 and again is not bench.widget
    assert again.ui.ctsFolderEdit.currentPath == str(bench.folder) and again.ui.scanButton.enabled


def test_emptiedFoldersAreForgotten(bench, tmp_path):
    """The field of ctk tells no path when it is emptied: defaults must come back nevertheless."""
    default = bench.logic.settings.runsFolder
    for field in (bench.ui.runsFolderEdit, bench.ui.checkTargetsEdit, bench.ui.ctsFolderEdit):
        field.setCurrentPath(str(tmp_path / "other"))
    bench.settle()
    settings = bench.logic.settings
    assert settings.runsFolder == tmp_path / "other" != default
    bench.scan()
    for field in (bench.ui.runsFolderEdit, bench.ui.checkTargetsEdit, bench.ui.ctsFolderEdit):
        field.setCurrentPath("")
    bench.settle()
    assert settings.runsFolder.name == "Trainings" and settings.targets == settings.ctsFolder == ""
    assert bench.ui.ctsTable.rowCount == 0 and bench.panel.cts.folder == ""
