"""MRML nodes <-> engine: voxels, matrices and positions. The one place that converts RAS and LPS.

The engine works in LPS millimetres of the patient, nodes in RAS of the node's own frame below any
number of parent transforms. What leaves this file for the engine is LPS of the WORLD: parent
transforms, linear or not, are applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from rprloc.errors import InputError
from rprloc.image.hounsfield import AIR_HU

RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
STRAIGHT_TOLERANCE = 1e-3
IMAGE_MM, MASK_MM = 2.0, 1.0
_EDGE_SAMPLES = 9


@dataclass(frozen=True)
class VoxelGrid:
    """Voxels (k, j, i) and the 4x4 matrix from (i, j, k) to LPS mm of the world."""

    array: np.ndarray
    ijkToLps: np.ndarray
    name: str


def rasToLps(points: Any) -> np.ndarray:
    """Positions (..., 3) in mm, RAS -> LPS; the same flip goes back, see ``lpsToRas``."""
    return np.asarray(points, dtype=float) * [-1.0, -1.0, 1.0]


lpsToRas = rasToLps


def matrixToArray(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """4x4 numpy array of a VTK matrix."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def worldTransform(node: Any) -> vtk.vtkGeneralTransform:
    """Transform from the node's own RAS to world RAS.

    All parent transforms together (identity without any).
    """
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        node.GetParentTransformNode(), None, transform
    )
    return transform


def worldMatrix(node: Any) -> np.ndarray | None:
    """4x4 matrix from the node's own RAS to world RAS; None if a parent transform is not linear."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not parent.IsTransformToWorldLinear():
        return None
    parent.GetMatrixTransformToWorld(matrix)
    return matrixToArray(matrix)


def nodePointsToLps(node: Any, ras: Any) -> np.ndarray:
    """Positions (n, 3) in the node's own RAS -> LPS of the world, through all parent transforms."""
    transform = worldTransform(node)
    return rasToLps(
        [transform.TransformPoint(point) for point in np.reshape(ras, (-1, 3)).tolist()]
    )


def volumeGrid(node: Any) -> VoxelGrid:
    """The voxels of a scalar volume in the world.

    A volume below a non-linear or shearing transform is resampled (2 mm: the engine's grids are
    coarser); any other is passed as it is. Raises InputError (one line) for a volume without
    voxels, or with several numbers per voxel.
    """
    image = node.GetImageData()
    if image is None or min(image.GetDimensions()) < 1 or image.GetPointData().GetScalars() is None:
        raise InputError(_("{name}: the volume holds no voxels").format(name=node.GetName()))
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            _("{name}: not a CT, it has several numbers per voxel").format(name=node.GetName())
        )
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return _gridInWorld(node, image, matrixToArray(matrix), IMAGE_MM, mask=False)


def segmentGrid(node: Any, segmentID: str) -> VoxelGrid:
    """A segment as a mask (uint8, 0 or 1) in the world, cropped to its own extent.

    A segment drawn as a surface is turned into voxels on a copy; the node stays as it is. Raises
    InputError if the segment is missing or empty.
    """
    segment = node.GetSegmentation().GetSegment(segmentID)
    if segment is None:
        raise InputError(_("{name}: the segment is gone").format(name=node.GetName()))
    labelmap, value = _binaryLabelmap(node, segmentID, segment)
    empty = InputError(
        _("segment {name} is empty: draw it on the reference first").format(name=segment.GetName())
    )
    if (
        labelmap is None
        or min(labelmap.GetDimensions()) < 1
        or labelmap.GetPointData().GetScalars() is None
    ):
        raise empty
    mask, first = _croppedMask(labelmap, value)
    if mask is None:
        raise empty
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    ijkToRas = matrixToArray(matrix)
    ijkToRas[:3, 3] += ijkToRas[:3, :3] @ first
    return _gridInWorld(node, _imageOf(mask), ijkToRas, MASK_MM, mask=True, name=segment.GetName())


def roiCornersLps(node: Any) -> np.ndarray:
    """The eight corners (8, 3) of an ROI in LPS of the world.

    The ROI may be turned or below transforms.

    Raises InputError for an ROI without extent.
    """
    size = np.array(node.GetSize())
    if node.GetNumberOfControlPoints() == 0 or (size <= 0).any():
        raise InputError(
            _("box {name} has no extent: draw it around the organ first").format(
                name=node.GetName()
            )
        )
    signs = np.array([[(n >> axis & 1) - 0.5 for axis in range(3)] for n in range(8)])
    corners = np.c_[signs * size, np.ones(8)] @ matrixToArray(node.GetObjectToNodeMatrix()).T
    return nodePointsToLps(node, corners[:, :3])


