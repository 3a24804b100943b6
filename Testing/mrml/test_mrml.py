"""Voxels and positions of nodes in the world.

Any voxel order, oblique, below linear and non-linear transforms.
"""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from RPRLocalizationLib.scene import conversion
from support.panels import scenes

from rprloc.errors import InputError
from rprloc.geometry import Geometry
from rprloc.targets.target import target_from_mask

TILT = scenes.rotation(17.0)
MOVE = scenes.affine(scenes.rotation(25.0, (0.0, 0.2, 1.0)), (20.0, -8.0, 35.0))


def checkVoxels(grid, toNode, tolerance=0.0):
    """Every voxel of the grid holds the phantom's HU at the place where the world says it is."""
    size = grid.array.shape[::-1]
    ras = conversion.lpsToRas(scenes.latticeRas(grid.ijkToLps, size))
    expected = scenes.hounsfield(toNode(ras))
    inside = grid.array > conversion.AIR_HU
    assert inside.mean() > 0.4
    error = np.abs(grid.array - np.trunc(expected))[inside]
    assert np.quantile(error, 0.99) <= tolerance and np.median(error) <= 2.0


@pytest.mark.parametrize("tilt", [None, TILT], ids=["straight", "oblique"])
@pytest.mark.parametrize(
    ("axes", "signs"), scenes.ORDERS, ids=lambda v: "".join(f"{n:+g}"[0:2] for n in v)
)
def test_everyVoxelOrderGivesTheSamePatient(scene, axes, signs, tilt):
    volume = scenes.addVolume(scene, *scenes.ijkMatrix(axes, signs, tilt))
    checkVoxels(conversion.volumeGrid(volume), lambda ras: ras)


@pytest.mark.parametrize(("axes", "signs"), scenes.ORDERS[::5])
def test_linearParentsAreApplied(scene, axes, signs):
    outer = scenes.addLinear(scene, MOVE)
    inner = scenes.addLinear(scene, scenes.affine(shift=(3.0, 4.0, -5.0)), outer)
    volume = scenes.addVolume(scene, *scenes.ijkMatrix(axes, signs, TILT))
    volume.SetAndObserveTransformNodeID(inner.GetID())
    back = np.linalg.inv(MOVE @ scenes.affine(shift=(3.0, 4.0, -5.0)))
    grid = conversion.volumeGrid(volume)
    assert grid.array.shape == volume.GetImageData().GetDimensions()[::-1], (
        "a rigid transform needs no resampling"
    )
    checkVoxels(grid, lambda ras: ras @ back[:3, :3].T + back[:3, 3])


@pytest.mark.parametrize(("axes", "signs"), scenes.ORDERS[::7])
def test_shearIsResampledToAStraightLattice(scene, axes, signs):
    shear = scenes.affine(
        np.array([[1.0, 0.2, 0.0], [0.0, 1.1, 0.1], [0.0, 0.0, 0.9]]), (5.0, 0.0, -9.0)
    )
    volume = scenes.addVolume(scene, *scenes.ijkMatrix(axes, signs))
    volume.SetAndObserveTransformNodeID(scenes.addLinear(scene, shear).GetID())
    back = np.linalg.inv(shear)
    grid = conversion.volumeGrid(volume)
    Geometry.from_matrix(grid.ijkToLps, grid.array.shape[::-1])
    # The outermost half voxel is extrapolated: up to 2 mm at 8 to 12 HU per mm.
    checkVoxels(grid, lambda ras: ras @ back[:3, :3].T + back[:3, 3], tolerance=20.0)


@pytest.mark.parametrize(("axes", "signs"), scenes.ORDERS[::7])
def test_nonLinearParentsAreApplied(scene, axes, signs):
    bend = scenes.addBend(scene)
    volume = scenes.addVolume(scene, *scenes.ijkMatrix(axes, signs, TILT))
    volume.SetAndObserveTransformNodeID(bend.GetID())
    inverse = conversion.worldTransform(volume).GetInverse()

    def toNode(ras):
        flat = [inverse.TransformPoint(point) for point in ras.reshape(-1, 3).tolist()]
        return np.reshape(flat, ras.shape)

    checkVoxels(conversion.volumeGrid(volume), toNode, tolerance=20.0)


