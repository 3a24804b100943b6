"""Results in the scene.

Folders, nodes, colours, rows that follow the nodes, and all of it saved and loaded.
"""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from RPRLocalizationLib.scene import conversion
from RPRLocalizationLib.scene.resultnodes import (
    STATUS_COLORS,
    ResultNodes,
    landmarkIndex,
    statusText,
    updateRow,
)
from RPRLocalizationLib.scene.resultrows import ResultRow, Run
from support.panels import scenes

BOX = {"kind": "box", "center": [10.0, 20.0, 30.0], "size": [4.0, 6.0, 8.0]}
POINTS = [
    [8.0, 20.0, 30.0],
    [10.0, 17.0, 30.0],
    [10.0, 20.0, 26.0],
    [12.0, 20.0, 30.0],
    [10.0, 23.0, 30.0],
]
POINTS = [*POINTS, [10.0, 20.0, 34.0]]


def rowsOf(query):
    return [
        ResultRow(query, "liver", status="ok", points=POINTS, spread=3.0, cycle=2.0, **BOX),
        ResultRow(query, "spleen", status="low-confidence", reason="the votes disagree", **BOX),
        ResultRow(query, "kidney", status="outside", reason="below the scan", **BOX),
        ResultRow(query, "nose", "landmark", "ok", center=[1.0, 2.0, 3.0]),
        ResultRow(query, "chin", "landmark", "ok", center=[4.0, 5.0, 6.0]),
    ]


@pytest.fixture
def shown(scene):
    """A run with the rows of one query, shown."""
    run = Run.create(scene, "run")
    ResultNodes(scene).show(run, run.add(rowsOf("CT"), addVolume(scene)), extremePoints=True)
    return run


def addVolume(scene):
    return scenes.addVolume(scene, *scenes.ijkMatrix((0, 1, 2), (1.0, 1.0, 1.0)))


def hierarchy(scene):
    """Subject hierarchy as (parent, item) names."""
    node = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = vtk.vtkIdList()
    node.GetItemChildren(node.GetSceneItemID(), items, True)
    found = [items.GetId(n) for n in range(items.GetNumberOfIds())]
    return [(node.GetItemName(node.GetItemParent(item)), node.GetItemName(item)) for item in found]


def test_foundTargetsGetNodesInTheFolderOfTheirQuery(scene, shown):
    assert [shown.result(n) is not None for n in range(5)] == [True, True, False, True, True]
    assert {
        ("run", "CT"),
        ("CT", "liver"),
        ("CT", "liver extreme points"),
        ("CT", "spleen"),
    } <= set(hierarchy(scene))


def test_boxLiesWhereTheRowSays(shown):
    roi = shown.result(0)
    assert roi.IsA("vtkMRMLMarkupsROINode") and roi.GetParentTransformNode() is None
    corners = conversion.roiCornersLps(roi)
    assert np.allclose(corners.min(axis=0), [8, 17, 26]) and np.allclose(
        corners.max(axis=0), [12, 23, 34]
    )


def test_extremePointsAreNamedByTheirSide(shown):
    points = shown.pointsNode(0)
    labels = [points.GetNthControlPointLabel(n) for n in range(6)]
    assert labels == [
        f"liver {side}" for side in ("right", "front", "bottom", "left", "back", "top")
    ]
    assert np.allclose(conversion.pointLps(points, 0), POINTS[0])
    assert shown.pointsNode(1) is None


def test_colourAndDescriptionTellTheStatus(shown):
    spleen = shown.result(1)
    assert np.allclose(spleen.GetDisplayNode().GetSelectedColor(), STATUS_COLORS["low-confidence"])
    assert (
        "low-confidence" in spleen.GetDescription() and "votes disagree" in spleen.GetDescription()
    )
    assert len({statusText(status) for status in STATUS_COLORS}) == 4


def test_landmarksShareAListAndKeepTheirPoint(shown):
    assert shown.result(3) is shown.result(4)
    shown.result(3).RemoveNthControlPoint(landmarkIndex(shown, 3))
    assert landmarkIndex(shown, 3) is None and not updateRow(shown, 3)
    assert np.allclose(conversion.pointLps(shown.result(4), landmarkIndex(shown, 4)), [4, 5, 6])


def test_rowFollowsTheDraggedBox(shown):
    assert not updateRow(shown, 0)
    shown.result(0).SetCenter(0.0, 0.0, 50.0)
    shown.result(0).SetSize(10.0, 10.0, 10.0)
    assert updateRow(shown, 0) and shown.rows[0].edited
    assert shown.rows[0].center == [0, 0, 50] and shown.rows[0].size == [10, 10, 10]


def test_rowFollowsTheDraggedLandmark(shown):
    shown.result(4).SetNthControlPointPosition(landmarkIndex(shown, 4), 7.0, 8.0, 9.0)
    assert not updateRow(shown, 3) and updateRow(shown, 4)
    assert shown.rows[4].center == [-7, -8, 9]


def test_removeTakesEverythingAwayAndNothingElse(scene, shown):
    other = Run.create(scene, "other")
    ResultNodes(scene).show(other, other.add(rowsOf("CT"), addVolume(scene)), extremePoints=False)
    ResultNodes(scene).remove(shown)
    assert [run.title for run in Run.ofScene(scene)] == ["other"]
    assert len(other.resultNodes()) == 3
    names = [name for parent, name in hierarchy(scene)]
    assert "run" not in names and names.count("liver") == 1 and names.count("CT") == 1


def test_renamedFolderIsStillFound(scene, shown):
    node = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    node.SetItemName(node.GetItemChildWithName(node.GetSceneItemID(), "run"), "my best run")
    ResultNodes(scene).remove(shown)
    assert "my best run" not in [name for parent, name in hierarchy(scene)]


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{}", '[1, {"query": "x"}]', '[{"query": 1, "evil": 2}]']
)
def test_damagedRowsOfASceneAreLeftOut(scene, text):
    run = Run.create(scene, "run")
    run.node.SetParameter("rows", text)
    assert Run(run.node).rows == []
