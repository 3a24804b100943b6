"""Section 3 of RPRTraining: the training, its curves, pause, stop and resume; fake worker."""

from __future__ import annotations

import pytest
import slicer
import vtk
from support.panels.fake_trainer import trained, training_events


def paused(bench, message: str = "") -> None:
    """The training tells that it is paused."""
    bench.tell({"kind": "paused", "stage": "coarse", "message": message})


def test_trainingIsWhatSectionsOneAndTwoSay(bench):
    bench.ui.sourceEdit.setText("our clinic")
    bench.begin()
    (params,) = bench.worker.of("train.start")
    assert params["images"] == str(bench.folder) and len(params["rows"]) == 6
    assert params["name"] == "my abdomen" and params["body_region"] == "abdomen"
    assert params["data"] == {"source": "our clinic", "licence": "not stated"}
    assert params["out"] == str(bench.logic.settings.runsFolder / "my-abdomen")
    assert params["minutes"] is None and params["preset"] == "from-data"


def test_noTrainingIsWrittenOverAnother(bench):
    (bench.logic.settings.runsFolder / "my-abdomen").mkdir(parents=True)
    bench.begin()
    assert bench.worker.of("train.start")[0]["out"].endswith("my-abdomen-2")


def test_progressFiguresAndTimeLeft(bench):
    bench.begin()
    bench.tell(*training_events()[:6])
    assert bench.ui.trainProgressBar.value == 125 and not bench.ui.trainProgressBar.isHidden()
    assert bench.ui.trainStatusLabel.text == "Coarse network, step 10 - about 60 s left"
    figures = bench.ui.trainFiguresLabel.text
    assert (
        "training CTs: 40.0 mm" in figures
        and "held-out CTs: 45.0 mm (without a network: 90.0 mm)" in figures
    )
    assert "cells" not in figures, "a number for developers; the log of the worker has it"
    assert not bench.ui.scanButton.enabled and "training is running" in bench.ui.scanButton.toolTip
    assert not bench.ui.planForm.enabled


@pytest.mark.mainwindow
def test_curvesAreShownOnRequestAndTheLayoutComesBack(bench):
    manager = slicer.app.layoutManager()
    before = manager.layout
    bench.begin()
    assert not bench.ui.curveButton.enabled and bench.ui.curveButton.toolTip
    bench.tell(*training_events())
    assert manager.layout == before, "nothing changes the layout unasked"
    chart = bench.logic.curves.chart()
    assert chart.GetNumberOfPlotSeriesNodes() == 6 and chart.GetTitle() == "my abdomen"
    table = chart.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
    assert [table.GetValue(row, 1).ToDouble() for row in (0, 1)] == [80.0, 40.0]
    bench.click(bench.ui.curveButton)
    assert manager.layout != before and manager.plotViewCount == 1
    assert manager.plotWidget(0).mrmlPlotViewNode().GetPlotChartNodeID() == chart.GetID()
    assert bench.ui.curveButton.text == "Back to my layout"
    bench.click(bench.ui.curveButton)
    assert manager.layout == before and bench.ui.curveButton.text == "Show curves"


@pytest.mark.mainwindow
def test_curvesAreDrawn(bench):
    bench.begin()
    bench.tell(*training_events())
    bench.click(bench.ui.curveButton)
    view = slicer.app.layoutManager().plotWidget(0).plotView()
    assert view.chart().GetNumberOfPlots() == 6
    assert len({tuple(color) for color in view.picture().reshape(-1, 3)[::7].tolist()}) > 10


def test_curveOfOnePointIsDrawnWithoutAnErrorOfVtk(bench):
    """A line of one point is drawn, but every drawing of it is an error in Slicer's log."""

    def drawn():
        series = bench.logic.curves.chart().GetNthPlotSeriesNode(0)
        table = series.GetTableNode().GetTable()
        return [table.GetValue(row, 1).ToDouble() for row in range(table.GetNumberOfRows())]

    bench.begin()
    for step, rows in enumerate(([80.0, 80.0], [80.0, 40.0], [80.0, 40.0, 30.0])):
        bench.logic.curves.take({"stage": "coarse", "step": step, "pair_mm": rows[-1]})
        assert drawn() == rows


