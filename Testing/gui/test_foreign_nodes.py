"""What belongs to the user is untouched by run, re-run, removal, reload and scene close.

Segments are items of the subject hierarchy, and removing such an item removes the segment: the test
host does that as Slicer does.
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from RPRLocalizationLib.scene.resultrows import Run

SEGMENTATION = "vtkMRMLSegmentationNode"


def hierarchy() -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def items(below: int | None = None) -> list[int]:
    node = hierarchy()
    found = vtk.vtkIdList()
    node.GetItemChildren(node.GetSceneItemID() if below is None else below, found, True)
    return [found.GetId(n) for n in range(found.GetNumberOfIds())]


def itemNamed(name: str) -> int:
    (item,) = [item for item in items() if hierarchy().GetItemName(item) == name]
    return item


def names() -> list[str]:
    return [hierarchy().GetItemName(item) for item in items()]


def segmentation(name: str, folder: int) -> Any:
    """A segmentation of the user with two segments, in a folder."""
    node = slicer.mrmlScene.AddNewNodeByClass(SEGMENTATION, name)
    for segment in ("left", "right"):
        node.GetSegmentation().AddEmptySegment(segment, segment)
    hierarchy().SetItemParent(hierarchy().GetItemByDataNode(node), folder)
    return node


def points(name: str, folder: int) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.AddControlPoint([1.0, 2.0, 3.0], name)
    hierarchy().SetItemParent(hierarchy().GetItemByDataNode(node), folder)
    return node


def furnish(folder: int, prefix: str) -> list[str]:
    """Everything a user may keep in a folder; gives the names of the items."""
    node, made = hierarchy(), [f"{prefix} {kind}" for kind in ("folder", "patient", "study")]
    node.CreateFolderItem(folder, made[0])
    patient = node.CreateSubjectItem(folder, made[1])
    node.CreateStudyItem(patient, made[2])
    segmentation(f"{prefix} segmentation", folder)
    points(f"{prefix} points", folder)
    transform = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLLinearTransformNode", f"{prefix} transform"
    )
    node.SetItemParent(node.GetItemByDataNode(transform), folder)
    return [*made, *(f"{prefix} {kind}" for kind in ("segmentation", "points", "transform"))]


def segments() -> dict[str, int]:
    nodes = slicer.util.getNodesByClass(SEGMENTATION)
    return {node.GetName(): node.GetSegmentation().GetNumberOfSegments() for node in nodes}


@pytest.fixture
def furnished(panel):
    """A run, and things of the user in its folder, in its query's folder, and beside them."""
    panel.ready()
    panel.localize()
    panel.foreign = furnish(itemNamed(panel.run.title), "inner")
    panel.foreign += furnish(queryFolder(panel.run, "query 1"), "innermost")
    panel.foreign += furnish(hierarchy().GetSceneItemID(), "outer")
    panel.host.processEvents()
    return panel


def queryFolder(run: Run, name: str) -> int:
    parent = itemNamed(run.title)
    return next(item for item in items(parent) if hierarchy().GetItemName(item) == name)


def assertForeignIsThere(panel) -> None:
    assert set(panel.foreign) <= set(names())
    assert segments() == {f"{where} segmentation": 2 for where in ("inner", "innermost", "outer")}
    assert names().count("left") == 3, "every segment keeps its item"


def test_removingResultsLeavesWhatTheUserKeepsInTheirFolders(furnished):
    title = furnished.run.title
    furnished.click(furnished.ui.removeResultsButton)
    assertForeignIsThere(furnished)
    assert title not in names()
    assert hierarchy().GetItemParent(itemNamed("inner study")) == itemNamed("inner patient")


def test_secondRunLeavesItToo(furnished):
    title = furnished.run.title
    furnished.localize()
    furnished.click(furnished.ui.removeResultsButton)
    assertForeignIsThere(furnished)
    assert title in names()


def test_reloadingLeavesItToo(furnished):
    furnished.widget.onReload()
    furnished.host.processEvents()
    assertForeignIsThere(furnished)


def test_removingAfterSavingAndLoadingLeavesItToo(furnished, tmp_path):
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    furnished.host.processEvents()
    furnished.click(furnished.ui.removeResultsButton)
    assertForeignIsThere(furnished)


def test_queryOfTheUserWithTheNameOfTheFolderStays(furnished):
    """The searched CT itself, moved into the run's folder, has the name of its query's folder."""
    volume = slicer.util.getNode("query 1")
    parent = itemNamed(furnished.run.title)
    hierarchy().SetItemParent(hierarchy().GetItemByDataNode(volume), parent)
    furnished.click(furnished.ui.removeResultsButton)
    assert slicer.mrmlScene.IsNodePresent(volume) and hierarchy().GetItemByDataNode(volume)


def test_folderThatTheUserMadeAPatientStays(furnished):
    hierarchy().SetItemLevel(itemNamed(furnished.run.title), "Patient")
    title = furnished.run.title
    furnished.click(furnished.ui.removeResultsButton)
    assert title in names()


