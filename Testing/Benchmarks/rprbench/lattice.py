"""A stored lattice seen from the patient: which stored axis runs from feet to head, and where the voxels lie."""

from __future__ import annotations

import numpy as np

from rprloc.geometry import FloatArray, Geometry


def slice_axis(geometry: Geometry) -> int:
    """The stored axis (0, 1, 2 for i, j, k) that runs closest to the patient's z; along it lie the axial slices."""
    return int(np.argmax(np.abs(geometry.direction[2])))


def coordinate(geometry: Geometry, axis: int) -> FloatArray:
    """LPS coordinate ``axis`` (0, 1, 2 for x, y, z) in mm of every voxel's centre, (k, j, i)."""
    i, j, k = geometry.size
    steps = geometry.direction[axis] * geometry.spacing
    z, y, x = np.ogrid[:k, :j, :i]
    found: FloatArray = geometry.origin[axis] + (steps[2] * z + steps[1] * y + steps[0] * x)
    return found
