"""Section 4 of the panel: table, review, dragging, cropping, export, removal; fake worker."""

from __future__ import annotations

import base64
import csv
import json

import numpy as np
import pytest
import qt
import slicer
import vtk
from RPRLocalizationLib.panel.resultssection import (
    CENTER,
    CT,
    CYCLE,
    REVIEW,
    SIZE,
    SPREAD,
    STATUS,
    TARGET,
)
from RPRLocalizationLib.scene import conversion, viewing
from support import phantoms
from support.panels.fake_worker import located
from support.panels.panel_driver import PanelDriver
from support.paths import SAMPLE_DATA as SAMPLE

from rprloc.errors import InputError
from rprloc.geometry import Geometry
from rprloc.image.volume import Volume
from rprloc.targets.segment_mask import SegmentMask

# Pixels that a module panel of the usual width leaves for a table.
PANEL_WIDTH = 460


@pytest.fixture
def done(panel) -> PanelDriver:
    """Two queries searched for a landmark and three boxes, one of them doubtful and one outside."""
    panel.ready(queries=2)
    panel.addBox("doubtful spleen")
    panel.addBox("outside kidney")
    panel.localize()
    return panel


def select(panel, row):
    panel.ui.resultsTable.setCurrentCell(row, 0)
    panel.host.processEvents()


def background():
    return (
        slicer.app.layoutManager()
        .sliceWidget("Red")
        .sliceLogic()
        .GetSliceCompositeNode()
        .GetBackgroundVolumeID()
    )


def redPosition():
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    return [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]


def inView(node, ras):
    """Pixel of a place in a slice view, and how far it is from the slice (in slices)."""
    inverse = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), inverse)
    return np.array(inverse.MultiplyPoint((*ras, 1.0))[:3])


def sliceNodes():
    manager = slicer.app.layoutManager()
    return [manager.sliceWidget(name).mrmlSliceNode() for name in manager.sliceViewNames()]


def test_emptyTableExplainsItsButtons(panel):
    ui = panel.ui
    for button in (ui.acceptButton, ui.rejectButton, ui.nextButton, ui.loadButton, ui.cropButton):
        assert not button.enabled and "no results yet" in button.toolTip
    for button in (ui.removeResultsButton, ui.exportCsvButton, ui.exportMarkupsButton):
        assert not button.enabled and "no results yet" in button.toolTip


def test_tableTellsEverythingByTextAndColour(done):
    assert done.cells(CT) == ["query 1"] * 4 + ["query 2"] * 4
    assert done.cells(TARGET) == ["nose", "liver", "doubtful spleen", "outside kidney"] * 2
    assert done.cells(STATUS)[:4] == ["✓ ok", "✓ ok", "? low-confidence", "○ outside"]
    assert done.cells(SIZE)[:2] == ["", "20.0, 20.0, 20.0"] and done.cells(SPREAD)[0] == "3.0"
    backgrounds = {
        done.ui.resultsTable.item(row, STATUS).background().color().name() for row in (1, 2, 3)
    }
    assert len(backgrounds) == 3
    assert done.ui.summaryLabel.text == "✓ ok: 4, ? low-confidence: 2, ○ outside: 2"


def test_anAnswerWithANoteSaysSoWithoutAClick(panel):
    panel.ready(queries=1)
    panel.addBox("noted spleen")
    panel.localize()
    row = panel.cells(TARGET).index("noted spleen")
    assert panel.cells(STATUS)[row] == "✓ ok, see note"
    panel.click(panel.ui.nextButton)
    assert panel.ui.resultsTable.currentRow() == row
    assert "the file tells no orientation" in panel.ui.reasonLabel.text


def test_ctIsNamedOnlyWhereThereAreSeveral(done):
    table = done.ui.resultsTable
    assert not table.isColumnHidden(CT)
    done.click(done.ui.noneButton)
    done.tick(1)
    done.localize()
    assert set(done.cells(CT)) == {"query 1"} and table.isColumnHidden(CT)
    done.click(done.ui.allButton)
    done.localize()
    assert not table.isColumnHidden(CT) and table.columnWidth(CT) > 0


def test_whatTellsTheTrustIsVisibleWithoutScrolling(done):
    table = done.ui.resultsTable
    done.click(done.ui.noneButton)
    done.tick(1)
    done.localize()
    titles = [table.horizontalHeaderItem(column).text() for column in (STATUS, SIZE, SPREAD, CYCLE)]
    assert titles == ["Status", "Size (mm)", "Spread", "Cycle"]
    width = sum(table.columnWidth(column) for column in (STATUS, TARGET, SIZE, SPREAD, CYCLE))
    assert width <= PANEL_WIDTH
    assert done.cells(CYCLE)[0]


