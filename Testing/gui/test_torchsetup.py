"""PyTorch: which one is installed, which one fits, and that it is installed once."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import qt
from RPRLocalizationLib.widgets import torchsetup, torchversion


@pytest.fixture
def torchFolder(tmp_path, monkeypatch):
    """A folder ``torch`` that is found before any other, without code."""
    monkeypatch.setitem(sys.modules, "torch", None)
    del sys.modules["torch"]
    folder = tmp_path / "torch"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return folder


def install(folder, version):
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "version.py").write_text(f"__version__ = '{version}'\n", encoding="utf-8")


def test_leftOverFolderIsNoPyTorch(torchFolder):
    (torchFolder / "lib").mkdir()
    assert torchversion.installedVersion() == "" and not torchsetup.torchInstalled()
    (torchFolder / "__init__.py").write_text("", encoding="utf-8")
    assert torchversion.installedVersion() == "", "no whole one"


@pytest.mark.parametrize(
    ("version", "numpy", "fits"),
    [
        ("2.13.0+cpu", "2.4.6", True),
        ("2.3.0", "2.0.2", True),
        ("2.2.2", "1.26.4", True),
        ("2.2.2", "2.0.2", False),
        ("2.1.0", "1.26.4", False),
        ("1.13.1+cu117", "1.26.4", False),
        ("2.4.0a0+git1234", "2.0.2", True),
    ],
)
def test_versionIsCompared(torchFolder, monkeypatch, version, numpy, fits):
    monkeypatch.setattr(np, "__version__", numpy)
    install(torchFolder, version)
    assert torchversion.installedVersion() == version
    assert torchsetup.torchInstalled() is fits
    assert (torchversion.whyUnfit(version) == "") is fits


def test_realPyTorchIsFoundWithoutItsImport(host):
    assert torchsetup.torchInstalled()
    host.pytorch.set(extension=False, torch=False)
    assert not torchsetup.torchInstalled()


def test_oldPyTorchSaysWhereToUpdateIt(host, torchFolder):
    install(torchFolder, "1.13.1")
    host.dialogs.answerMessage()
    assert not torchsetup.ensureTorch()
    text = host.dialogs.shown[-1].text
    assert "1.13.1" in text and "2.2 or later" in text and "PyTorch Utils" in text


def test_macOnIntelIsToldBeforeAnyDownload(host, monkeypatch):
    host.pytorch.set(extension=True, torch=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(torchversion.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(np, "__version__", "2.4.6")
    host.dialogs.answerMessage()
    assert not torchsetup.ensureTorch() and host.pytorch.installations == []
    assert "There is no PyTorch for this Slicer" in host.dialogs.shown[-1].text


@pytest.mark.parametrize(("machine", "numpy"), [("arm64", "2.4.6"), ("x86_64", "1.26.4")])
def test_otherMacsAreServed(host, monkeypatch, machine, numpy):
    host.pytorch.set(extension=True, torch=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(torchversion.platform, "machine", lambda: machine)
    monkeypatch.setattr(np, "__version__", numpy)
    host.dialogs.answerMessage("Install PyTorch")
    torchsetup.ensureTorch()
    (installation,) = host.pytorch.installations
    assert installation["torchVersionRequirement"] == ">=2.2", "2.2 is the last one for some"


@pytest.fixture
def fresh(panel, monkeypatch):
    """The panel, ready, without PyTorch; what is clicked while it is being installed is noted."""
    panel.ready()
    panel.host.pytorch.set(extension=True, torch=False)
    monkeypatch.setattr(torchsetup, "torchInstalled", lambda: not panel.host.pytorch.torchHidden)
    return panel


def test_clicksDuringTheInstallationBeginNoSecondOne(fresh):
    seen = []

    def clickEverything():
        fresh.host.processEvents()
        for button in (fresh.ui.runButton, fresh.ui.devicesButton, fresh.ui.saveTemplateButton):
            seen.append((button.enabled, button.toolTip))
            button.click()
        # A click that was on its way before the buttons were disabled.
        fresh.widget.panel.run._onRun()
        fresh.widget.panel._onSaveTemplate()
        assert not torchsetup.ensureTorch()
        fresh.host.processEvents()

    fresh.host.pytorch.whileInstalling = clickEverything
    fresh.host.dialogs.answerMessage("Install PyTorch")
    fresh.localize()
    assert len(fresh.host.pytorch.installations) == 1
    assert not any(enabled for enabled, _tip in seen)
    assert all("being installed" in tip for _enabled, tip in seen)
    assert fresh.worker.methods().count("locate") == 1 and fresh.ui.devicesButton.enabled


def test_failedInstallationLeavesThePanelUsable(fresh):
    fresh.host.pytorch.succeeds = False
    for _twice in range(2):
        fresh.host.dialogs.answerMessage("Install PyTorch")
        if fresh.host.mainWindow is not None:
            fresh.host.dialogs.answerMessage()
        fresh.click(fresh.ui.runButton)
    assert len(fresh.host.pytorch.installations) == 2 and fresh.ui.runButton.enabled


def test_trainingPanelWaitsForTheInstallationToo(bench, monkeypatch):
    bench.scan()
    bench.plan()
    bench.host.pytorch.set(extension=True, torch=False)
    monkeypatch.setattr(torchsetup, "torchInstalled", lambda: not bench.host.pytorch.torchHidden)
    seen = []

    def clickEverything():
        bench.host.processEvents()
        seen.extend([bench.ui.trainButton.toolTip, bench.ui.findDevicesButton.toolTip])
        bench.panel.train._onStart()
        bench.panel.plan._onFindDevices()
        bench.panel.judge._onCheck()

    bench.host.pytorch.whileInstalling = clickEverything
    bench.host.dialogs.answerMessage("Install PyTorch")
    bench.click(bench.ui.trainButton)
    assert len(bench.host.pytorch.installations) == 1 and all("installed" in tip for tip in seen)
    assert len(bench.worker.of("train.start")) == 1


@pytest.mark.parametrize("button", ["exportCsvButton", "exportMarkupsButton", "modelFolderButton"])
def test_actionWithADialogIsNotEnteredTwice(panel, monkeypatch, button, tmp_path):
    """While its dialog is open, a click that was on its way begins nothing."""
    panel.ready()
    panel.localize()
    calls = []

    def ask(*arguments):
        calls.append(arguments)
        if len(calls) < 5:
            getattr(panel.ui, button).click()
        return ""

    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", ask)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", ask)
    panel.click(getattr(panel.ui, button))
    assert len(calls) == 1
    panel.click(getattr(panel.ui, button))
    assert len(calls) == 2, "the next click is a new one"
