"""Section 1 of the panel: the reference, what is marked on it, and templates."""

from __future__ import annotations

import json

import numpy as np
import pytest
import qt
import slicer
from RPRLocalizationLib.panel.resultssection import STATUS, TARGET
from support.panels.fake_worker import template


def test_emptySceneExplainsWhatIsMissing(panel):
    ui = panel.ui
    assert not ui.runButton.enabled and "reference CT" in ui.runButton.toolTip
    assert (
        ui.whyLabel.text == ui.runButton.toolTip and ui.whyLabel.visible == ui.whyLabel.isVisible()
    )
    for button in (
        ui.placeLandmarkButton,
        ui.placeBoxButton,
        ui.addExistingButton,
        ui.saveTemplateButton,
    ):
        assert not button.enabled and button.toolTip
    panel.addVolume("CT")
    assert "Mark at least one target" in ui.runButton.toolTip
    panel.addLandmark()
    assert "section 2" in ui.runButton.toolTip
    panel.tick(0)
    assert ui.runButton.enabled and not ui.whyLabel.text


def test_firstVolumeBecomesTheReference(panel):
    volume = panel.addVolume("CT")
    assert (
        panel.ui.referenceSelector.currentNode() is volume
        and panel.parameters.referenceVolume is volume
    )


@pytest.mark.mainwindow
def test_everyKindOfTargetIsTaken(panel):
    volume = panel.addVolume("CT")
    panel.addLandmark("nose")
    panel.addBox("liver")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "organs")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("spleen", "spleen")
    panel.take(segmentation)
    assert panel.targets() == ["nose", "liver", "spleen"]
    panel.tick(0)
    panel.localize()
    rows = dict(zip(panel.cells(TARGET), panel.cells(STATUS), strict=True))
    assert rows == {"nose": "✓ ok", "liver": "✓ ok", "spleen": "✗ failed"}
    panel.ui.resultsTable.setCurrentCell(panel.cells(TARGET).index("spleen"), 0)
    panel.host.processEvents()
    assert "segment spleen is empty" in panel.ui.reasonLabel.text


@pytest.mark.mainwindow
def test_aRunWithoutAnyUsableTargetIsRefused(panel):
    volume = panel.addVolume("CT")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "organs")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("spleen", "spleen")
    panel.take(segmentation)
    panel.tick(0)
    panel.host.dialogs.answerMessage()
    panel.click(panel.ui.runButton)
    assert "segment spleen is empty" in panel.host.dialogs.shown[-1].text
    assert panel.worker.requests == [] and not panel.logic.running


def test_untickedTargetsAreLeftOut(panel):
    panel.ready()
    panel.ui.targetsTable.item(0, 0).setCheckState(qt.Qt.Unchecked)
    panel.localize()
    assert panel.cells(TARGET) == ["liver"]


def test_renamingInTheListRenamesTheNode(panel):
    panel.addVolume("CT")
    box = panel.addBox("liver")
    panel.ui.targetsTable.item(0, 0).setText("Leber")
    panel.host.processEvents()
    assert box.GetName() == "Leber" and panel.targets() == ["Leber"]


@pytest.mark.mainwindow
def test_emptyNameIsRefused(panel):
    panel.addVolume("CT")
    box = panel.addBox("liver")
    panel.host.dialogs.answerMessage()
    panel.ui.targetsTable.item(0, 0).setText(" ")
    panel.host.processEvents()
    assert box.GetName() == "liver" and panel.targets() == ["liver"]


def test_twoTargetsOfOneNameAreExplained(panel):
    panel.addVolume("CT")
    panel.addBox("liver")
    panel.addLandmark("liver")
    panel.tick(0)
    assert "Two targets are called liver" in panel.ui.runButton.toolTip


def test_targetsFollowTheScene(panel):
    panel.addVolume("CT")
    points = panel.addLandmark("nose")
    points.AddControlPoint([1.0, 2.0, 3.0], "chin")
    panel.host.processEvents()
    assert panel.targets() == ["nose", "chin"]
    slicer.mrmlScene.RemoveNode(points)
    panel.host.processEvents()
    assert panel.targets() == []


def test_removeTakesOutOfTheList(panel):
    panel.addVolume("CT")
    points = panel.addLandmark("nose")
    points.AddControlPoint([1.0, 2.0, 3.0], "chin")
    panel.addBox("liver")
    for name in ("nose", "chin", "liver"):
        panel.ui.targetsTable.setCurrentCell(panel.targets().index(name), 0)
        panel.click(panel.ui.removeTargetButton)
        assert name not in panel.targets()
    assert (
        not panel.ui.removeTargetButton.enabled
        and "Select a target" in panel.ui.removeTargetButton.toolTip
    )


def test_placeButtonsUseSlicersPlaceMode(panel):
    panel.addVolume("CT")
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    panel.click(panel.ui.placeBoxButton)
    assert (
        interaction.GetCurrentInteractionMode() == interaction.Place
        and panel.ui.placeBoxButton.checked
    )
    panel.click(panel.ui.placeBoxButton)
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    assert not panel.ui.placeBoxButton.checked
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 0, (
        "nothing is left behind"
    )