def test_doubtfulResultsExplainThemselves(done):
    select(done, 2)
    text = done.ui.reasonLabel.text
    assert text == "query 1, doubtful spleen: Look at it before you use it: the votes disagree."
    select(done, 3)
    assert "does not seem to be in this CT" in done.ui.reasonLabel.text
    assert "the votes disagree" in done.ui.resultsTable.item(3, STATUS).toolTip()


@pytest.mark.mainwindow
def test_firstResultIsShownAtOnce(done):
    assert done.ui.resultsTable.currentRow() == 0
    assert background() == slicer.util.getNode("query 1").GetID()


@pytest.mark.mainwindow
def test_clickedRowShowsItsVolumeAtItsPlace(done):
    layout = slicer.app.layoutManager().layout
    roi = done.run.result(5)
    roi.SetCenter(11.0, 12.0, 13.0)
    done.host.processEvents()
    select(done, 5)
    assert background() == slicer.util.getNode("query 2").GetID()
    for node in sliceNodes():
        x, y, depth = inView(node, [11.0, 12.0, 13.0])
        assert 0 < x < node.GetDimensions()[0] and 0 < y < node.GetDimensions()[1]
        assert abs(depth) < 0.01, "the slice goes through the place"
    assert slicer.app.layoutManager().layout == layout


@pytest.mark.mainwindow
def test_zoomOfANewCtIsTheSameInAllViewsAndShowsEveryResult(done):
    for n, center in ((5, (-60.0, 40.0, 10.0)), (6, (70.0, 5.0, -50.0))):
        done.run.result(n).SetCenter(*center)
    done.host.processEvents()
    select(done, 5)
    corners = viewing.resultCorners(done.run, "query 2")
    assert len(corners) == 2 * 3, "outside is not shown"
    zooms = [node.GetFieldOfView()[0] / node.GetDimensions()[0] for node in sliceNodes()]
    assert np.allclose(zooms, zooms[0])
    for node in sliceNodes():
        pixels = np.array([inView(node, corner)[:2] for corner in corners])
        assert (pixels > 0).all() and (pixels < node.GetDimensions()[:2]).all()


@pytest.mark.mainwindow
def test_zoomOfTheUserStaysWhileOneCtIsReviewed(done):
    select(done, 1)
    for node in sliceNodes():
        node.SetFieldOfView(33.0, 33.0, node.GetFieldOfView()[2])
    select(done, 2)
    assert all(node.GetFieldOfView()[0] == pytest.approx(33.0) for node in sliceNodes())
    place = [float(value) for value in done.cells(CENTER)[2].split(",")]
    for node in sliceNodes():
        x, y, _depth = inView(node, place)
        assert 0 < x < node.GetDimensions()[0] and 0 < y < node.GetDimensions()[1]


def test_onlyTheChosenBoxHasItsNameAndNoneCoversTheImage(done):
    select(done, 2)
    displays = {n: done.run.result(n).GetDisplayNode() for n in (1, 2, 5)}
    assert [bool(d.GetPropertiesLabelVisibility()) for d in displays.values()] == [
        False,
        True,
        False,
    ]
    assert all(display.GetFillOpacity() == 0 for display in displays.values())


@pytest.mark.mainwindow
def test_clickOnTheSelectedRowGoesBackToIt(done):
    select(done, 1)
    before = redPosition()
    viewing.jumpTo([5.0, 5.0, 5.0])
    assert redPosition() != before
    done.ui.resultsTable.cellClicked.emit(1, 0)
    assert redPosition() == before


def test_onlyTheResultsOfTheShownPatientAreVisible(done):
    select(done, 5)
    visible = [done.run.result(n).GetDisplayNode().GetVisibility() for n in (0, 1, 4, 5)]
    assert visible == [0, 0, 1, 1]
    assert done.run.result(5).GetDisplayNode().GetHandlesInteractive()
    select(done, 1)
    assert done.run.result(1).GetDisplayNode().GetVisibility()
    assert not done.run.result(5).GetDisplayNode().GetHandlesInteractive()


@pytest.mark.mainwindow
def test_outsideHasNoNodeAndDoesNotJump(done):
    select(done, 1)
    before = redPosition()
    select(done, 3)
    assert done.run.result(3) is None and redPosition() == before
    assert not done.ui.cropButton.enabled and "Only an organ box" in done.ui.cropButton.toolTip


