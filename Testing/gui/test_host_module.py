"""A scripted module in the host: its life, its parameters, its scene."""

from __future__ import annotations

import logging
import os
import pathlib
import sys
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from slicerhost.host import STAND_INS
from slicerhost.qt import failures

MODULE = str(Path(__file__).parent / "modules" / "HostSample" / "HostSample.py")


@pytest.fixture
def widget(loadModule):
    return loadModule(MODULE)


def addVolume(name="CT"):
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(volume, np.zeros((3, 4, 5), np.int16))
    volume.CreateDefaultDisplayNodes()
    return volume


def test_lifeOfAModule(host, widget):
    module = slicer.modules.hostsample
    assert (module.title, list(module.categories), module.path) == (
        "Host Sample",
        ["Testing"],
        MODULE,
    )
    assert slicer.modules.HostSampleInstance.started
    assert slicer.modules.HostSampleWidget is widget and widget.log == ["enter"]
    assert slicer.util.getModuleGui("HostSample") is widget
    host.unloadModules()
    assert widget.log == ["enter", "exit", "cleanup"]
    assert not hasattr(slicer.modules, "hostsample")


def test_reloadMakesANewWidgetFromNewCode(host, loadModule, tmp_path):
    folder = tmp_path / "HostSample"
    (folder / "Resources" / "UI").mkdir(parents=True)
    source = Path(MODULE)
    for file in (source, source.parent / "Resources" / "UI" / "HostSample.ui"):
        (folder / file.relative_to(source.parent)).write_bytes(file.read_bytes())
    code = folder / "HostSample.py"
    before = loadModule(str(code))
    code.write_text(code.read_text().replace('GREETING = "first"', 'GREETING = "the second"'))
    before.onReload()
    after = slicer.modules.HostSampleWidget
    assert after is not before and after.greeting == "the second"
    assert before.log == ["enter", "cleanup"]
    after.ui.labelEdit.text = "typed"
    assert after.logic.getParameterNode().label == "typed"


def test_slicersOwnPythonIsUsedWhenNamed(host, widget):
    folder = os.environ.get("SLICER_PYTHON_SOURCE") or str(STAND_INS)
    for name in ("ScriptedLoadableModule", "parameterNodeWrapper", "i18n"):
        assert sys.modules[f"slicer.{name}"].__file__.startswith(folder)


def test_developerMode(host, loadModule):
    qt.QSettings().setValue("Developer/DeveloperMode", True)
    widget = loadModule(MODULE)
    assert widget.developerMode
    if host.usesSlicersPython:
        widget.reloadButton.click()
        assert slicer.modules.HostSampleWidget is not widget


def test_guiAndParameterNodeFollowEachOther(host, widget):
    parameters, ui = widget._parameterNode, widget.ui
    volume = addVolume()
    ui.volumeSelector.setCurrentNode(volume)
    ui.thresholdSlider.value = 42.0
    ui.countBox.value = 7
    ui.invertBox.checked = True
    ui.speedBox.currentText = "FAST"
    ui.kindBox.currentIndex = 1
    ui.folderEdit.currentPath = "/tmp"
    assert parameters.volume is volume
    assert (parameters.threshold, parameters.count, parameters.invert, parameters.kind) == (
        42.0,
        7,
        True,
        "b",
    )
    assert parameters.speed.name == "FAST" and parameters.folder == pathlib.Path("/tmp")
    parameters.label = "text"
    parameters.volume = None
    assert ui.labelEdit.text == "text" and ui.volumeSelector.currentNode() is None


def test_listsDefaultsAndValidation(host, widget):
    parameters = widget._parameterNode
    parameters.names.append("one")
    parameters.names += ["two"]
    assert list(parameters.names) == ["one", "two"] and (
        parameters.count,
        parameters.threshold,
    ) == (3, 10)
    with pytest.raises(ValueError, match="10"):
        parameters.count = 10
    with pytest.raises(TypeError):
        parameters.label = 5


def test_sceneCloseGivesANewParameterNode(host, widget):
    widget.ui.labelEdit.text = "old"
    addVolume()
    slicer.mrmlScene.Clear(0)
    assert widget.ui.volumeSelector.currentNode() is None
    widget.ui.countBox.value = 5
    assert widget.logic.getParameterNode().count == 5


@pytest.mark.parametrize("suffix", [".mrb", ".mrml"])
def test_savedSceneRestoresAllChoices(host, widget, tmp_path, suffix):
    ui = widget.ui
    ui.volumeSelector.setCurrentNode(addVolume("chosen"))
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    points.AddControlPoint(1, 2, 3, "P")
    ui.pointsSelector.setCurrentNode(points)
    ui.countBox.value = 8
    ui.speedBox.currentText = "FAST"
    widget._parameterNode.names = ["x", "y"]
    path = str(tmp_path / f"scene{suffix}")
    if suffix == ".mrml":
        for node in (points, slicer.util.getNode("chosen")):
            assert slicer.util.saveNode(
                node,
                str(tmp_path / (node.GetName() + (".mrk.json" if node is points else ".nrrd"))),
            )
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    assert ui.countBox.value == 3 and ui.volumeSelector.currentNode() is None
    slicer.util.loadScene(path)
    assert ui.volumeSelector.currentNode().GetName() == "chosen"
    assert ui.pointsSelector.currentNode().GetNumberOfControlPoints() == 1
    assert (ui.countBox.value, ui.speedBox.currentText) == (8, "FAST")
    assert list(widget._parameterNode.names) == ["x", "y"]


def test_applyWorksAndShowsItsError(host, widget):
    logging.disable(logging.CRITICAL)
    volume = addVolume()
    widget.ui.volumeSelector.setCurrentNode(volume)
    widget.ui.applyButton.click()
    assert slicer.util.arrayFromVolume(volume).max() == 1
    widget.ui.volumeSelector.setCurrentNode(None)
    host.dialogs.answerMessage(qt.QMessageBox.Ok)
    widget.ui.applyButton.click()
    logging.disable(logging.NOTSET)
    assert (
        "It failed." in host.dialogs.shown[0].text and "ValueError" in host.dialogs.shown[0].details
    )
    # tryWithErrorDisplay raises the error again, and Slicer prints it in the Python console
    assert "no volume" in failures.take()[0]
