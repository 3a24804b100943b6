"""The panel and the scene: close, save and load, import, module reload, many volumes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from RPRLocalizationLib.logic import RPRLocalizationLogic
from RPRLocalizationLib.panel.resultssection import CENTER, CT, STATUS
from RPRLocalizationLib.parameters import ReferenceSource
from RPRLocalizationLib.scene.resultrows import Run
from support.panels.fake_worker import FakeWorker

MOST_MEGABYTES = 100


def test_closedSceneLeavesAnEmptyWorkingPanel(panel):
    panel.ready()
    panel.localize()
    slicer.mrmlScene.Clear(0)
    panel.host.processEvents()
    assert panel.cells(CT) == panel.targets() == panel.names() == [] and panel.run is None
    panel.ready()
    panel.localize()
    assert len(panel.cells(CT)) == 2


def test_sceneClosedDuringARunEndsIt(panel):
    panel.ready()
    panel.worker.held.add("locate")
    panel.click(panel.ui.runButton)
    panel.host.waitFor(lambda: "locate" in panel.worker.methods())
    slicer.mrmlScene.Clear(0)
    panel.host.processEvents()
    assert not panel.logic.running and Run.ofScene(slicer.mrmlScene) == []
    panel.worker.held.clear()
    panel.ready()
    panel.localize()
    assert len(panel.cells(CT)) == 2


def begin(panel, method="locate"):
    """A run (or the making of a template) that has got as far as its request of the method."""
    panel.ready(queries=2)
    panel.worker.held.add(method)
    panel.click(panel.ui.runButton)
    panel.host.waitFor(lambda: method in panel.worker.methods())
    assert panel.ui.progressLabel.text and not panel.ui.progressBar.isHidden()


def assertShowsNoRun(panel):
    panel.host.processEvents()
    assert panel.ui.progressLabel.text == "" and panel.ui.progressBar.isHidden()
    assert not panel.ui.cancelButton.enabled


@pytest.mark.parametrize("method", ["hello", "load", "template.make", "locate"])
def test_sceneClosedDuringARunLeavesNoProgress(panel, method, tmp_path):
    begin(panel, method)
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    assertShowsNoRun(panel)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assertShowsNoRun(panel)
    panel.worker.held.clear()
    panel.localize()
    assert len(panel.cells(CT)) == 4 and panel.ui.progressLabel.text == "Done."
    slicer.mrmlScene.Clear(0)
    assertShowsNoRun(panel)


def test_templateGivenUpWithTheSceneLeavesNoProgress(panel):
    panel.ready()
    panel.worker.held.add("template.make")
    panel.host.dialogs.answerInput("mine")
    panel.click(panel.ui.saveTemplateButton)
    panel.host.waitFor(lambda: "template.make" in panel.worker.methods())
    slicer.mrmlScene.Clear(0)
    assertShowsNoRun(panel)


def test_runThatTheUserRemovedLeavesNoProgress(panel):
    begin(panel)
    slicer.mrmlScene.RemoveNode(panel.run.node)
    panel.worker.open[-1].tell({"event": "partial", "results": [], "problem": ""})
    assertShowsNoRun(panel)


def test_closedLogicLeavesNoProgress(panel):
    begin(panel)
    panel.logic.close()
    assertShowsNoRun(panel)


def test_sceneClosedWhilePlacing(panel):
    panel.addVolume("CT")
    panel.click(panel.ui.placeBoxButton)
    slicer.mrmlScene.Clear(0)
    panel.host.processEvents()
    assert not panel.ui.placeBoxButton.checked


def test_runRemovedByTheUserDuringTheRun(panel):
    panel.ready(queries=2)
    panel.worker.held.add("locate")
    panel.click(panel.ui.runButton)
    panel.host.waitFor(lambda: "locate" in panel.worker.methods())
    slicer.mrmlScene.RemoveNode(panel.run.node)
    panel.worker.open[-1].tell({"event": "partial", "results": [], "problem": ""})
    panel.host.processEvents()
    assert not panel.logic.running and panel.ui.runSelector.count == 0


def choose(panel, tmp_path):
    """Choices that differ from the defaults, in every section."""
    volumes = panel.ready(queries=2)
    panel.parameters.referenceVolume = volumes[1]
    panel.tick(2)
    panel.tick(1, False)
    panel.ui.filterEdit.setText("que")
    panel.ui.useFolderCheckBox.click()
    panel.ui.folderEdit.setCurrentPath(str(tmp_path))
    panel.ui.extremePointsCheckBox.click()
    panel.ui.frameSelector.setCurrentIndex(panel.ui.frameSelector.findText("RAS"))
    panel.ui.targetsTable.item(1, 0).setCheckState(qt.Qt.Unchecked)
    panel.host.processEvents()


def state(panel):
    p = panel.parameters
    ticks = [
        panel.ui.targetsTable.item(row, 0).checkState() == qt.Qt.Checked
        for row in range(len(panel.targets()))
    ]
    lists = [sorted(node.GetName() for node in nodes) for nodes in (p.targetNodes, p.queryVolumes)]
    texts = [
        p.referenceVolume.GetName(),
        p.queryFilter,
        p.queryFolder,
        p.exportFrame.name,
        p.referenceSource.name,
    ]
    flags = [p.useQueryFolder, p.extremePoints]
    widgets = [
        panel.ui.filterEdit.text,
        panel.ui.folderEdit.currentPath,
        panel.ui.frameSelector.currentText,
    ]
    return panel.targets(), ticks, lists, texts, flags, widgets, panel.names()


def test_savedSceneRestoresAllChoicesAndResults(panel, tmp_path):
    (tmp_path / "a.nrrd").write_bytes(b"")
    choose(panel, tmp_path)
    panel.localize()
    panel.ui.resultsTable.setCurrentCell(0, 0)
    panel.click(panel.ui.acceptButton)
    before, rows = state(panel), [panel.cells(column) for column in range(8)]
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    panel.host.processEvents()
    assert panel.targets() == []
    slicer.util.loadScene(path)
    panel.host.processEvents()
    assert state(panel) == before
    assert [panel.cells(column) for column in range(8)] == rows
    roi = next(node for node in panel.run.resultNodes() if node.IsA("vtkMRMLMarkupsFiducialNode"))
    roi.SetNthControlPointPosition(0, 1.0, 2.0, 3.0)
    panel.host.processEvents()
    assert any("moved" in cell for cell in panel.cells(CENTER)), "loaded results are followed"
    panel.host.dialogs.answerMessage(qt.QMessageBox.Yes)
    panel.click(panel.ui.removeResultsButton)
    assert panel.cells(CT) == []


def test_templateChoiceIsRestored(panel, tmp_path):
    panel.addVolume("CT")
    panel.ui.templateRadio.click()
    panel.host.processEvents()
    panel.ui.targetsTable.item(0, 0).setCheckState(qt.Qt.Unchecked)
    panel.host.processEvents()
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    panel.host.processEvents()
    assert panel.ui.markedRadio.checked
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.host.processEvents()
    assert (
        panel.ui.templateRadio.checked
        and panel.parameters.referenceSource == ReferenceSource.TEMPLATE
    )
    assert (
        panel.ui.targetsTable.item(0, 0).checkState()
        != panel.ui.targetsTable.item(1, 0).checkState()
    )


def test_reloadedModuleGoesOnWithTheSceneAndEndsTheOldWorker(panel):
    panel.ready()
    panel.localize()
    panel.widget.onReload()
    panel.host.processEvents()
    again = slicer.modules.RPRLocalizationWidget
    assert again is not panel.widget and panel.worker.closed >= 1
    assert again.ui.targetsTable.rowCount == 2 and again.ui.resultsTable.rowCount == 2
    assert again.panel.parameters.referenceVolume.GetName() == "reference"


def test_leftAndReopenedModuleShowsTheSame(panel):
    panel.ready()
    panel.widget.exit()
    panel.addVolume("later")
    panel.widget.enter()
    panel.host.processEvents()
    assert "later" in panel.names() and panel.targets() == ["nose", "liver"]


def test_unloadedModuleEndsTheRunAndItsWorker(panel):
    panel.ready()
    panel.worker.held.add("locate")
    panel.click(panel.ui.runButton)
    panel.host.unloadModules()
    assert panel.worker.closed == 1 and not panel.logic.running
    panel.host.processEvents()


def test_twentyVolumesOfWhichTheSeventhCannotBeRead(panel):
    volumes = panel.ready(queries=20)
    for number in range(5):
        panel.addBox(f"organ {number}")
    volumes[7].SetAndObserveImageData(None)
    panel.localize()
    statuses = panel.cells(STATUS)
    assert len(statuses) == 134
    assert [n for n, s in enumerate(statuses) if s == "✗ failed"] == [42], "one row for this CT"
    assert len(panel.run.resultNodes()) == 19 * 7


def test_logicWorksWithoutThePanel(host):
    reference = slicer.util.addVolumeFromArray(_array(), name="reference")
    query = slicer.util.addVolumeFromArray(_array(), name="query")
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    points.AddControlPoint([1.0, 2.0, 3.0], "nose")
    worker = FakeWorker(lambda then: qt.QTimer.singleShot(0, then))
    logic = RPRLocalizationLogic(client=worker)
    run = logic.localize(reference, [points], [query])
    assert [(row.query, row.target, row.status) for row in run.rows] == [("query", "nose", "ok")]
    worker.replies["load"] = lambda params: [
        {"event": "error", "code": "model", "message": "no such model"}
    ]
    with pytest.raises(RuntimeError, match="no such model"):
        logic.localize(reference, [points], [query])
    assert len(Run.ofScene(slicer.mrmlScene)) == 1, "a run without rows leaves nothing"
    logic.close()


def _array():
    return np.full((8, 9, 10), 40, np.int16)


@pytest.mark.parametrize(
    "arguments", [{}, {"queries": ["x"]}, {"queries": ["x"], "template": {"targets": []}}]
)
def test_logicRefusesWrongInputs(host, arguments):
    from rprloc.errors import InputError

    with pytest.raises(InputError):
        RPRLocalizationLogic(client=FakeWorker()).localize(**arguments)


def test_openingThePanelImportsNoTorch():
    """In a process of its own: the application must not wait seconds for an import of torch."""
    program = (
        "import slicerhost, sys\n"
        "host = slicerhost.start()\n"
        "host.loadModule('RPRLocalization')\n"
        "host.unloadModules()\n"
        "print('torch' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "False"


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="reads the memory of the process from /proc"
)
def test_twentyRunsKeepTheMemoryOfTheApplication(panel):
    """Growth of the process that stands for Slicer, volumes of 128 x 128 x 110 voxels."""
    panel.ready()
    query = slicer.util.getNode("query 1")
    slicer.util.updateVolumeFromArray(query, np.full((110, 128, 128), 40, np.int16))

    def megabytes():
        return (
            int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        )

    panel.localize()
    before = megabytes()
    for _run in range(20):
        panel.localize()
        panel.click(panel.ui.removeResultsButton)
    assert megabytes() - before < MOST_MEGABYTES