def test_draggedBoxUpdatesItsRow(done):
    done.run.result(1).SetCenter(1.0, 2.0, 3.0)
    done.run.result(1).SetSize(5.0, 6.0, 7.0)
    done.host.processEvents()
    assert (
        done.cells(CENTER)[1] == "1.0, 2.0, 3.0 (moved)" and done.cells(SIZE)[1] == "5.0, 6.0, 7.0"
    )
    assert "moved" not in done.cells(CENTER)[2]


def test_draggedLandmarkUpdatesItsRow(done):
    done.run.result(0).SetNthControlPointPosition(0, 7.0, 8.0, 9.0)
    done.host.processEvents()
    assert done.cells(CENTER)[0] == "7.0, 8.0, 9.0 (moved)"


def test_reviewGoesThroughAllDoubtfulOnesFirst(done):
    select(done, 0)
    done.click(done.ui.acceptButton)
    assert done.ui.resultsTable.currentRow() == 2, "the next doubtful one"
    done.click(done.ui.rejectButton)
    assert done.ui.resultsTable.currentRow() == 6
    done.click(done.ui.acceptButton)
    assert done.cells(REVIEW) == ["accepted", "", "rejected", "", "", "", "accepted", ""]
    for _row in range(5):
        done.click(done.ui.acceptButton)
    assert not done.ui.nextButton.enabled and "has been reviewed" in done.ui.nextButton.toolTip


def test_nextSkipsNothing(done):
    select(done, 2)
    done.click(done.ui.nextButton)
    assert done.ui.resultsTable.currentRow() == 6


def test_extremePointsAreShownOnRequest(panel):
    panel.ready()
    panel.ui.extremePointsCheckBox.click()
    panel.localize()
    assert (
        panel.run.pointsNode(0) is None and panel.run.pointsNode(1).GetNumberOfControlPoints() == 6
    )


def carriedLiver(panel):
    """What the worker would answer: a liver of one voxel, and a map that moves nothing."""
    geometry = Geometry((1, 1, 1), np.full(3, 2.0), np.zeros(3), np.eye(3))
    mask = SegmentMask(np.ones((1, 1, 1), bool), geometry)
    still = base64.b64encode(np.zeros(24, "<f4").tobytes()).decode()
    lattice = {"shape": [2, 2, 2], "origin": [0.0, 0.0, 0.0], "spacing_mm": 10.0}

    def answer(params):
        partial, result = panel.worker._locate(params)
        if params.get("contours"):
            segment = {"target": "liver", "status": "ok", "radius90_mm": None}
            segments = [{**segment, "mask": mask.to_json()}]
            maps = {"reference": {**lattice, "values": still}}
            partial = {**partial, "contours": {"segments": segments, "maps": maps}}
        return [partial, result]

    panel.worker.replies["locate"] = answer


@pytest.mark.parametrize(("contours", "transforms"), [(True, False), (False, True), (True, True)])
def test_contoursAndTransformsAreMadeOnRequest(panel, contours, transforms):
    panel.ready()
    carriedLiver(panel)
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    if contours:
        panel.ui.contoursCheckBox.click()
    if transforms:
        panel.ui.transformsCheckBox.click()
    panel.localize()
    kinds = sorted(node.GetClassName() for node in panel.run.otherNodes())
    expected = ["vtkMRMLSegmentationNode"] * contours + ["vtkMRMLTransformNode"] * transforms
    assert kinds == expected
    made = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") - before
    assert made == int(contours)
    learned = [params for method, params in panel.worker.requests if method == "template.make"]
    assert all(params["contours"] for params in learned)


def test_nothingIsCarriedUnlessAskedFor(panel):
    panel.ready()
    carriedLiver(panel)
    panel.localize()
    assert panel.run.otherNodes() == []
    assert all("contours" not in params for _, params in panel.worker.requests)


def test_exportStatesTheChosenFrame(done, tmp_path):
    done.ui.frameSelector.setCurrentIndex(done.ui.frameSelector.findText("RAS"))
    done.host.processEvents()
    done.host.dialogs.answerFile(tmp_path / "t.csv")
    done.click(done.ui.exportCsvButton)
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert len(rows) == 8 and {row["frame"] for row in rows} == {"RAS"}
    ras = conversion.lpsToRas(done.run.rows[1].center)
    assert [float(rows[1][f"c{axis}_mm"]) for axis in "xyz"] == pytest.approx(
        ras.tolist(), abs=0.01
    )
    done.host.dialogs.answerFile(tmp_path)
    done.click(done.ui.exportMarkupsButton)
    content = json.loads((tmp_path / "query 1" / "liver.mrk.json").read_text())
    assert content["markups"][0]["coordinateSystem"] == "RAS"
    assert not (tmp_path / "query 1" / "outside kidney.mrk.json").exists()