def pointLps(node: Any, index: int) -> np.ndarray:
    """A control point (3,) of a markups node in LPS of the world."""
    return rasToLps(node.GetNthControlPointPositionWorld(index))


def _binaryLabelmap(node: Any, segmentID: Any, segment: Any) -> Any:
    """(vtkOrientedImageData or None, label value) of a segment."""
    name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    if segment.GetRepresentation(name) is None:
        copy = slicer.vtkSegmentation()
        copy.DeepCopy(node.GetSegmentation())
        if not copy.CreateRepresentation(name):
            return None, 1
        segment = copy.GetSegment(segmentID)
    return segment.GetRepresentation(name), segment.GetLabelValue()


def _croppedMask(labelmap: Any, value: Any) -> Any:
    """Cut a label's mask down to its extent.

    Returns (mask (k, j, i) uint8, index (i, j, k) of its first voxel), or (None, None) if empty.
    """
    shape = labelmap.GetDimensions()[::-1]
    mask = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(shape) == value
    used = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not len(used[0]):
        return None, None
    lower, upper = [int(u[0]) for u in used], [int(u[-1]) + 1 for u in used]
    part = mask[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))]
    extent = labelmap.GetExtent()
    first = np.add(lower[::-1], extent[::2])
    return np.ascontiguousarray(part, dtype=np.uint8), first


def _gridInWorld(
    node: Any, image: Any, ijkToRas: Any, coarsest: Any, mask: Any, name: Any = None
) -> Any:
    """VoxelGrid of VTK voxels (extent from 0) with the node's parent transforms applied."""
    name = node.GetName() if name is None else name
    world = worldMatrix(node)
    if world is not None and _isStraight(world @ ijkToRas):
        array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
        return VoxelGrid(array, RAS_LPS @ world @ ijkToRas, name)
    image, ijkToRas = _resampled(image, ijkToRas, worldTransform(node), coarsest, mask)
    array = (
        vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]).copy()
    )
    return VoxelGrid(array, RAS_LPS @ ijkToRas, name)


def _isStraight(matrix: Any) -> bool:
    """True if the axes of a 4x4 index matrix are orthogonal: the only lattices the engine takes."""
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < STRAIGHT_TOLERANCE)


def _resampled(image: Any, ijkToRas: Any, toWorld: Any, coarsest: Any, mask: Any) -> Any:
    """(VTK image, 4x4 index -> world RAS) of voxels resampled along the world axes."""
    lower, upper = _worldBounds(image.GetDimensions(), ijkToRas, toWorld)
    finest = float(np.linalg.norm(ijkToRas[:3, :3], axis=0).min())
    spacing = coarsest if not mask else min(coarsest, max(finest, 0.5))
    size = np.maximum(np.ceil((upper - lower) / spacing).astype(int), 1)
    outToRas = np.diag([spacing, spacing, spacing, 1.0])
    outToRas[:3, 3] = lower + spacing / 2
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(_vtkMatrix(outToRas))
    chain.Concatenate(toWorld.GetInverse())
    chain.Concatenate(_vtkMatrix(np.linalg.inv(ijkToRas)))
    plain = vtk.vtkImageData()
    plain.ShallowCopy(image)
    plain.SetOrigin(0, 0, 0)
    plain.SetSpacing(1, 1, 1)
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(plain)
    reslice.SetResliceTransform(chain)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(0, int(size[0]) - 1, 0, int(size[1]) - 1, 0, int(size[2]) - 1)
    reslice.SetBackgroundLevel(0.0 if mask else AIR_HU)
    reslice.SetInterpolationMode(vtk.VTK_RESLICE_NEAREST if mask else vtk.VTK_RESLICE_LINEAR)
    reslice.Update()
    return reslice.GetOutput(), outToRas


def _worldBounds(dimensions: Any, ijkToRas: Any, toWorld: Any) -> Any:
    """World RAS bounds (lower, upper) of the outer voxel edges, sampled.

    A bent volume bulges between its corners.
    """
    axes = [np.linspace(-0.5, n - 0.5, _EDGE_SAMPLES) for n in dimensions]
    ijk = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    ras = ijk @ ijkToRas[:3, :3].T + ijkToRas[:3, 3]
    world = np.array([toWorld.TransformPoint(point) for point in ras.tolist()])
    return world.min(axis=0), world.max(axis=0)


def _vtkMatrix(array: Any) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, dtype=float).ravel().tolist())
    return matrix


def _imageOf(mask: Any) -> vtk.vtkImageData:
    """VTK image (extent from 0) of an array (k, j, i)."""
    image = vtk.vtkImageData()
    image.SetDimensions(mask.shape[::-1])
    scalars = vtk.util.numpy_support.numpy_to_vtk(
        mask.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR
    )
    image.GetPointData().SetScalars(scalars)
    return image