@pytest.mark.mainwindow
def test_curvesStandAloneWhereNoImageIsShownAndTheirAxisBeginsAtZero(bench):
    bench.begin()
    bench.tell(*training_events())
    bench.click(bench.ui.curveButton)
    plotOnly = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpPlotView
    assert slicer.app.layoutManager().layout == plotOnly
    chart = slicer.app.layoutManager().plotWidget(0).plotView().chart()
    errors = [error for curve in bench.logic.curves.points.values() for _step, error in curve]
    axis = chart.GetAxis(vtk.vtkAxis.LEFT)
    assert axis.GetMinimum() == 0 and axis.GetMaximum() > max(errors)
    bench.click(bench.ui.curveButton)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    bench.click(bench.ui.curveButton)
    assert slicer.app.layoutManager().layout != plotOnly, "the images stay beside the chart"


@pytest.mark.mainwindow
def test_layoutThatTheUserChoosesMeanwhileStays(bench):
    bench.begin()
    bench.tell(*training_events())
    bench.click(bench.ui.curveButton)
    other = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    slicer.app.layoutManager().setLayout(other)
    bench.settle()
    assert bench.ui.curveButton.text == "Show curves" and slicer.app.layoutManager().layout == other


def test_closingTheSceneKeepsTrainingAndCurves(bench):
    bench.begin()
    events = training_events()
    bench.tell(*events[:8])
    slicer.mrmlScene.Clear(False)
    bench.settle()
    assert bench.logic.training and bench.logic.curves.chart() is None
    bench.tell(*events[8:12])
    series = bench.logic.curves.chart().GetNthPlotSeriesNode(0)
    assert series.GetTableNode().GetTable().GetNumberOfRows() == 5, (
        "the points from before are there again"
    )


def test_nextTrainingUsesTheChartAgain(bench):
    bench.train()
    bench.train()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 1
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 6
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 6


def test_nodesOfTheUserThatHaveTheOldIDsAreLeftAlone(bench):
    """After the scene was closed, the next nodes get the IDs that the curves' nodes had."""
    bench.train()
    slicer.mrmlScene.Clear(False)
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", "mine")
    for _number in range(6):
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "mine")
        series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "mine")
        series.SetAndObserveTableNodeID(table.GetID())
    bench.train()
    assert len(slicer.util.getNodesByClass("vtkMRMLTableNode")) == 12
    assert [n.GetName() for n in slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")][:6] == [
        "mine"
    ] * 6
    assert not chart.GetTitle() and not chart.GetNumberOfPlotSeriesNodes()


def test_tableOfTheUserInACurveIsNotRemovedWithIt(bench):
    bench.train()
    series = bench.logic.curves.chart().GetNthPlotSeriesNode(0)
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "mine")
    series.SetAndObserveTableNodeID(table.GetID())
    bench.train()
    assert slicer.mrmlScene.IsNodePresent(table)


def test_pauseAndContinue(bench):
    bench.begin()
    bench.tell(*training_events()[:5])
    bench.click(bench.ui.pauseButton)
    assert bench.worker.actions == ["pause"] and bench.ui.pauseButton.text == "Continue"
    assert bench.ui.trainStatusLabel.text.startswith("Paused")
    bench.click(bench.ui.pauseButton)
    assert bench.worker.actions == ["pause", "resume"] and bench.ui.pauseButton.text == "Pause"
    assert bench.logic.training


def test_fullDiskPausesWithAClearMessage(bench):
    bench.begin()
    bench.tell(*training_events()[:5])
    paused(bench, "The disk is full: make room, then continue")
    assert (
        "disk is full" in bench.ui.trainStatusLabel.text and bench.ui.pauseButton.text == "Continue"
    )
    bench.click(bench.ui.pauseButton)
    assert bench.worker.actions == ["resume"]