@pytest.mark.parametrize(("frame", "title"), [("RAS", "R, A, S"), ("LPS", "L, P, S")])
def test_oneFrameHoldsForTheTableAndForFiles(done, tmp_path, frame, title):
    table, selector = done.ui.resultsTable, done.ui.frameSelector
    assert selector.currentText == "RAS", "as Slicer shows positions"
    selector.setCurrentIndex(selector.findText(frame))
    done.host.processEvents()
    assert table.horizontalHeaderItem(CENTER).text() == f"Centre {title} (mm)"
    expected = done.run.rows[1].center
    if frame == "RAS":
        expected = conversion.lpsToRas(expected).tolist()
    shown = [float(value) for value in done.cells(CENTER)[1].split(",")]
    assert shown == pytest.approx(expected, abs=0.06)
    done.host.dialogs.answerFile(tmp_path / "t.csv")
    done.click(done.ui.exportCsvButton)
    row = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))[1]
    assert row["frame"] == frame
    assert [float(row[f"c{axis}_mm"]) for axis in "xyz"] == pytest.approx(expected, abs=0.01)


@pytest.mark.mainwindow
def test_exportThatFailsOrIsCancelled(done, tmp_path):
    done.host.dialogs.answerFile("")
    done.click(done.ui.exportCsvButton)
    done.host.dialogs.answerFile(tmp_path / "none" / "t.csv")
    done.host.dialogs.answerMessage()
    done.click(done.ui.exportCsvButton)
    assert "could not be written" in done.host.dialogs.shown[-1].text


def test_removeLastResultsLeavesTheEarlierOnes(done):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    done.localize()
    done.click(done.ui.removeResultsButton)
    assert done.ui.runSelector.count == 1 and len(done.cells(CT)) == 8
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    done.click(done.ui.removeResultsButton)
    assert done.cells(CT) == [] and not done.ui.removeResultsButton.enabled
    assert done.targets() == ["nose", "liver", "doubtful spleen", "outside kidney"], (
        "what was marked stays"
    )


@pytest.mark.parametrize("work", ["accept", "reject", "move"])
def test_resultsWithWorkOfTheUserAreRemovedOnlyAfterAYes(done, work):
    select(done, 1)
    if work == "move":
        done.run.result(1).SetCenter(1.0, 2.0, 3.0)
        done.host.processEvents()
    else:
        done.click(getattr(done.ui, f"{work}Button"))
    run = done.run
    done.host.dialogs.answerMessage(qt.QMessageBox.No)
    done.click(done.ui.removeResultsButton)
    assert "1 results" in done.host.dialogs.shown[-1].text and run.title in (
        done.host.dialogs.shown[-1].text
    )
    assert done.run is run and len(done.cells(CT)) == 8 and len(run.resultNodes()) == 6
    done.host.dialogs.answerMessage(qt.QMessageBox.Yes)
    done.click(done.ui.removeResultsButton)
    assert done.cells(CT) == []


def test_untouchedResultsAreRemovedWithoutAQuestion(done):
    done.click(done.ui.removeResultsButton)
    assert done.cells(CT) == [] and done.host.dialogs.shown == []


def test_croppedCtIsNoQueryByItself(done):
    done.run.result(1).SetCenter(0.0, 0.0, 0.0)
    done.host.processEvents()
    select(done, 1)
    done.click(done.ui.cropButton)
    done.click(done.ui.allButton)
    assert [node.GetName() for node in done.parameters.queryVolumes] == ["query 1", "query 2"]
    done.tick(done.names().index("query 1 - liver"))
    assert len(done.parameters.queryVolumes) == 3, "the user may tick it"


