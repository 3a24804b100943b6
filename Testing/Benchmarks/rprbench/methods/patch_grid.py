"""The lattice that template matching works on, and the patches around points cut from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from rprloc.geometry import FloatArray
from rprloc.image.hounsfield import AIR_HU
from rprloc.image.resampling import to_grid
from rprloc.image.volume import Volume

SPACING = (3.0, 2.0, 2.0)
PATCH = (16, 32, 32)
STRIDE = 2
WINDOW_HU = (-1000.0, 1000.0)
_SCALE_HU = 1000.0

FloatVolume = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PatchGrid:
    """A CT on a grid of SPACING (z, y, x mm) along the patient axes, the body alone in air.

    There is half a patch of air around the body.

    values: float32 (z, y, x) along +S, +P, +L; 0 is air (-1000 HU), 1 water, 2 the densest (1000
        HU).
    origin: (3,) x, y, z LPS mm of the centre of voxel 0, 0, 0.
    """

    values: FloatVolume
    origin: FloatArray

    def cut(self, points: FloatArray) -> tuple[FloatVolume, FloatArray]:
        """Patches (n, *PATCH) around points (n, 3; LPS mm), and the points' places in them.

        The places are relative to the patches' centres (mm).

        A patch lies on the voxels, so that its centre is up to half a voxel off; more for points
        far outside the body.
        """
        centre = (points - self.origin)[:, ::-1] / SPACING
        last = np.array(self.values.shape) - PATCH
        starts = np.clip(np.rint(centre - _half()), 0, last).astype(int)
        patches = [
            self.values[tuple(slice(s, s + n) for s, n in zip(start, PATCH, strict=True))]
            for start in starts
        ]
        return np.stack(patches), points - self.window_centres(starts)

    def window_centres(self, starts: npt.NDArray[np.integer]) -> FloatArray:
        """Centres (n, 3; x, y, z LPS mm) of windows that begin at ``starts`` (n, 3; z, y, x)."""
        return np.asarray(((starts + _half()) * SPACING)[:, ::-1] + self.origin)


def _half() -> FloatArray:
    return (np.array(PATCH, dtype=np.float64) - 1) / 2


def patch_grid(volume: Volume) -> PatchGrid:
    """The grid of a CT: all outside the body is air, half a patch of it on every side.

    The paper's grid has 1 mm in plane and patches of 64 x 64; the patches here have the same size
    in mm.
    """
    grid = to_grid(volume, SPACING[1])
    low, high = WINDOW_HU
    values = (np.clip(_two_of_three(grid.hu), low, high) - low) / np.float32(_SCALE_HU)
    # one voxel more at the end: the window of stride 2 that ends there is within reach for odd
    # lengths too
    air = [(n // 2, n // 2 + STRIDE - 1) for n in PATCH]
    first = np.array([SPACING[2] / 2, SPACING[1] / 2, SPACING[0] / 2]) - grid.spacing / 2
    corner = np.array([-before * mm for (before, _), mm in zip(air, SPACING, strict=True)])[::-1]
    return PatchGrid(np.pad(values, air).astype(np.float32), grid.origin + first + corner)


def _two_of_three(hu: FloatVolume) -> FloatVolume:
    """Planes 3 mm apart from planes 2 mm apart, linear.

    The first a quarter of a plane above the first.

    At these places all planes are smoothed alike (weights 3:1), so that patch and window match at
    even and odd ones.
    """
    planes, rows, columns = hu.shape
    missing = np.full((-planes % 3, rows, columns), AIR_HU, dtype=np.float32)
    a, b, c = np.moveaxis(np.concatenate([hu, missing]).reshape(-1, 3, rows, columns), 1, 0)
    pairs = np.stack([0.75 * a + 0.25 * b, 0.25 * b + 0.75 * c], axis=1)
    # The type checker takes a product of float32 and a number for float64.
    return cast(FloatVolume, pairs.reshape(-1, rows, columns))
