"""Slices along the patient axes in radiological convention, cut from a CT of any orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .hounsfield import AIR_HU
from .volume import Volume

_FINEST_MM = 0.5
_MOST_PIXELS = 900.0

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """A slice across the LPS axis ``normal``.

    It is drawn with the axis ``right`` to the right and ``up`` upwards.

    flipped: the axis ``up`` points down in the image instead. letters: the patient's sides at the
    left, right, bottom and top edge.
    """

    title: str
    normal: int
    right: int
    up: int
    flipped: bool
    letters: str

    def extent(self, lower: Float, upper: Float) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top edge (mm) of a region from corner to corner, LPS."""
        bottom, top = (upper, lower) if self.flipped else (lower, upper)
        return (
            float(lower[self.right]),
            float(upper[self.right]),
            float(bottom[self.up]),
            float(top[self.up]),
        )


AXIAL = Plane("Axial", normal=2, right=0, up=1, flipped=True, letters="RLPA")
CORONAL = Plane("Coronal", normal=1, right=0, up=2, flipped=False, letters="RLIS")
SAGITTAL = Plane("Sagittal", normal=0, right=1, up=2, flipped=False, letters="APIS")


def cut_slice(
    volume: Volume, plane: Plane, at: float, lower: Float, upper: Float
) -> NDArray[np.float32]:
    """HU on the plane at ``at`` mm, of the region ``lower`` to ``upper`` (3,) LPS.

    Air outside the volume.

    Rows run from top to bottom and columns from left to right, as drawn. The pixels fill the region
    exactly; they are about 0.5 mm, or larger in a large region.
    """
    step = max(_FINEST_MM, float((upper - lower).max()) / _MOST_PIXELS)
    size, spacing, origin = [1, 1, 1], [step, step, step], [float(n) for n in lower]
    for axis in (plane.right, plane.up):
        width = float(upper[axis] - lower[axis])
        size[axis] = max(2, round(width / step))
        spacing[axis] = width / size[axis]
        origin[axis] += spacing[axis] / 2
    origin[plane.normal] = at
    library: Any = sitk
    image = library.GetImageFromArray(np.ascontiguousarray(volume.array))
    image.SetSpacing(volume.geometry.spacing.tolist())
    image.SetOrigin(volume.geometry.origin.tolist())
    image.SetDirection(volume.geometry.direction.ravel().tolist())
    straight = np.eye(3).ravel().tolist()
    lattice = (origin, spacing, straight, AIR_HU, library.sitkFloat32)
    cut = library.Resample(image, size, library.Transform(), library.sitkLinear, *lattice)
    pixels = np.squeeze(library.GetArrayFromImage(cut), axis=2 - plane.normal)
    return np.asarray(pixels if plane.flipped else pixels[::-1], dtype=np.float32)
