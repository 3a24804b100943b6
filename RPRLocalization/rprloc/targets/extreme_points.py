"""Points of a voxel mask.

Its outer walls, its six extreme points, and points spread over it (LPS mm).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry import Box, Frame, Geometry, Points

#: More voxels than this are thinned out before points are chosen among them (time).
_CANDIDATES = 20_000
#: Voxel centres often lie at round coordinates. There the noise of the last bits, which depends on
#: the order of the axes, would round them up or down; an odd offset moves them off such ties.
_OFF_TIES_MM = 0.000317

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


def face_centres(box: Box) -> Float:
    """Centres of the six faces, (6, 3) in the frame of the box.

    Xmin, Ymin, Zmin, Xmax, Ymax, Zmax.
    """
    faces = np.tile((box.lower + box.upper) / 2.0, (6, 1))
    for axis in range(3):
        faces[axis, axis] = box.lower[axis]
        faces[axis + 3, axis] = box.upper[axis]
    return faces


def box_and_extreme_points(mask: Mask, geometry: Geometry) -> tuple[Box, Points]:
    """Return the box of a mask (k, j, i) and its six extreme points (6, 3), both LPS.

    The box holds the voxels as physical boxes: along a patient axis a voxel reaches half its extent
    ``sum_k |direction[axis, k]| * spacing[k] / 2`` beyond its centre. An extreme point lies on its
    wall; its other two coordinates are those of the voxel nearest to the median of the voxels whose
    centres are within that half extent of the outermost one: where two parts touch a wall (both
    condyles of a mandible), the median itself would lie off the organ.
    """
    half = 0.5 * np.abs(geometry.direction) @ geometry.spacing
    lower, upper = np.empty(3), np.empty(3)
    extremes = np.empty((6, 3))
    for axis in range(3):
        along = _coordinate(mask.shape, geometry, axis)
        inside = along[mask]
        lower[axis], upper[axis] = inside.min(), inside.max()
        for row, touching in (
            (axis, along <= lower[axis] + half[axis]),
            (axis + 3, along >= upper[axis] - half[axis]),
        ):
            ijk = np.argwhere(mask & touching)[:, ::-1]
            extremes[row] = _middle_one(geometry.index_to_lps(ijk).xyz)

    box = Box(lower - half, upper + half, Frame.LPS)
    for axis in range(3):
        extremes[axis, axis], extremes[axis + 3, axis] = box.lower[axis], box.upper[axis]
    return box, Points(extremes, Frame.LPS)


def _middle_one(xyz: Float) -> Float:
    """Return the point of (n, 3) nearest to their median.

    Of several it is the first in a fixed spatial order.
    """
    ordered = xyz[np.lexsort(np.round(xyz + _OFF_TIES_MM, 3).T)]

    distance = np.square(ordered - np.median(ordered, axis=0)).sum(axis=1)
    nearest: Float = ordered[int(np.argmin(np.round(distance, 3)))]
    return nearest


def _coordinate(shape: tuple[int, ...], geometry: Geometry, axis: int) -> Float:
    """LPS coordinate along ``axis`` of the voxel centres, (k, j, i)."""
    steps = geometry.ijk_to_lps[axis]
    along_k, along_j, along_i = (
        np.arange(n) * step for n, step in zip(shape, steps[2::-1], strict=True)
    )
    return np.asarray(
        steps[3] + along_k[:, None, None] + along_j[:, None] + along_i, dtype=np.float64
    )


def spread_over(mask: Mask, geometry: Geometry, count: int) -> Points:
    """Choose at most ``count`` voxel centres (LPS) of a mask (k, j, i), on its surface and inside.

    They lie far apart, and depend on the physical mask only, not on the order in which its axes
    are stored.
    """
    voxels = int(np.count_nonzero(mask))
    apart = float(np.cbrt(voxels / _CANDIDATES * np.prod(geometry.spacing)))
    kept = [
        _every(size, apart / step)
        for size, step in zip(mask.shape, geometry.spacing[::-1], strict=True)
    ]

    # A thin mask can fall between the voxels kept: then all of them are taken.
    if voxels <= _CANDIDATES or np.count_nonzero(mask[np.ix_(*kept)]) < count:
        kept = [np.arange(size) for size in mask.shape]

    found = np.nonzero(mask[np.ix_(*kept)])
    ijk = np.stack([index[places] for index, places in zip(kept, found, strict=True)], axis=1)[
        :, ::-1
    ]
    return Points(farthest_points(geometry.index_to_lps(ijk).xyz, count), Frame.LPS)


def _every(size: int, step: float) -> NDArray[np.intp]:
    """Indices about ``step`` apart, the same ones when counted from the other end."""
    from_middle = np.abs(2 * np.arange(size) - (size - 1)) // 2
    return np.flatnonzero(from_middle % max(1, int(np.ceil(step))) == 0)


def farthest_points(xyz: Float, count: int) -> Float:
    """Choose ``count`` of the points (n, 3): the middle one, then those far apart.

    Always the one farthest from those chosen.
    """
    ordered = xyz[np.lexsort(np.round(xyz + _OFF_TIES_MM, 3).T)]
    if len(ordered) <= count:
        return ordered

    candidates = ordered[:: -(-len(ordered) // (2 * _CANDIDATES))]
    to_middle = np.square(candidates - candidates.mean(axis=0)).sum(axis=1)
    chosen = [int(np.argmin(np.round(to_middle, 5)))]

    distance = np.full(len(candidates), np.inf)
    while len(chosen) < count:
        latest = np.square(candidates - candidates[chosen[-1]]).sum(axis=1)
        distance = np.minimum(distance, np.round(latest, 5))
        chosen.append(int(np.argmax(distance)))
    return candidates[chosen]
