"""Points, boxes and segments as one list of named targets."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from RPRLocalizationLib.scene.markedtargets import (
    RESULT_ATTRIBUTE,
    candidateNodes,
    checkNames,
    rename,
    setUsed,
    targetsOf,
    targetSpec,
)
from support.panels import scenes

from rprloc.errors import InputError


@pytest.fixture
def nodes(scene):
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    points.AddControlPoint(1, 2, 3, "nose")
    points.AddControlPoint(4, 5, 6, "chin")
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "liver")
    roi.SetCenter(0, 0, 0)
    roi.SetSize(10, 10, 10)
    return [points, roi, scenes.addSegment(scene, np.eye(4), np.ones((4, 4, 4)), "spleen")]


def test_everyPointBoxAndSegmentIsATarget(nodes):
    found = [(target.name, target.kind) for target in targetsOf(nodes)]
    assert found == [
        ("nose", "landmark"),
        ("chin", "landmark"),
        ("liver", "box"),
        ("spleen", "segment"),
    ]


def test_pointsNotYetPlacedAreNoTargets(nodes):
    nodes[0].SetNthControlPointPosition(0, 0, 0, 0, slicer.vtkMRMLMarkupsNode.PositionPreview)
    assert [target.name for target in targetsOf(nodes[:1])] == ["chin"]


def test_unusedIsRememberedOnTheNode(nodes):
    for target in targetsOf(nodes)[1:]:
        setUsed(target, False)
    assert [target.used for target in targetsOf(nodes)] == [True, False, False, False]
    setUsed(targetsOf(nodes)[2], True)
    assert [target.used for target in targetsOf(nodes)] == [True, False, True, False]


@pytest.mark.parametrize("text", ["no JSON", "3", "[1]"])
def test_damagedAttributeMeansUsed(nodes, text):
    nodes[1].SetAttribute("RPRLoc.Unused", text)
    assert targetsOf(nodes[1:2])[0].used


def test_renaming(nodes):
    for target in targetsOf(nodes):
        rename(target, f"  my   {target.name} ")
    assert [target.name for target in targetsOf(nodes)] == [
        "my nose",
        "my chin",
        "my liver",
        "my spleen",
    ]
    with pytest.raises(InputError, match="needs a name"):
        rename(targetsOf(nodes)[0], " ")


def test_namesMustDiffer(nodes):
    rename(targetsOf(nodes)[3], "liver")
    with pytest.raises(InputError, match="Two targets are called liver"):
        checkNames(targetsOf(nodes))


def test_specsOfTheProtocol(nodes):
    saved = []
    specs = [
        targetSpec(t, lambda grid: saved.append(grid) or {"npy": "x"}) for t in targetsOf(nodes)
    ]
    assert specs[0] == {"name": "nose", "kind": "landmark", "point_lps": [-1.0, -2.0, 3.0]}
    assert specs[2]["kind"] == "box" and np.shape(specs[2]["corners_lps"]) == (8, 3)
    look = specs[3].pop("look")
    assert specs[3] == {"name": "spleen", "kind": "segment", "mask": {"npy": "x"}}
    assert len(look["Color"].split()) == 3
    assert saved[0].array.shape == (4, 4, 4)


def test_resultsAndHiddenNodesAreNoCandidates(scene, nodes):
    nodes[0].SetAttribute(RESULT_ATTRIBUTE, "ok")
    nodes[2].SetHideFromEditors(True)
    assert candidateNodes(scene) == [nodes[1]]
