"""Carried segments and maps in the scene: where they lie, how they look, and that they go."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import slicer
import vtk
from RPRLocalizationLib.scene import conversion
from RPRLocalizationLib.scene.contournodes import ContourNodes
from RPRLocalizationLib.scene.markedtargets import candidateNodes
from RPRLocalizationLib.scene.resultnodes import ResultNodes
from RPRLocalizationLib.scene.resultrows import ResultRow, Run
from support.panels import scenes

from rprloc.errors import InputError
from rprloc.geometry import Geometry
from rprloc.targets.segment_mask import SegmentMask

MATRIX, SIZE = scenes.ijkMatrix((0, 1, 2), (1.0, 1.0, 1.0))
# An entry as Slicer writes it: seven fields.
TERMINOLOGY = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~Anatomic codes~^^~^^"
)


def liver() -> SegmentMask:
    """A block at (10..16, 20..29, 30..42) mm LPS (voxel centres), with a look."""
    geometry = Geometry((4, 4, 4), np.array([2.0, 3.0, 4.0]), np.array([10.0, 20, 30]), np.eye(3))
    look = {"Color": "0.1 0.2 0.3", "Tags": f"TerminologyEntry:{TERMINOLOGY}|"}
    return SegmentMask(np.ones((4, 4, 4), bool), geometry, look)


def mapOf(shift):
    """A constant displacement in LPS on a lattice of 3 x 4 x 5 nodes."""
    values = np.broadcast_to(np.float32(shift), (3, 4, 5, 3)).copy()
    # Something that differs along every axis, so that a turned lattice is noticed.
    values[..., 0] += np.arange(5, dtype=np.float32)
    values[..., 1] += 2 * np.arange(4, dtype=np.float32)[:, None]
    return {
        "shape": [3, 4, 5],
        "origin": [-20.0, -10.0, 100.0],
        "spacing_mm": 10.0,
        "values": base64.b64encode(values.astype("<f4").tobytes()).decode(),
    }


@pytest.fixture
def carried():
    segment = {"target": "liver", "status": "ok", "radius90_mm": 6.25, "mask": liver().to_json()}
    return {"segments": [segment], "maps": {"reference": mapOf([5.0, -7.0, 11.0])}}


@pytest.fixture
def run(scene):
    run = Run.create(scene, "run")
    run.add([ResultRow("CT", "liver", "box", "ok", center=[0.0] * 3, size=[1.0] * 3)])
    return run


def test_segmentLiesWhereItWasCarriedAndLooksAsOnTheReference(scene, run, carried):
    volume = scenes.addVolume(scene, MATRIX, SIZE)
    node = ContourNodes(scene).showSegments(run, "CT", volume, carried)
    assert node.GetName() == "CT contours" and node.GetSegmentation().GetNumberOfSegments() == 1
    segment = node.GetSegmentation().GetNthSegment(0)
    assert segment.GetName() == "liver"
    assert np.allclose(segment.GetColor(), [0.1, 0.2, 0.3])
    tag = vtk.mutable("")
    assert segment.GetTag("TerminologyEntry", tag) and tag.get() == TERMINOLOGY
    assert segment.GetTag("RPRLoc.Status", tag) and tag.get() == "ok"
    assert segment.GetTag("RPRLoc.Radius90mm", tag) and tag.get() == "6.2"

    grid = conversion.segmentGrid(node, node.GetSegmentation().GetNthSegmentID(0))
    assert grid.array.sum() == 64
    first = grid.ijkToLps @ [0, 0, 0, 1]
    last = grid.ijkToLps @ [*np.subtract(grid.array.shape[::-1], 1), 1]
    assert np.allclose(np.minimum(first, last)[:3], [10, 20, 30])
    assert np.allclose(np.maximum(first, last)[:3], [16, 29, 42])


def test_transformCarriesWhatBelongsToTheReference(scene, run, carried):
    (node,) = ContourNodes(scene).showMaps(run, "CT", carried)
    assert node.GetName() == "reference to CT"
    # A place of the query (LPS), and where the map says that it lies in the reference.
    query = np.array([-5.0, 12.0, 110.0])
    reference = query + np.array([5.0 + 1.5, -7.0 + 2 * 2.2, 11.0])
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
    point.AddControlPoint(conversion.lpsToRas(reference).tolist(), "a")
    point.SetAndObserveTransformNodeID(node.GetID())
    assert np.allclose(conversion.pointLps(point, 0), query, atol=0.1)


def test_theyAreNoTargetsAndGoWithTheirRun(scene, run, carried):
    volume = scenes.addVolume(scene, MATRIX, SIZE)
    nodes = ContourNodes(scene)
    nodes.showSegments(run, "CT", volume, carried)
    nodes.showMaps(run, "CT", carried)
    assert len(run.otherNodes()) == 2 and candidateNodes(scene) == []
    ResultNodes(scene).remove(run)
    for name in ("vtkMRMLSegmentationNode", "vtkMRMLTransformNode"):
        assert scene.GetNumberOfNodesByClass(name) == 0
    assert slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene) is not None


def test_withoutContoursThereIsNoNode(scene, run):
    nothing = {"segments": [], "maps": {}}
    volume = scenes.addVolume(scene, MATRIX, SIZE)
    assert ContourNodes(scene).showSegments(run, "CT", volume, nothing) is None
    assert ContourNodes(scene).showMaps(run, "CT", nothing) == []


def test_damagedAnswersLeaveNothingBehind(scene, run, carried):
    carried["segments"][0]["mask"]["runs"] = "AAAA"
    volume = scenes.addVolume(scene, MATRIX, SIZE)
    with pytest.raises(InputError, match="liver"):
        ContourNodes(scene).showSegments(run, "CT", volume, carried)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    carried["maps"]["reference"]["shape"] = [3, 4, 6]
    with pytest.raises(InputError, match="map"):
        ContourNodes(scene).showMaps(run, "CT", carried)
