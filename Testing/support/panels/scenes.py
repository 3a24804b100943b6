"""Nodes for the tests of the mrml tier.

An analytic phantom in any voxel order, transforms, segments.
"""

from __future__ import annotations

import itertools

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

ORDERS = [
    (axes, signs)
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]
SPACING = (2.0, 3.0, 4.0)
CENTER = np.array([12.0, -30.0, 70.0])
EXTENT = np.array([72.0, 84.0, 96.0])


def hounsfield(ras: np.ndarray) -> np.ndarray:
    """HU of the phantom at RAS positions (..., 3).

    Smooth, and different along every axis and direction.
    """
    x, y, z = np.moveaxis(ras - CENTER, -1, 0)
    return 8.0 * x + 5.0 * y - 6.0 * z + 0.06 * x * z


def ijkMatrix(axes, signs, tilt=None) -> tuple[np.ndarray, tuple[int, int, int]]:
    """(4x4 IJK to RAS, size) of a lattice over the phantom.

    Voxel axis n runs along RAS axis axes[n], signs[n].
    """
    direction = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        direction[axis, column] = sign
    size = tuple(int(EXTENT[axis] / step) for axis, step in zip(axes, SPACING, strict=True))
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if tilt is None else tilt) @ direction * SPACING
    matrix[:3, 3] = CENTER - matrix[:3, :3] @ ((np.array(size) - 1) / 2)
    return matrix, size


def addVolume(scene, matrix, size, values=hounsfield, name="CT"):
    """A scalar volume node with ``values`` at its voxels' RAS positions (no parent transforms)."""
    array = values(latticeRas(matrix, size)).astype(np.int16)
    image = vtk.vtkImageData()
    image.SetDimensions(size)
    image.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(vtkMatrix(matrix))
    return node


def latticeRas(matrix, size) -> np.ndarray:
    """RAS of every voxel, (k, j, i, 3)."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in size[::-1]), indexing="ij")
    return np.stack([i, j, k], axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]


def addLinear(scene, matrix, parent=None):
    """A linear transform node, itself below ``parent``."""
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(vtkMatrix(matrix))
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def addBend(scene, amount=10.0):
    """A smooth non-linear transform: a thin plate over the phantom, bent by up to ``amount`` mm."""
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in itertools.product((-1, 0, 1), repeat=3):
        point = CENTER + np.array(corner) * EXTENT / 2
        source.InsertNextPoint(point)
        target.InsertNextPoint(
            point + amount * np.array([corner[2] ** 2, corner[0] * corner[1], 1.0 - corner[1] ** 2])
        )
    transform = vtk.vtkThinPlateSplineTransform()
    transform.SetBasisToR()
    transform.SetSourceLandmarks(source)
    transform.SetTargetLandmarks(target)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(transform)
    return node


def rotation(degrees, axis=(0.3, 0.5, 0.8)) -> np.ndarray:
    """3x3 rotation."""
    transform = vtk.vtkTransform()
    transform.RotateWXYZ(degrees, axis)
    return np.array([[transform.GetMatrix().GetElement(r, c) for c in range(3)] for r in range(3)])


def affine(linear=None, shift=(0.0, 0.0, 0.0)) -> np.ndarray:
    """4x4 matrix of a 3x3 part and a shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) if linear is None else linear
    matrix[:3, 3] = shift
    return matrix


def vtkMatrix(array) -> vtk.vtkMatrix4x4:
    """VTK matrix of a 4x4 array."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, dtype=float).ravel().tolist())
    return matrix


def addSegment(scene, matrix, mask, name="organ"):
    """A segmentation node with one segment of a mask (k, j, i)."""
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetDimensions(mask.shape[::-1])
    labelmap.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    labelmap.SetImageToWorldMatrix(vtkMatrix(matrix))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    node.SetSourceRepresentationToBinaryLabelmap()
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.AddRepresentation("Binary labelmap", labelmap)
    node.GetSegmentation().AddSegment(segment, name)
    return node