def test_changingTheButtonChangesWhatIsPlaced(panel):
    panel.addVolume("CT")
    panel.click(panel.ui.placeBoxButton)
    panel.click(panel.ui.placeLandmarkButton)
    assert panel.ui.placeLandmarkButton.checked and not panel.ui.placeBoxButton.checked
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsFiducialNode"


def test_leavingTheModuleEndsPlacing(panel):
    panel.addVolume("CT")
    panel.click(panel.ui.placeLandmarkButton)
    panel.widget.exit()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() != interaction.Place


def test_templateNeedsNoReference(panel):
    panel.addVolume("CT")
    panel.ui.templateRadio.click()
    panel.tick(0)
    assert "head and neck" in panel.ui.templateSelector.currentText
    assert "Brainstem" in panel.ui.templateInfoLabel.text and len(panel.targets()) == 7
    panel.ui.targetsTable.item(1, 0).setCheckState(qt.Qt.Unchecked)
    panel.localize()
    assert len(panel.cells(TARGET)) == 6 and "SpinalCord" not in panel.cells(TARGET)


def test_bundledTemplateCannotBeChanged(panel):
    panel.ui.templateRadio.click()
    panel.host.processEvents()
    for button in (panel.ui.renameTemplateButton, panel.ui.deleteTemplateButton):
        assert not button.enabled and "cannot be changed" in button.toolTip
    assert panel.ui.exportTemplateButton.enabled


@pytest.fixture
def saved(panel):
    """A panel with a template of the user, made of a landmark and a box."""
    panel.ready()
    assert "no template yet" in panel.ui.addToTemplateButton.toolTip
    panel.host.dialogs.answerInput("mine")
    panel.click(panel.ui.saveTemplateButton)
    panel.host.waitFor(lambda: not panel.logic.running)
    panel.host.processEvents()
    return panel


def chosen(panel):
    return panel.logic.library.find(panel.parameters.template)


def choose(panel, key):
    panel.ui.templateRadio.click()
    panel.host.processEvents()
    index = panel.ui.templateSelector.findData(key)
    panel.ui.templateSelector.setCurrentIndex(index)
    panel.ui.templateSelector.activated.emit(index)
    panel.host.processEvents()


def test_savingKeepsTheTargets(saved):
    choose(saved, "user/mine")
    assert saved.targets() == ["nose", "liver"]
    assert [t.references for t in chosen(saved).targets] == [("reference",)] * 2


def test_addingAReferencePoolsIt(saved):
    saved.parameters.referenceVolume = slicer.util.getNode("query 1")
    saved.host.processEvents()

    def accept(dialog):
        dialog.setTextValue("mine")
        dialog.accept()

    saved.host.dialogs.answerDialog(accept)
    saved.click(saved.ui.addToTemplateButton)
    saved.host.waitFor(lambda: not saved.logic.running)
    assert saved.logic.library.find("user/mine").targets[0].references == ("reference", "query 1")


def test_cancelledNameSavesNothing(panel):
    panel.ready()
    panel.host.dialogs.answerInput("")
    panel.click(panel.ui.saveTemplateButton)
    assert panel.worker.requests == []


@pytest.mark.mainwindow
def test_titleInUseIsRefused(saved):
    saved.host.dialogs.answerInput("mine")
    saved.host.dialogs.answerMessage()
    saved.click(saved.ui.saveTemplateButton)
    assert "already" in saved.host.dialogs.shown[-1].text


def test_renameDeleteExportImport(saved, tmp_path):
    choose(saved, "user/mine")
    saved.host.dialogs.answerInput("yours")
    saved.click(saved.ui.renameTemplateButton)
    assert chosen(saved).title == "yours"
    saved.host.dialogs.answerFile(tmp_path / "out.json")
    saved.click(saved.ui.exportTemplateButton)
    assert [t["name"] for t in json.loads((tmp_path / "out.json").read_text())["targets"]] == [
        "nose",
        "liver",
    ]
    saved.host.dialogs.answerMessage(qt.QMessageBox.No)
    saved.click(saved.ui.deleteTemplateButton)
    assert chosen(saved).title == "yours"
    saved.host.dialogs.answerMessage(qt.QMessageBox.Yes)
    saved.click(saved.ui.deleteTemplateButton)
    assert chosen(saved).bundled
    saved.host.dialogs.answerFile(tmp_path / "out.json")
    saved.click(saved.ui.importTemplateButton)
    assert chosen(saved).title == "out"