def test_failedCtIsOneRowThatCanBeReviewedAndExported(panel, tmp_path):
    volumes = panel.ready()
    panel.addBox("spleen")
    panel.worker.replies["locate"] = lambda params: [
        {
            "event": "partial",
            "key": "0",
            "problem": "too little of a body",
            "results": [
                {**located(target, {}), "status": "failed", "reason": "too little of a body"}
                for target in params["template"]["targets"]
            ],
        },
        {"event": "result"},
    ]
    panel.localize()
    assert panel.cells(STATUS) == ["✗ failed"]
    select(panel, 0)
    expected = "query 1: This CT could not be searched: too little of a body."
    assert panel.ui.reasonLabel.text == expected
    panel.click(panel.ui.rejectButton)
    panel.host.dialogs.answerFile(tmp_path / "t.csv")
    panel.click(panel.ui.exportCsvButton)
    (row,) = csv.DictReader((tmp_path / "t.csv").read_text().splitlines())
    assert (row["query"], row["target"], row["status"]) == (volumes[1].GetName(), "", "failed")


def test_earlierRunCanBeLookedAt(done):
    done.click(done.ui.noneButton)
    done.tick(1)
    done.localize()
    assert len(done.cells(CT)) == 4
    done.ui.runSelector.setCurrentIndex(1)
    done.ui.runSelector.activated.emit(1)
    done.host.processEvents()
    assert len(done.cells(CT)) == 8


def test_deletedResultNodeIsNoError(done):
    slicer.mrmlScene.RemoveNode(done.run.result(1))
    done.host.processEvents()
    select(done, 1)
    assert not done.ui.cropButton.enabled and done.cells(STATUS)[1] == "✓ ok"


def test_deletedVolumeIsExplained(done):
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("query 1"))
    done.host.processEvents()
    select(done, 1)
    assert "removed from the scene" in done.ui.loadButton.toolTip
    assert "Load this CT first" in done.ui.cropButton.toolTip


@pytest.mark.mainwindow
def test_cropVolumeInOneClick(done):
    done.run.result(1).SetCenter(0.0, 0.0, 0.0)
    done.host.processEvents()
    select(done, 1)
    done.click(done.ui.cropButton)
    cropped = slicer.util.getNode("query 1 - liver")
    assert max(cropped.GetImageData().GetDimensions()) <= 8
    assert background() == cropped.GetID()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLCropVolumeParametersNode") == 0


@pytest.mark.mainwindow
def test_cropVolumeMayBeMissing(done, monkeypatch):
    monkeypatch.delattr(slicer.modules, "cropvolume", raising=False)
    select(done, 1)
    done.host.dialogs.answerMessage()
    done.click(done.ui.cropButton)
    assert "no Crop Volume" in done.host.dialogs.shown[-1].text


def dicomFolder(folder):
    """A series with what else may lie beside it, all of it sorted before the series."""
    geometry = Geometry.from_matrix(np.diag([3.0, 3.0, 3.0, 1.0]), (12, 11, 10))
    phantoms.dicom(folder, Volume(np.full((10, 11, 12), 40, np.int16), geometry, "ct"))
    (folder / "000 notes").mkdir()
    (folder / "000 reports.dcm").mkdir()
    (folder / "000.txt").write_text("no image", encoding="utf-8")
    (folder / ".hidden").write_bytes(bytes(128) + b"DICM")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    return folder


def test_dicomFolderIsLoadedByItsFirstImage(panel, tmp_path):
    folder = dicomFolder(tmp_path / "series")
    volume = viewing.loadCt(str(folder), "query")
    assert volume.GetImageData().GetDimensions() == (12, 11, 10)


def test_dicomFolderWithoutImagesIsExplained(panel, tmp_path):
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match="holds no DICOM image"):
        viewing.loadCt(str(tmp_path), "query")


@pytest.mark.mainwindow
def test_fileOfARowIsLoadedOnRequest(panel, tmp_path):
    panel.ready()
    panel.click(panel.ui.noneButton)
    (tmp_path / "cts").mkdir()
    (tmp_path / "cts" / "query.nii.gz").write_bytes((SAMPLE / "query.nii.gz").read_bytes())
    (tmp_path / "cts" / "broken.nii.gz").write_bytes(b"no image")
    panel.ui.useFolderCheckBox.click()
    panel.ui.folderEdit.setCurrentPath(str(tmp_path / "cts"))
    panel.localize()
    select(panel, 3)
    panel.click(panel.ui.loadButton)
    assert (
        panel.run.volume(3).GetName() == "query.nii.gz" and panel.run.result(3).GetName() == "liver"
    )
    assert panel.run.result(1) is None and "loaded already" in panel.ui.loadButton.toolTip
    assert background() == panel.run.volume(3).GetID()
    select(panel, 0)
    panel.host.dialogs.answerMessage()
    panel.click(panel.ui.loadButton)
    assert "could not be loaded" in panel.host.dialogs.shown[-1].text
