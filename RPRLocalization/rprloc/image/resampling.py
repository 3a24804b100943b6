"""Volumes on isotropic lattices along the patient axes, which the networks see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from ..errors import InputError
from ..geometry import FloatArray, Geometry
from .body import body_mask
from .hounsfield import AIR_HU
from .volume import Volume

#: The body is sought at this spacing in mm: fine enough for an ear, coarse enough to be quick.
_MASK_SPACING = 4.0
#: Hundredth of a voxel: rounding of stored spacings and directions decides nothing.
_SLACK = 1e-2


@dataclass(frozen=True, eq=False)
class IsotropicVolume:
    """HU on an isotropic lattice whose axes are those of the patient.

    hu: float32 (z, y, x), axes along +S, +P, +L. origin: (3,) x, y, z LPS mm of the centre of voxel
        0, 0, 0.
    spacing: mm along every axis.
    """

    hu: npt.NDArray[np.float32]
    origin: FloatArray
    spacing: float

    def zyx_to_lps(self, zyx: npt.ArrayLike) -> FloatArray:
        """Map (n, 3) fractional indices z, y, x to (n, 3) x, y, z LPS mm."""
        return np.asarray(zyx, dtype=np.float64)[:, ::-1] * self.spacing + self.origin

    def lps_to_zyx(self, xyz: npt.ArrayLike) -> FloatArray:
        """Map (n, 3) x, y, z LPS mm to (n, 3) fractional indices z, y, x."""
        index: FloatArray = (np.asarray(xyz, dtype=np.float64) - self.origin) / self.spacing
        return index[:, ::-1]


def to_grid(volume: Volume, spacing: float, *, body_only: bool = True) -> IsotropicVolume:
    """Resample ``volume`` to ``spacing`` mm: averaged over whole voxels, then linear.

    Air (-1024) outside.

    The lattice starts at the lower corner of the volume's LPS bounds, whatever the order, sign or
    tilt of the stored axes. body_only: all outside the body is air, and the grid is cropped to the
    body plus one voxel. Raises InputError for spacing <= 0, or if body_only and there is no body.
    """
    return to_grids(volume, (spacing,), body_only=body_only)[0]


def to_grids(
    volume: Volume, spacings: Sequence[float], *, body_only: bool = True
) -> tuple[IsotropicVolume, ...]:
    """Resample to several spacings (mm).

    The grids of ``to_grid``, but the body is sought only once.
    """
    if any(not np.isfinite(s) or s <= 0 for s in spacings):
        raise InputError(
            f"grid spacing must be above 0 mm, but is {' and '.join(f'{s:g}' for s in spacings)}"
        )

    image = _as_image(volume)

    # The body is sought in a grid of its own, so that every spacing gets the same one.
    wanted = (*spacings, _MASK_SPACING) if body_only else tuple(spacings)
    whole = {s: _resampled(image, volume.geometry, s) for s in dict.fromkeys(wanted)}
    if not body_only:
        return tuple(whole[s] for s in spacings)

    coarse = whole[_MASK_SPACING]
    body = body_mask(coarse.hu, (_MASK_SPACING,) * 3)
    if not body.any():
        raise InputError(f"{volume.name}: no body in the volume (nothing above -350 HU)")
    return tuple(_masked(whole[s], _carried_over(body, coarse, whole[s])) for s in spacings)


def _as_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.geometry.spacing.tolist())
    image.SetOrigin(volume.geometry.origin.tolist())
    image.SetDirection(volume.geometry.direction.reshape(-1).tolist())
    return image


def _shrunk(image: sitk.Image, geometry: Geometry, spacing: float) -> sitk.Image:
    """Average over floor(spacing / voxel) voxels per axis.

    The outermost voxels are repeated once on all sides.

    The bins begin at the end of each axis that lies towards right, front or feet, so that they do
    not depend on the stored sign; voxels too few for a bin are left off at the other end.
    """
    factor = np.clip(np.floor(spacing / geometry.spacing + _SLACK).astype(int), 1, geometry.size)
    if factor.max() > 1:
        weight = np.abs(geometry.direction)
        main = np.argmax(weight > weight.max(axis=0) - _SLACK, axis=0)
        backward = geometry.direction[main, np.arange(3)] < 0
        start = np.where(backward, np.array(geometry.size) % factor, 0)
        if start.any():
            image = image[tuple(slice(int(n), None) for n in start)]
        image = sitk.BinShrink(image, factor.tolist())

    padded: sitk.Image = sitk.ZeroFluxNeumannPad(image, [1, 1, 1], [1, 1, 1])
    return padded


def _resampled(image: sitk.Image, geometry: Geometry, spacing: float) -> IsotropicVolume:
    """Resample to the lattice points inside the bounds.

    What lies outside the volume itself is air.
    """
    bounds = geometry.bounds()
    origin = bounds.lower + spacing / 2
    size = np.maximum(1, np.ceil(bounds.size / spacing - 0.5 - _SLACK).astype(int))

    resampled = sitk.Resample(
        _shrunk(image, geometry, spacing),
        size.tolist(),
        sitk.Transform(),
        sitk.sitkLinear,
        origin.tolist(),
        [spacing] * 3,
        np.eye(3).reshape(-1).tolist(),
        AIR_HU,
        sitk.sitkFloat32,
    )

    grid = IsotropicVolume(sitk.GetArrayFromImage(resampled), origin, spacing)

    # Only the lattice around a tilted volume has points outside of it.
    weight = np.abs(geometry.direction)
    if np.minimum(weight, np.abs(weight - 1)).max() > 1e-6:
        grid.hu[_outside(grid, geometry)] = AIR_HU
    return grid


def _outside(grid: IsotropicVolume, geometry: Geometry) -> npt.NDArray[np.bool_]:
    """Tell the lattice points (z, y, x) that lie outside the box of a tilted volume."""
    steps = np.linalg.inv(geometry.direction * geometry.spacing)
    first = steps @ (grid.origin - geometry.origin)

    z, y, x = np.ogrid[tuple(slice(n) for n in grid.hu.shape)]
    outside = np.zeros(grid.hu.shape, dtype=bool)
    for axis in range(3):
        across, down, up = steps[axis] * grid.spacing
        index = (first[axis] + across * x) + (down * y + up * z)
        outside |= (index < -0.5 - _SLACK) | (index > geometry.size[axis] - 0.5 + _SLACK)
    return outside


def _masked(grid: IsotropicVolume, body: npt.NDArray[np.bool_]) -> IsotropicVolume:
    used = [np.flatnonzero(body.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    lower = [max(0, int(u[0]) - 1) for u in used]
    crop = tuple(slice(low, int(u[-1]) + 2) for low, u in zip(lower, used, strict=True))

    hu = np.where(body[crop], grid.hu[crop], np.float32(AIR_HU))
    return IsotropicVolume(hu, grid.zyx_to_lps([lower])[0], grid.spacing)


def _carried_over(
    body: npt.NDArray[np.bool_], coarse: IsotropicVolume, grid: IsotropicVolume
) -> npt.NDArray[np.bool_]:
    """Carry the body over to another lattice: each voxel takes the nearest one."""
    if grid is coarse:
        return body

    index = [
        np.clip(
            np.rint((np.arange(n) * grid.spacing + start - first) / coarse.spacing).astype(int),
            0,
            m - 1,
        )
        for n, m, start, first in zip(
            grid.hu.shape, body.shape, grid.origin[::-1], coarse.origin[::-1], strict=True
        )
    ]
    return body[np.ix_(*index)]