@pytest.mark.parametrize("kind", ["none", "linear", "bend"])
def test_pointsAndBoxesFollowTheirTransforms(scene, kind):
    parent = {"none": None, "linear": scenes.addLinear(scene, MOVE), "bend": scenes.addBend(scene)}[
        kind
    ]
    fiducials = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    fiducials.AddControlPoint(*scenes.CENTER)
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenter(*scenes.CENTER)
    roi.SetSize(20.0, 30.0, 40.0)
    for node in (fiducials, roi):
        node.SetAndObserveTransformNodeID(parent.GetID() if parent else None)
    offsets = np.array([[x, y, z] for z in (-20, 20) for y in (-15, 15) for x in (-10, 10)])
    assert np.allclose(conversion.pointLps(fiducials, 0), moved(parent, scenes.CENTER), atol=1e-6)
    assert np.allclose(
        conversion.roiCornersLps(roi), moved(parent, scenes.CENTER + offsets), atol=1e-6
    )


def moved(parent, ras):
    """LPS of the world of RAS positions below a transform node, by VTK's own arithmetic."""
    points = np.reshape(ras, (-1, 3)).tolist()
    if parent is not None:
        points = [parent.GetTransformToParent().TransformPoint(point) for point in points]
    return (np.array(points) * [-1, -1, 1]).reshape(np.shape(ras))


def test_turnedBoxKeepsItsCorners(scene):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenter(1.0, 2.0, 3.0)
    roi.SetSize(10.0, 20.0, 30.0)
    turn = scenes.affine(scenes.rotation(30.0), (1.0, 2.0, 3.0))
    roi.GetObjectToNodeMatrix().DeepCopy(turn.ravel().tolist())
    corners = conversion.lpsToRas(conversion.roiCornersLps(roi)) - [1.0, 2.0, 3.0]
    assert np.allclose(np.abs(corners @ turn[:3, :3]), [5.0, 10.0, 15.0])


@pytest.mark.parametrize("bent", [False, True])
@pytest.mark.parametrize(("axes", "signs"), scenes.ORDERS[::6])
def test_segmentsGiveTheSameBoxInEveryOrder(scene, axes, signs, bent):
    matrix, size = scenes.ijkMatrix(axes, signs)
    offset = np.abs(scenes.latticeRas(matrix, size) - scenes.CENTER)
    node = scenes.addSegment(scene, matrix, (offset < [14.0, 18.0, 22.0]).all(axis=-1))
    parent = scenes.addBend(scene) if bent else None
    node.SetAndObserveTransformNodeID(parent.GetID() if parent else None)
    grid = conversion.segmentGrid(node, "organ")
    box = target_from_mask(
        "organ", grid.array != 0, Geometry.from_matrix(grid.ijkToLps, grid.array.shape[::-1])
    ).box
    offsets = np.array([[x, y, z] for z in (-22, 22) for y in (-18, 18) for x in (-14, 14)])
    corners = moved(parent, scenes.CENTER + offsets)
    # Voxels are 2 to 4 mm, so a wall lies within half a voxel of its plane; a bent box bulges by
    # another 2 mm.
    assert np.abs(box.lower - corners.min(axis=0)).max() < (4.5 if bent else 2.1)
    assert np.abs(box.upper - corners.max(axis=0)).max() < (4.5 if bent else 2.1)


def test_surfaceSegmentIsVoxelisedOnACopy(scene):
    slicer.vtkSlicerSegmentationsModuleLogic().SetMRMLScene(scene)
    matrix, size = scenes.ijkMatrix((0, 1, 2), (1.0, 1.0, 1.0))
    offset = np.abs(scenes.latticeRas(matrix, size) - scenes.CENTER)
    node = scenes.addSegment(scene, matrix, (offset < 15.0).all(axis=-1))
    assert node.CreateClosedSurfaceRepresentation()
    node.SetSourceRepresentationToClosedSurface()
    node.RemoveBinaryLabelmapRepresentation()
    assert conversion.segmentGrid(node, "organ").array.any()
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")


def test_wrongInputsSayWhy(scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(InputError, match="nothing: the volume holds no voxels"):
        conversion.volumeGrid(empty)
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "flat")
    with pytest.raises(InputError, match="box flat has no extent"):
        conversion.roiCornersLps(roi)
    node = scenes.addSegment(scene, np.eye(4), np.zeros((4, 4, 4)), "void")
    with pytest.raises(InputError, match="segment void is empty"):
        conversion.segmentGrid(node, "void")
    with pytest.raises(InputError, match="the segment is gone"):
        conversion.segmentGrid(node, "other")


def test_severalNumbersPerVoxelAreRefused(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "colour")
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(4, 4, 4)
    image.AllocateScalars(2, 3)
    node.SetAndObserveImageData(image)
    with pytest.raises(InputError, match="several numbers per voxel"):
        conversion.volumeGrid(node)
