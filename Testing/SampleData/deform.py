"""Random smooth deformations, as patients differ: a diffeomorphic field and a small affine map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

# Squarings of the flow: a step of 1/64 of the velocity is far below a voxel.
_STEPS = 6
_LATTICE_MM = 8.0


@dataclass(frozen=True)
class Spread:
    """How large deformations are.

    Attributes:
        scale: fraction, per axis.
        rotation_deg: degrees, per axis.
        bend_mm: RMS length of the random field.
        reach_mm: how far the field stays similar.
    """

    scale: float = 0.06
    rotation_deg: float = 3.0
    bend_mm: float = 7.0
    reach_mm: float = 40.0


def random_affine(
    rng: np.random.Generator, center: npt.ArrayLike, spread: Spread
) -> sitk.AffineTransform:
    """Rotate and scale about ``center`` (LPS mm), by a scale of its own per axis."""
    angles = np.deg2rad(rng.uniform(-spread.rotation_deg, spread.rotation_deg, 3))
    turn = sitk.Euler3DTransform(np.asarray(center, dtype=np.float64).tolist(), *angles.tolist())
    scale = np.diag(1.0 + rng.uniform(-spread.scale, spread.scale, 3))
    transform = sitk.AffineTransform(3)
    transform.SetCenter(turn.GetCenter())
    transform.SetMatrix((np.array(turn.GetMatrix()).reshape(3, 3) @ scale).ravel().tolist())
    return transform


def random_field(
    rng: np.random.Generator, lower: npt.ArrayLike, upper: npt.ArrayLike, spread: Spread
) -> sitk.Image:
    """Displacement field (mm, 8 mm lattice) over the LPS box ``lower`` to ``upper``.

    It is the flow of a random velocity, by scaling and squaring, and so invertible; its RMS length
    over the box is about ``spread.bend_mm``.
    """
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    size = np.ceil((high - low) / _LATTICE_MM).astype(int) + 1
    rim = int(np.ceil(3 * spread.reach_mm / _LATTICE_MM))
    noise = rng.standard_normal((*(size[::-1] + 2 * rim).tolist(), 3))
    smooth = [_smoothed(noise[..., axis], spread.reach_mm / _LATTICE_MM) for axis in range(3)]
    velocity = np.stack(smooth, axis=-1)[rim:-rim, rim:-rim, rim:-rim].astype(np.float64)
    velocity -= velocity.mean(axis=(0, 1, 2))
    velocity *= spread.bend_mm / np.sqrt(np.square(velocity).sum(axis=-1).mean())
    return _flow(velocity, low)


def _smoothed(noise: npt.NDArray[np.float64], sigma: float) -> npt.NDArray[np.float64]:
    return np.asarray(
        sitk.GetArrayFromImage(
            sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(noise), sigma)
        )
    )


def _flow(velocity: npt.NDArray[np.float64], origin: npt.NDArray[np.float64]) -> sitk.Image:
    """Exponential of a stationary velocity (z, y, x, 3), mm."""
    field = sitk.GetImageFromArray(velocity / 2**_STEPS, isVector=True)
    field.SetOrigin(origin.tolist())
    field.SetSpacing([_LATTICE_MM] * 3)
    for _ in range(_STEPS):
        moved = sitk.Resample(
            field,
            field,
            sitk.DisplacementFieldTransform(sitk.Image(field)),
            sitk.sitkLinear,
            0.0,
            sitk.sitkVectorFloat64,
            True,
        )
        field = field + moved
    return field


def smallest_jacobian(field: sitk.Image) -> float:
    """Smallest determinant of x -> x + field(x): above 0 nothing folds."""
    return float(sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field)).min())
