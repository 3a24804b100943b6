"""Sections 2 and 3 of the panel: what is searched, the run, its log and errors; fake worker."""

from __future__ import annotations

import sys
import types

import pytest
import qt
import slicer
from RPRLocalizationLib.panel.resultssection import CT, STATUS, TARGET


def test_loadedVolumesAreListedAndTicked(panel):
    volumes = panel.ready(queries=3)
    assert panel.names() == ["reference (reference)", "query 1", "query 2", "query 3"]
    assert panel.parameters.queryVolumes == volumes[1:], "All leaves the reference out"
    panel.tick(1, False)
    assert panel.parameters.queryVolumes == volumes[2:]
    panel.tick(0)
    assert volumes[0] in list(panel.parameters.queryVolumes), (
        "the reference can be searched on purpose"
    )
    panel.click(panel.ui.noneButton)
    assert not panel.ui.runButton.enabled and "Tick at least one CT" in panel.ui.runButton.toolTip


def test_filterLimitsAllAndNone(panel):
    volumes = panel.ready(queries=3)
    panel.click(panel.ui.noneButton)
    panel.ui.filterEdit.setText("QUERY 2")
    panel.host.processEvents()
    assert panel.names() == ["query 2"]
    panel.click(panel.ui.allButton)
    panel.ui.filterEdit.setText("nothing like it")
    panel.host.processEvents()
    assert not panel.ui.allButton.enabled and panel.ui.allButton.toolTip
    panel.ui.filterEdit.setText("")
    panel.host.processEvents()
    assert panel.parameters.queryVolumes == [volumes[2]] and len(panel.names()) == 4


def test_labelMapsAndHiddenVolumesAreNotOffered(panel):
    panel.addVolume("CT")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    hidden = panel.addVolume("hidden")
    hidden.SetHideFromEditors(True)
    panel.addVolume("other")
    assert panel.names() == ["CT (reference)", "other"]


def test_deletedVolumeLeavesTheListAndTheRun(panel):
    volumes = panel.ready(queries=2)
    slicer.mrmlScene.RemoveNode(volumes[1])
    panel.host.processEvents()
    assert panel.names() == ["reference (reference)", "query 2"]
    panel.localize()
    assert set(panel.cells(CT)) == {"query 2"}


def test_renamedVolumeIsListedByItsNewName(panel):
    volume = panel.addVolume("CT")
    volume.SetName("new")
    panel.widget.panel.update()
    assert panel.names() == ["new (reference)"]


def test_folderIsSearchedWithoutLoading(panel, tmp_path):
    panel.ready()
    panel.click(panel.ui.noneButton)
    for name in ("a.nii.gz", "b.nrrd", "c.seg.nrrd"):
        (tmp_path / "cts").mkdir(exist_ok=True)
        (tmp_path / "cts" / name).write_bytes(b"")
    panel.ui.useFolderCheckBox.click()
    panel.host.processEvents()
    assert "Choose a folder" in panel.ui.runButton.toolTip
    panel.ui.folderEdit.setCurrentPath(str(tmp_path / "cts"))
    panel.host.processEvents()
    assert panel.ui.folderLabel.text.startswith("2 CT files")
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    panel.localize()
    assert panel.cells(CT) == ["a.nii.gz"] * 2 + ["b.nrrd"] * 2
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == before
    assert panel.run.resultNodes() == [], "nodes come when a CT is loaded"
    panel.ui.useFolderCheckBox.click()
    panel.host.processEvents()
    assert "Tick at least one CT" in panel.ui.runButton.toolTip


def test_emptiedFolderIsNoLongerSearched(panel, tmp_path):
    """The field of ctk tells no path when it is emptied."""
    (tmp_path / "a.nii.gz").write_bytes(b"")
    panel.ready()
    panel.click(panel.ui.noneButton)
    panel.ui.useFolderCheckBox.click()
    panel.ui.folderEdit.setCurrentPath(str(tmp_path))
    panel.host.processEvents()
    assert panel.ui.runButton.enabled
    panel.ui.folderEdit.setCurrentPath("")
    panel.host.processEvents()
    assert panel.parameters.queryFolder == "" and not panel.ui.runButton.enabled
    assert "Choose a folder" in panel.ui.runButton.toolTip


