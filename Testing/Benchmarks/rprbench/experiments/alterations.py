"""Ways in which a CT differs from a good one.

Stored order, spacing, noise, missing slices, calibration (HU).

All are functions of a volume; what they give has passed the same checks as a file that is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rprloc.geometry import FloatArray, Geometry, Points
from rprloc.image.volume import Volume

from .truncation import slice_axis

FloatImage = npt.NDArray[np.float32]


def reordered(volume: Volume, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Volume:
    """The same patient at the same place, stored with other axes.

    New axis n is old axis ``axes[n]`` (i, j, k as 0, 1, 2), run backwards if ``flips[n]``. All 48
    orders of an upright scan can be had.
    """
    geometry, order = volume.geometry, list(axes)
    array = np.transpose(volume.array, [2 - axes[2 - n] for n in range(3)])
    array = np.flip(array, tuple(2 - n for n in range(3) if flips[n]))
    first = np.zeros(3)
    for n, axis in enumerate(axes):
        first[axis] = geometry.size[axis] - 1 if flips[n] else 0
    size = (array.shape[2], array.shape[1], array.shape[0])
    direction = geometry.direction[:, order] * np.where(flips, -1.0, 1.0)
    origin = geometry.index_to_lps([first]).xyz[0]
    lattice = Geometry(size, geometry.spacing[order], origin, direction)
    return Volume(np.ascontiguousarray(array), lattice, volume.name)


def respaced(volume: Volume, spacing: Sequence[float | None]) -> Volume:
    """Resampled along the stored axes i, j, k to these spacings in mm (None: as it is).

    Begins at the same outer edge.

    A coarser voxel is the mean over its width, as a scanner's is; finer voxels are interpolated
    linearly. The end of an axis moves by at most half a new voxel, so that their number is whole.
    """
    geometry = volume.geometry
    wanted = np.array(
        [old if new is None else new for old, new in zip(geometry.spacing, spacing, strict=True)]
    )
    size = [
        max(1, round(n * old / new))
        for n, old, new in zip(geometry.size, geometry.spacing, wanted, strict=True)
    ]

    hu = volume.array.astype(np.float32)
    for n in range(3):
        if wanted[n] != geometry.spacing[n]:
            share = _shares(geometry.size[n], float(geometry.spacing[n]), size[n], float(wanted[n]))
            hu = np.moveaxis(np.tensordot(share, hu, axes=(1, 2 - n)), 0, 2 - n)

    origin = geometry.origin + geometry.direction @ ((wanted - geometry.spacing) / 2)
    lattice = Geometry((size[0], size[1], size[2]), wanted, origin, geometry.direction)
    return Volume.from_array(hu, lattice.ijk_to_lps, volume.name)


def _shares(count: int, old: float, wanted: int, new: float) -> FloatImage:
    """How much each old voxel of ``old`` mm counts in each new one of ``new`` mm.

    Returns (wanted, count).
    """
    if new > old:
        edges, voxels = np.arange(wanted)[:, None] * new, np.arange(count)[None] * old
        shared = np.minimum(edges + new, voxels + old) - np.maximum(edges, voxels)
        weight = np.clip(shared, 0.0, None)
    else:
        centre = np.clip((np.arange(wanted) + 0.5) * new / old - 0.5, 0, count - 1)
        weight = np.clip(1.0 - np.abs(centre[:, None] - np.arange(count)[None]), 0.0, None)
    normed: FloatImage = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    return normed


def thick_slices(volume: Volume, thickness_mm: float) -> Volume:
    """Respaced along the axis of the slices only."""
    spacing: list[float | None] = [None, None, None]
    spacing[slice_axis(volume.geometry)] = thickness_mm
    return respaced(volume, spacing)


def noisy(volume: Volume, sigma_hu: float, rng: np.random.Generator) -> Volume:
    """White Gaussian noise in every voxel, as stored."""
    hu = volume.array + rng.normal(0.0, sigma_hu, volume.array.shape).astype(np.float32)
    return Volume.from_array(hu, volume.geometry.ijk_to_lps, volume.name)


def offset(volume: Volume, hu: int) -> Volume:
    """A scanner whose water is not at 0.

    ``hu`` added everywhere, clipped to the range of a CT as when it is read.
    """
    return Volume.from_array(
        volume.array.astype(np.int32) + hu, volume.geometry.ijk_to_lps, volume.name
    )


def every_nth(volume: Volume, n: int) -> list[int]:
    """Stored numbers of every n-th slice; the first slice is never among them."""
    return list(range(n - 1, volume.geometry.size[slice_axis(volume.geometry)], n))


def gap_at(volume: Volume, z: float, count: int) -> list[int]:
    """Stored numbers of ``count`` neighbouring slices around the height ``z`` (LPS mm).

    Both end slices are spared.
    """
    geometry = volume.geometry
    axis = slice_axis(geometry)
    middle = geometry.bounds().center
    middle[2] = z
    index = geometry.lps_to_index(Points(middle[None]))[0, axis]
    first = int(
        np.clip(round(float(index) - (count - 1) / 2), 1, max(1, geometry.size[axis] - 1 - count))
    )
    return list(range(first, min(first + count, geometry.size[axis] - 1)))


def repeated(volume: Volume, missing: Sequence[int]) -> Volume:
    """Missing slices closed with a copy of the nearest one there is (of two, the lower number).

    All stays in place.
    """
    axis = 2 - slice_axis(volume.geometry)
    present = _present(volume.geometry, missing)
    nearest = present[
        np.abs(np.arange(volume.array.shape[axis])[:, None] - present[None]).argmin(axis=1)
    ]
    return Volume(np.take(volume.array, nearest, axis=axis), volume.geometry, volume.name)


def dropped(volume: Volume, missing: Sequence[int]) -> Volume:
    """Missing slices not noticed.

    The rest is stacked without gaps, so that the stack is too short and all beyond a missing slice
    lies too near to the first slice (see ``moved``).
    """
    array = np.take(
        volume.array, _present(volume.geometry, missing), axis=2 - slice_axis(volume.geometry)
    )
    return Volume(array, _short(volume.geometry, missing), volume.name)


def moved(geometry: Geometry, missing: Sequence[int], lps: FloatArray) -> FloatArray:
    """Where a patient's points (n, 3), LPS mm, lie once the slices of ``geometry`` are dropped.

    Those in a missing slice come to lie where its neighbours touch.
    """
    axis = slice_axis(geometry)
    index = geometry.lps_to_index(Points(lps))
    # a slice reaches from half a step before its centre to half a step behind it
    before = index[:, axis, None] + 0.5 - np.asarray(missing, dtype=np.float64)[None]
    index[:, axis] -= np.clip(before, 0.0, 1.0).sum(axis=1)
    return _short(geometry, missing).index_to_lps(index).xyz


def _present(geometry: Geometry, missing: Sequence[int]) -> npt.NDArray[np.intp]:
    return np.setdiff1d(np.arange(geometry.size[slice_axis(geometry)]), missing)


def _short(geometry: Geometry, missing: Sequence[int]) -> Geometry:
    """The lattice that is left: it begins at the first slice that is there."""
    axis = slice_axis(geometry)
    present = _present(geometry, missing)
    size, first = list(geometry.size), np.zeros(3)
    size[axis], first[axis] = len(present), present[0]
    origin = geometry.index_to_lps([first]).xyz[0]
    return Geometry((size[0], size[1], size[2]), geometry.spacing, origin, geometry.direction)