def test_stopKeepsTheBest(bench):
    bench.begin()
    bench.tell(*training_events()[:5])
    bench.click(bench.ui.stopButton)
    assert bench.worker.actions == ["stop"] and not bench.logic.training
    assert "best network so far was kept" in bench.ui.trainStatusLabel.text
    assert not bench.ui.stopButton.enabled and "No training" in bench.ui.stopButton.toolTip


def test_warningsOpenTheLog(bench):
    bench.begin()
    assert bench.ui.trainLogBox.collapsed
    text = "out of GPU memory: going on with half the queries"
    bench.worker.last("train.start").tell({"event": "log", "level": "warning", "message": text})
    bench.settle()
    assert (
        text in bench.log()
        and not bench.ui.trainLogBox.collapsed
        and bench.ui.trainLogEdit.readOnly
    )


def test_deathOfTheWorkerCanBeResumed(bench):
    bench.begin()
    folder = bench.worker.of("train.start")[0]["out"]
    run = bench.logic.settings.runsFolder / "my-abdomen"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}", encoding="utf-8")
    bench.worker.runs = [trained(folder, "my abdomen", "interrupted")]
    died = {
        "event": "error",
        "code": "worker-died",
        "message": "The process ended",
        "details": "Killed",
    }
    bench.worker.last("train.start").tell(died)
    bench.settle()
    assert "Resume goes on" in bench.ui.trainStatusLabel.text and "Killed" in bench.log()
    assert not bench.ui.unfinishedBox.isHidden()
    assert bench.ui.unfinishedSelector.itemText(0).startswith(
        "my abdomen: coarse network, 43 % done"
    )
    bench.click(bench.ui.resumeRunButton)
    assert bench.worker.of("train.start")[-1] == {"resume": folder, "device": "auto"}
    assert bench.ui.unfinishedBox.isHidden(), "it is running"


def test_unfinishedTrainingIsFoundWhenTheModuleIsOpened(bench):
    run = bench.logic.settings.runsFolder / "old"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}", encoding="utf-8")
    bench.worker.runs = [
        trained(str(run), "old", "interrupted"),
        trained(str(run), "other", "done"),
    ]
    bench.widget.enter()
    bench.settle()
    assert bench.worker.of("train.find") == [{"folders": [str(bench.logic.settings.runsFolder)]}]
    assert bench.ui.unfinishedSelector.count == 1 and not bench.ui.unfinishedBox.isHidden()


def test_errorOfTheTrainingIsShownAndTheNextOneWorks(bench):
    bench.worker.replies["train.start"] = lambda params: [
        {"event": "error", "code": "input", "message": "the reason"}
    ]
    bench.train()
    assert bench.ui.trainStatusLabel.text == "⚠ the reason" and "the reason" in bench.log()
    del bench.worker.replies["train.start"]
    bench.train()
    assert bench.ui.trainStatusLabel.text.startswith("Done")


def test_missingTorchIsAskedForFirst(bench, monkeypatch):
    from RPRLocalizationLib.widgets import torchsetup

    bench.scan()
    bench.plan()
    monkeypatch.setattr(torchsetup, "torchInstalled", lambda: False)
    monkeypatch.setattr(torchsetup, "extensionInstalled", lambda: False)
    bench.host.dialogs.answerMessage()
    bench.click(bench.ui.trainButton)
    assert "PyTorch" in bench.host.dialogs.shown[-1].text and not bench.worker.of("train.start")


@pytest.mark.mainwindow
def test_unloadingTheModuleEndsTheWorker(bench):
    bench.begin()
    bench.host.unloadModules()
    assert bench.worker.closed == 1
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)


@pytest.mark.mainwindow
def test_plotViewFollowsTheTraining(bench):
    bench.begin()
    events = training_events()
    bench.tell(*events[:6])
    bench.click(bench.ui.curveButton)
    changes = []
    # The plot view draws when its chart node changes.
    bench.logic.curves.chart().AddObserver("ModifiedEvent", lambda *_: changes.append(1))
    bench.tell(events[6])
    assert len(changes) == 1, "one drawing for one new point"