@pytest.mark.mainwindow
def test_fileThatIsNoTemplateIsRefused(panel, tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    panel.ui.templateRadio.click()
    panel.host.dialogs.answerFile(tmp_path / "bad.json")
    panel.host.dialogs.answerMessage()
    panel.click(panel.ui.importTemplateButton)
    assert "not an RPRLoc template" in panel.host.dialogs.shown[-1].text


def test_templateOfAnotherModelIsExplained(panel):
    other = template([{"name": "nose", "kind": "landmark", "examples": [{"reference": "A"}]}])
    panel.logic.library.save({**other, "model": {"name": "abdomen", "version": "2"}}, "belly")
    panel.addVolume("CT")
    panel.tick(0)
    choose(panel, "user/belly")
    assert "belongs to model abdomen 2" in panel.ui.runButton.toolTip


def test_landmarkGoesToTheWorkerInLps(panel):
    panel.ready()
    panel.localize()
    (made,) = [params for method, params in panel.worker.requests if method == "template.make"]
    assert made["targets"][0]["point_lps"] == [0.0, 0.0, 0.0]
    assert np.shape(made["targets"][1]["corners_lps"]) == (8, 3)


def labelMap(panel, values=(1, 3)):
    """A label map volume over a CT, with a cube per value."""
    volume = panel.addVolume("CT")
    array = np.zeros((30, 34, 40), np.uint8)
    for number, value in enumerate(values):
        array[5:10, 6:12, 4 + 10 * number : 10 + 10 * number] = value
    node = slicer.util.addVolumeFromArray(
        array, name="organs", nodeClassName="vtkMRMLLabelMapVolumeNode"
    )
    node.CopyOrientation(volume)
    panel.host.processEvents()
    return node


def offered(panel):
    selector = panel.ui.existingSelector
    return [selector.itemText(number) for number in range(selector.count)]


def test_labelMapVolumeIsTakenAsItsLabels(panel):
    labels = labelMap(panel)
    panel.addVolume("query")
    assert offered(panel) == ["organs"]
    panel.take(labels)
    assert len(panel.targets()) == 2 and offered(panel) == []
    panel.click(panel.ui.allButton)
    panel.localize()
    (made,) = [params for method, params in panel.worker.requests if method == "template.make"]
    assert [target["kind"] for target in made["targets"]] == ["segment", "segment"]
    assert slicer.util.arrayFromVolume(labels).max() == 3, "the label map is as it was"


@pytest.mark.mainwindow
@pytest.mark.parametrize("problem", ["empty", "no module"])
def test_labelMapThatCannotBeTakenIsExplained(panel, problem):
    labels = labelMap(panel, values=() if problem == "empty" else (1,))
    if problem == "no module":
        panel.host.modules.hide("segmentations")
    panel.host.dialogs.answerMessage()
    panel.take(labels)
    expected = "no voxel has a label" if problem == "empty" else "no Segmentations module"
    assert expected in panel.host.dialogs.shown[-1].text
    assert panel.targets() == [] and slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_pointsWithoutAPlaceAreNamed(panel):
    panel.addVolume("CT")
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "list")
    points.AddControlPoint([0.0, 0.0, 0.0], "A")
    for label in ("B", "C"):
        index = points.AddControlPoint([0.0, 0.0, 0.0], label)
        points.UnsetNthControlPointPosition(index)
    assert panel.ui.leftOutLabel.isHidden()
    panel.take(points)
    assert panel.targets() == ["A"]
    text = panel.ui.leftOutLabel.text
    assert text.startswith("Left out: points B, C (not placed:") and "Markups" in text
    for index in (1, 2):
        points.SetNthControlPointPosition(index, 1.0, 2.0, 3.0)
    panel.host.processEvents()
    assert panel.targets() == ["A", "B", "C"] and panel.ui.leftOutLabel.isHidden()


def test_listWithoutPlacedPointsSaysWhatToDo(panel):
    panel.addVolume("CT")
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "list")
    points.UnsetNthControlPointPosition(points.AddControlPoint([0.0, 0.0, 0.0], "A"))
    panel.take(points)
    assert panel.targets() == [] and "points A (not placed" in panel.ui.leftOutLabel.text


def test_linesAndCurvesSayThatTheyAreNoTargets(panel):
    panel.addVolume("CT")
    for className, name in (("Line", "L"), ("ClosedCurve", "K"), ("Plane", "P")):
        slicer.mrmlScene.AddNewNodeByClass(f"vtkMRMLMarkups{className}Node", name)
    panel.host.processEvents()
    assert panel.ui.leftOutLabel.text == (
        "Left out: line L, curve K, plane P (only points, boxes and segments are targets)."
    )
    panel.ui.templateRadio.click()
    panel.host.processEvents()
    assert panel.ui.leftOutLabel.isHidden()


def test_pointThatIsBeingPlacedIsNotLeftOut(panel):
    panel.addVolume("CT")
    panel.click(panel.ui.placeLandmarkButton)
    (node,) = panel.parameters.targetNodes
    node.UnsetNthControlPointPosition(node.AddControlPoint([0.0, 0.0, 0.0], "preview"))
    panel.host.processEvents()
    assert panel.ui.leftOutLabel.isHidden()
