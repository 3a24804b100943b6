"""Cutting a CT so that an organ is partly or wholly beyond the field of view."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rprloc.errors import InputError
from rprloc.geometry import Box, FloatArray, Geometry
from rprloc.image.hounsfield import AIR_HU
from rprloc.image.volume import Volume

Side = Literal["top", "bottom"]


def cut_plane(organ: Box, share: float, side: Side, margin_mm: float = 0.0) -> float:
    """Height z (LPS mm) at which to cut so that ``share`` (0..1) of the organ stays in view.

    What is above ("top") or below ("bottom") it is cut away.

    margin_mm: the plane lies this much farther into what stays; with share 0 the organ's
        surroundings go too.
    """
    lower, upper = float(organ.lower[2]), float(organ.upper[2])
    seen = share * (upper - lower) - margin_mm
    return lower + seen if side == "top" else upper - seen


def what_remains(span: tuple[float, float], z: float, side: Side) -> float:
    """Millimetres of ``span`` (lower and upper z, LPS mm) that are left after the cut at ``z``."""
    lower, upper = span
    return max(0.0, min(z, upper) - lower if side == "top" else upper - max(z, lower))


def cut(volume: Volume, z: float, side: Side) -> Volume:
    """The volume without the voxels above (top) or below (bottom) the plane ``z`` (LPS mm).

    The centres of the voxels count.

    Whole slices are cropped and the lattice's origin moves with them: what stays lies where it was.
    In a tilted volume the slices that the plane crosses stay, with air (-1024) beyond it. Raises
    InputError if nothing is left.
    """
    height = coordinate(volume.geometry, 2)
    kept = height <= z if side == "top" else height >= z
    axis = 2 - slice_axis(volume.geometry)
    layers = np.flatnonzero(kept.any(axis=tuple(a for a in range(3) if a != axis)))
    if not len(layers):
        remaining = "below" if side == "top" else "above"
        raise InputError(f"{volume.name}: nothing is left of it {remaining} z = {z:.1f} mm")

    crop = [slice(None)] * 3
    crop[axis] = slice(int(layers[0]), int(layers[-1]) + 1)
    array = np.where(kept[tuple(crop)], volume.array[tuple(crop)], np.int16(AIR_HU))
    first = [0, 0, 0]
    first[2 - axis] = int(layers[0])
    geometry = volume.geometry
    origin = geometry.index_to_lps([first]).xyz[0]
    size = (array.shape[2], array.shape[1], array.shape[0])

    return Volume(
        array, Geometry(size, geometry.spacing, origin, geometry.direction), f"{volume.name}-cut"
    )


def slice_axis(geometry: Geometry) -> int:
    """The stored axis (0, 1, 2 for i, j, k) that runs closest to the patient's z.

    Along it lie the axial slices.
    """
    return int(np.argmax(np.abs(geometry.direction[2])))


def coordinate(geometry: Geometry, axis: int) -> FloatArray:
    """LPS coordinate ``axis`` (0, 1, 2 for x, y, z) in mm of every voxel's centre, (k, j, i)."""
    i, j, k = geometry.size
    steps = geometry.direction[axis] * geometry.spacing
    z, y, x = np.ogrid[:k, :j, :i]
    coordinates: FloatArray = geometry.origin[axis] + (steps[2] * z + steps[1] * y + steps[0] * x)
    return coordinates