def test_emptyFolderIsExplained(panel, tmp_path):
    panel.ready()
    panel.ui.useFolderCheckBox.click()
    panel.ui.folderEdit.setCurrentPath(str(tmp_path))
    panel.host.processEvents()
    assert "no CT file" in panel.ui.runButton.toolTip and "no CT file" in panel.ui.folderLabel.text


def test_runShowsItsProgressAndEnds(panel):
    panel.ready(queries=2)
    panel.worker.held.add("locate")
    panel.click(panel.ui.runButton)
    panel.host.waitFor(lambda: "locate" in panel.worker.methods())
    panel.host.processEvents()
    assert not panel.ui.runButton.enabled and "going on" in panel.ui.runButton.toolTip
    assert panel.ui.cancelButton.enabled and "volume 1 of 2" in panel.ui.progressLabel.text
    assert not panel.ui.progressBar.isHidden() and not panel.ui.modelSelector.enabled
    assert not panel.ui.saveTemplateButton.enabled and not panel.ui.removeResultsButton.enabled
    panel.click(panel.ui.cancelButton)
    assert panel.ui.runButton.enabled and panel.ui.progressLabel.text == "Cancelled."
    assert not panel.ui.cancelButton.enabled and panel.ui.progressBar.isHidden()


def test_cancelKeepsWhatIsDone(panel):
    panel.ready(queries=3)
    usual = panel.worker._locate
    panel.worker.replies["locate"] = lambda params: (
        [] if params["queries"][0]["key"] == "2" else usual(params)
    )
    panel.click(panel.ui.runButton)
    panel.host.waitFor(lambda: panel.worker.methods().count("locate") == 3)
    panel.click(panel.ui.cancelButton)
    assert panel.cells(CT) == ["query 1", "query 1", "query 2", "query 2"]


def test_twoRunsInARow(panel):
    panel.ready()
    panel.localize()
    panel.localize()
    assert panel.ui.runSelector.count == 2 and len(panel.cells(CT)) == 2


def test_unreadableQueryIsARowAndAWarning(panel):
    volumes = panel.ready(queries=2)
    volumes[1].SetAndObserveImageData(None)
    panel.localize()
    assert panel.cells(STATUS) == ["✗ failed", "✓ ok", "✓ ok"], "one row, not one per target"
    assert panel.cells(TARGET)[0] == "(all)" and panel.cells(CT)[0] == "query 1"
    assert "no voxels" in panel.ui.logEdit.toPlainText() and not panel.ui.logBox.collapsed


@pytest.mark.parametrize("code", ["model", "device", "template", "internal"])
def test_errorOfTheWorkerIsShownAndTheNextRunWorks(panel, code):
    panel.ready()
    panel.worker.replies["load"] = lambda params: [
        {"event": "error", "code": code, "message": "the reason"}
    ]
    panel.localize()
    assert (
        panel.ui.progressLabel.text == "the reason"
        and "the reason" in panel.ui.logEdit.toPlainText()
    )
    assert panel.cells(CT) == [] and panel.run is None
    del panel.worker.replies["load"]
    panel.localize()
    assert panel.cells(STATUS) == ["✓ ok"] * 2


def test_logOfTheWorkerIsShown(panel):
    panel.ready()
    usual = panel.worker._load
    note = {
        "event": "log",
        "level": "warning",
        "message": "out of GPU memory: going on with the CPU",
    }
    panel.worker.replies["load"] = lambda params: [note, *usual(params)]
    panel.localize()
    assert "going on with the CPU" in panel.ui.logEdit.toPlainText() and panel.ui.logEdit.readOnly


