"""Organs and landmarks of the average trunk, drawn on it.

Places are LPS mm in the frame of the average that the shipped sample was made from: look at the
slices again before they are used on another one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

Mask = npt.NDArray[np.bool_]
Place = tuple[float, float, float]

IDS = {"LungRight": 1, "LungLeft": 2, "Heart": 3, "Liver": 4, "Spleen": 5}
LANDMARKS: dict[str, Place] = {
    "Carina": (0.0, 20.0, -87.0),
    "JugularNotch": (1.0, -37.0, -21.0),
    "KidneyRight": (-69.0, 39.0, -287.0),
    "KidneyLeft": (71.0, 41.0, -287.0),
}
SMOOTHING_MM = 3.0
LUNG_HU = -450.0
# An average is blurred at borders: organs are grown into it, but not into fat or air.
BORDER_HU = 15.0
# Maps that are smooth at the organ's border, 1 there, can be bent like the CT.
_MAP_MM = 2.0


@dataclass(frozen=True)
class SoftOrgan:
    """An organ that its HU set off from its neighbours.

    Attributes:
        seed: a place inside, mm.
        hu: lowest and highest of the smoothed average.
        lower, upper: corners of the box that it is sought in, mm.
    """

    seed: Place
    hu: tuple[float, float]
    lower: Place
    upper: Place


LIVER = SoftOrgan((-80.0, 0.0, -240.0), (59.0, 100.0), (-300.0, -200.0, -400.0), (75, 200, -180))
# Its lower end leans on the left kidney, from which only the box parts it.
SPLEEN = SoftOrgan((95.0, 55.0, -235.0), (44.0, 85.0), (40.0, -5.0, -268.0), (200, 200, -195))
# The heart is no brighter than what lies beside it: a tapering capsule from base to apex.
HEART_AXIS: tuple[Place, Place] = ((0.0, -14.0, -136.0), (45.0, -36.0, -158.0))
HEART_RADII_MM = (52.0, 47.0)
HEART_SEED: Place = (30.0, -25.0, -150.0)
HEART_LOWER, HEART_UPPER = (-200.0, -200.0, -192.0), (200.0, 34.0, -98.0)
LUNG_SEEDS: tuple[Place, Place] = ((-90.0, 20.0, -120.0), (90.0, 20.0, -120.0))
# Trachea and main bronchi, which the lungs' air runs into.
AIRWAY_LOWER, AIRWAY_UPPER = (-20.0, -45.0, -98.0), (20.0, 35.0, 100.0)


class Canvas:
    """The smoothed average, and masks (z, y, x) on its lattice."""

    def __init__(self, average: sitk.Image) -> None:
        plain = sitk.Cast(average, sitk.sitkFloat32)
        self.image = average
        self.hu = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(plain, SMOOTHING_MM))
        self._origin, self._mm = np.array(average.GetOrigin()), average.GetSpacing()[0]

    def axes(self) -> list[npt.NDArray[np.float64]]:
        """Positions x, y, z mm of the voxels, which broadcast to (z, y, x)."""
        steps = np.ogrid[tuple(slice(n) for n in self.hu.shape)][::-1]
        return [o + self._mm * step for o, step in zip(self._origin, steps, strict=True)]

    def box(self, lower: Place, upper: Place) -> Mask:
        """What lies between two corners, mm."""
        bounds = zip(self.axes(), lower, upper, strict=True)
        x, y, z = ((a >= low) & (a <= high) for a, low, high in bounds)
        return np.asarray(x & y & z)

    def capsule(self, ends: tuple[Place, Place], radii: tuple[float, float]) -> Mask:
        """What is nearer to a line than a radius that changes along it, mm."""
        start, along = np.array(ends[0]), np.subtract(ends[1], ends[0])
        away = [a - s for a, s in zip(self.axes(), start, strict=True)]
        t = np.clip(sum(d * v for d, v in zip(away, along, strict=True)) / (along @ along), 0, 1)
        square = sum((d - t * v) ** 2 for d, v in zip(away, along, strict=True))
        return np.asarray(np.sqrt(square) < radii[0] + (radii[1] - radii[0]) * t)

    def piece(self, mask: Mask, seed: Place, radius: int) -> Mask:
        """The piece of a mask around a seed, cut off where it hangs by less than ``radius``."""
        eroded = sitk.BinaryErode(_image(mask), [radius] * 3)
        pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(eroded))
        at = tuple(np.rint((np.array(seed) - self._origin) / self._mm).astype(int)[::-1])
        if not pieces[at]:
            raise ValueError(f"nothing lies at {seed}: is this another average?")
        core = grown(np.asarray(pieces == pieces[at]), radius) & mask
        closed = sitk.BinaryMorphologicalClosing(_image(core), [2] * 3)
        return np.asarray(sitk.GetArrayFromImage(sitk.BinaryFillhole(closed)) > 0)


def draw(average: sitk.Image) -> dict[str, sitk.Image]:
    """Draw the organs of ``IDS`` on the average (LPS, isotropic).

    Returns:
        float32 images on the same lattice; 1 and above is inside.
    """
    canvas = Canvas(average)
    lungs = _lungs(canvas)
    air = grown(lungs[0] | lungs[1], 1)
    heart = canvas.capsule(HEART_AXIS, HEART_RADII_MM) & (canvas.hu > -50.0)
    heart = canvas.piece(heart & canvas.box(HEART_LOWER, HEART_UPPER), HEART_SEED, 2)
    liver = soft_organ(canvas, LIVER, air | heart)
    spleen = soft_organ(canvas, SPLEEN, air | heart | liver)
    organs = dict(zip(IDS, (*lungs, heart, liver, spleen), strict=True))
    return {name: _map(mask, average) for name, mask in organs.items()}


def _lungs(canvas: Canvas) -> tuple[Mask, Mask]:
    air = (canvas.hu < LUNG_HU) & ~canvas.box(AIRWAY_LOWER, AIRWAY_UPPER)
    right, left = (canvas.piece(air, seed, 1) for seed in LUNG_SEEDS)
    return right, left & ~right


def soft_organ(canvas: Canvas, organ: SoftOrgan, taken: Mask) -> Mask:
    """An organ set off by its HU, without what other organs have taken."""
    alike = (canvas.hu > organ.hu[0]) & (canvas.hu < organ.hu[1])
    found = canvas.piece(alike & canvas.box(organ.lower, organ.upper) & ~taken, organ.seed, 2)
    return grown(found, 1) & (canvas.hu > BORDER_HU) & ~taken


def grown(mask: Mask, radius: int) -> Mask:
    """The mask and what is nearer to it than ``radius`` voxels."""
    return np.asarray(sitk.GetArrayFromImage(sitk.BinaryDilate(_image(mask), [radius] * 3)) > 0)


def _map(mask: Mask, lattice: sitk.Image) -> sitk.Image:
    image = _image(mask)
    image.CopyInformation(lattice)
    return 2.0 * sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), _MAP_MM)


def _image(mask: Mask) -> sitk.Image:
    return sitk.GetImageFromArray(mask.astype(np.uint8))