def test_folderThatTheUserHidOrColouredIsRemovedWithItsDisplay(furnished):
    """In Slicer the eye of a folder makes a display node the data of its item."""
    display = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLFolderDisplayNode")
    title = furnished.run.title
    hierarchy().SetItemDataNode(itemNamed(title), display)
    furnished.click(furnished.ui.removeResultsButton)
    assert title not in names()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLFolderDisplayNode") == 0
    assertForeignIsThere(furnished)


def test_pointsThatTheUserAddedToAListOfResultsStay(furnished):
    points = furnished.run.result(0)
    points.AddControlPoint([9.0, 9.0, 9.0], "mine")
    furnished.click(furnished.ui.removeResultsButton)
    assert slicer.mrmlScene.IsNodePresent(points)
    labels = [points.GetNthControlPointLabel(n) for n in range(points.GetNumberOfControlPoints())]
    assert labels == ["mine"]
    assert points.GetName() in [
        furnished.ui.existingSelector.itemText(n)
        for n in range(furnished.ui.existingSelector.count)
    ], "it can be a target now"


def test_displayThatAnotherNodeUsesStays(furnished):
    display = furnished.run.result(1).GetDisplayNode()
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "mine")
    mine.SetAndObserveDisplayNodeID(display.GetID())
    furnished.click(furnished.ui.removeResultsButton)
    assert slicer.mrmlScene.IsNodePresent(display)


def test_sceneImportedTwiceLosesOneRunAtATime(furnished, tmp_path):
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    furnished.host.processEvents()
    first, _second = Run.ofScene(slicer.mrmlScene)
    kept = first.resultNodes()
    furnished.click(furnished.ui.removeResultsButton)
    assert all(slicer.mrmlScene.IsNodePresent(node) for node in kept)
    folder = hierarchy().GetItemParent(hierarchy().GetItemByDataNode(kept[0]))
    assert hierarchy().GetItemName(folder) == "query 1", "the other run keeps its folders"


def test_closedSceneWithForeignNodesLeavesAWorkingPanel(furnished):
    slicer.mrmlScene.Clear(0)
    furnished.host.processEvents()
    furnished.ready()
    furnished.localize()
    assert furnished.ui.resultsTable.rowCount == 2


def test_targetsOfTheUserAreTakenOutOfTheListButNotDeleted(panel):
    panel.addVolume("CT")
    points = panel.addLandmark("nose")
    points.AddControlPoint([1.0, 2.0, 3.0], "chin")
    box = panel.addBox("liver")
    node = slicer.mrmlScene.AddNewNodeByClass(SEGMENTATION, "organs")
    for segment in ("left", "right"):
        node.GetSegmentation().AddEmptySegment(segment, segment)
    panel.take(node)
    while panel.targets():
        panel.ui.targetsTable.setCurrentCell(0, 0)
        panel.click(panel.ui.removeTargetButton)
    assert points.GetNumberOfControlPoints() == 2 and slicer.mrmlScene.IsNodePresent(box)
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    panel.take(points)
    assert panel.targets() == ["nose", "chin"], "they can be taken again"


def test_landmarkPlacedHereIsDeletedAndOneOfTheUsersListIsNot(panel):
    panel.addVolume("CT")
    own = panel.addLandmark("nose")
    panel.click(panel.ui.placeLandmarkButton)
    (placed,) = [n for n in panel.parameters.targetNodes if n is not own]
    for label in ("chin", "eye"):
        placed.AddControlPoint([1.0, 2.0, 3.0], label)
    panel.host.processEvents()
    assert own.GetNumberOfControlPoints() == 1, "no landmark is placed into the user's list"
    panel.ui.targetsTable.setCurrentCell(panel.targets().index("chin"), 0)
    panel.click(panel.ui.removeTargetButton)
    assert placed.GetNumberOfControlPoints() == 1 and panel.targets() == ["nose", "eye"]


def test_lastPointOfAListOfTheUserStaysWhereItWas(panel):
    panel.addVolume("CT")
    points = panel.addLandmark("nose")
    before = np.array(points.GetNthControlPointPosition(0))
    panel.ui.targetsTable.setCurrentCell(0, 0)
    panel.click(panel.ui.removeTargetButton)
    assert np.allclose(points.GetNthControlPointPosition(0), before)


def test_subjectHierarchyOfAClosedSceneIsKeptByNobody(panel):
    """Its items would stay in a cache that all hierarchies share, by the addresses of their nodes.

    A node of the next scene at such an address is then taken for one of theirs, and asking for the
    opacity of its folders never ends.
    """
    panel.ready()
    panel.localize()
    reference = vtk.vtkWeakReference()
    reference.Set(hierarchy())
    slicer.mrmlScene.Clear(0)
    panel.host.processEvents()
    gc.collect()
    assert reference.Get() is None