def test_modelAndDeviceAreRemembered(panel):
    panel.ready()
    panel.click(panel.ui.devicesButton)
    index = panel.ui.deviceSelector.findData("cuda:0")
    panel.ui.deviceSelector.setCurrentIndex(index)
    panel.ui.deviceSelector.activated.emit(index)
    panel.localize()
    (load,) = [params for method, params in panel.worker.requests if method == "load"]
    assert load == {"model": "auto", "device": "cuda:0"}
    panel.host.unloadModules()
    panel.host.restartSettings()
    again = panel.host.loadModule("RPRLocalization")
    assert again.ui.deviceSelector.itemData(again.ui.deviceSelector.currentIndex) == "cuda:0"


def test_devicesThatCannotBeFoundAreSaid(panel):
    panel.worker.replies["devices"] = lambda params: [
        {"event": "error", "code": "worker-died", "message": "it died"}
    ]
    panel.click(panel.ui.devicesButton)
    assert "it died" in panel.ui.logEdit.toPlainText() and panel.ui.devicesButton.enabled


def test_folderWithoutModelsIsSaid(panel, tmp_path):
    panel.host.dialogs.answerFile(tmp_path)
    panel.click(panel.ui.modelFolderButton)
    assert "No further model" in panel.ui.logEdit.toPlainText()
    panel.host.dialogs.answerFile("")
    panel.click(panel.ui.modelFolderButton)


def test_rememberedModelThatIsGoneIsReplaced(panel):
    panel.logic.settings.model = "gone"
    panel.widget.panel.run._fillModels()
    assert panel.logic.settings.model == "auto"


@pytest.fixture
def withoutTorch(panel, monkeypatch):
    """PyTorch is missing; its installation is played."""
    from RPRLocalizationLib.widgets import torchsetup

    state = types.SimpleNamespace(installed=False, calls=[], error=None)

    class PyTorchUtilsLogic:
        def installTorch(self, **options):
            state.calls.append(options)
            if state.error:
                raise RuntimeError(state.error)
            state.installed = True

    utils = types.ModuleType("PyTorchUtils")
    utils.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setattr(torchsetup, "torchInstalled", lambda: state.installed)
    monkeypatch.setattr(torchsetup, "extensionInstalled", lambda: True)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", utils)
    panel.ready()
    return state


def test_torchIsInstalledOnlyAfterAYes(panel, withoutTorch):
    panel.host.dialogs.answerMessage(qt.QMessageBox.Cancel)
    panel.click(panel.ui.runButton)
    assert withoutTorch.calls == [] and panel.worker.requests == []
    panel.host.dialogs.answerMessage("Install PyTorch")
    panel.localize()
    assert len(withoutTorch.calls) == 1 and withoutTorch.calls[0]["askConfirmation"] is False
    assert panel.cells(STATUS) == ["✓ ok"] * 2
    assert len(panel.host.dialogs.shown) == 2


@pytest.mark.mainwindow
def test_failedInstallationIsExplained(panel, withoutTorch):
    withoutTorch.error = "no network"
    panel.host.dialogs.answerMessage("Install PyTorch")
    panel.host.dialogs.answerMessage()
    panel.click(panel.ui.runButton)
    assert "no network" in panel.host.dialogs.shown[-1].text and panel.worker.requests == []


def test_missingExtensionIsExplained(panel, withoutTorch, monkeypatch):
    from RPRLocalizationLib.widgets import torchsetup

    monkeypatch.setattr(torchsetup, "extensionInstalled", lambda: False)
    panel.host.dialogs.answerMessage()
    panel.click(panel.ui.runButton)
    assert "Extensions Manager" in panel.host.dialogs.shown[-1].text and withoutTorch.calls == []


def test_logComesWithItsFirstLine(panel):
    assert panel.ui.logBox.isHidden()
    panel.ready()
    panel.localize()
    assert not panel.ui.logBox.isHidden() and "Done." in panel.ui.logEdit.toPlainText()
