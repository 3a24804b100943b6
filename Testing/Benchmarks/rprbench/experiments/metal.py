"""Dental metal and its streaks, synthetic.

Not a simulation of the projections, but the pattern that a reader sees.
"""

from __future__ import annotations

import numpy as np

from rprloc.geometry import FloatArray
from rprloc.image.hounsfield import BODY_HU
from rprloc.image.volume import Volume

from .truncation import coordinate, slice_axis

METAL_HU = 3000.0
METAL_MM = 5.0
HALF_HEIGHT_MM = 6.0
STREAK_HU = 500.0
STREAK_MM = 10.0
BAND_HU = 500.0
BAND_MM = 5.0
RAYS = 24


def with_metal(volume: Volume, z: float, rng: np.random.Generator) -> Volume:
    """The volume with two fillings in the axial slices within 6 mm of the height ``z`` (LPS mm).

    They sit where the slice at ``z`` is densest in front of the body's middle, one left and one
    right: teeth or the jaw's bone, found without any label. Each is 10 mm wide, has 3000 HU, and
    sends out a fan of alternately bright and dark rays of random strength, the same on both sides
    of it (a ray is a line of projection), that fall off with the
    distance: 500 HU up to 10 mm, 50 HU at 100 mm. Between the two lies a dark band (photon
    starvation), 500 HU deep. Nothing is changed where the slice at ``z`` shows no body on one of
    the sides.
    """
    axis = 2 - slice_axis(volume.geometry)
    # the axial slices come first, whatever the stored order
    hu = np.moveaxis(volume.array.astype(np.float32), axis, 0)
    x, y, height = (
        np.moveaxis(np.broadcast_to(c, volume.array.shape), axis, 0) for c in _coordinates(volume)
    )
    level = int(np.abs(height.mean(axis=(1, 2)) - z).argmin())
    fillings = dense_spots(hu[level], x[level], y[level])

    strengths = rng.uniform(0.5, 1.0, (2, RAYS)) * np.where(np.arange(RAYS) % 2, 1.0, -1.0)
    for n in (
        np.flatnonzero(np.abs(height.mean(axis=(1, 2)) - z) <= HALF_HEIGHT_MM)
        if len(fillings) == 2
        else ()
    ):
        hu[n] += streaks(x[n], y[n], fillings, strengths)
        near = np.min([np.hypot(x[n] - a, y[n] - b) for a, b in fillings], axis=0)
        hu[n][near <= METAL_MM] = METAL_HU

    return Volume.from_array(np.moveaxis(hu, 0, axis), volume.geometry.ijk_to_lps, volume.name)


def _coordinates(volume: Volume) -> tuple[FloatArray, ...]:
    return tuple(coordinate(volume.geometry, axis) for axis in range(3))


def dense_spots(hu: np.ndarray, x: FloatArray, y: FloatArray) -> list[tuple[float, float]]:
    """Densest voxels (x, y, LPS mm) in front of the tissue's middle, right and left of it."""
    tissue = hu > BODY_HU
    if not tissue.any():
        return []
    middle = x[tissue].mean(), y[tissue].mean()
    sides = [tissue & (y < middle[1]) & side for side in (x < middle[0], x >= middle[0])]
    places = [np.flatnonzero(side)[hu[side].argmax()] for side in sides if side.any()]
    return [(float(x.flat[n]), float(y.flat[n])) for n in places]


def streaks(
    x: FloatArray, y: FloatArray, fillings: list[tuple[float, float]], strengths: np.ndarray
) -> np.ndarray:
    """HU to add in a slice whose voxels lie at ``x``, ``y`` (LPS mm).

    The fans of all fillings and the band between.

    strengths: (fillings, rays), -1 (dark) to 1 (bright), of rays spread evenly over half a turn.
    """
    added: np.ndarray = np.zeros(x.shape)
    for (a, b), rays in zip(fillings, strengths, strict=True):
        angle = np.arctan2(y - b, x - a) / np.pi * len(rays)
        strength = np.interp(angle, np.arange(len(rays)), rays, period=len(rays))
        added += STREAK_HU * strength * STREAK_MM / np.maximum(STREAK_MM, np.hypot(x - a, y - b))

    first, last = np.array(fillings[0]), np.array(fillings[-1])
    along = last - first
    share = np.clip(
        ((x - first[0]) * along[0] + (y - first[1]) * along[1]) / max(1.0, float(along @ along)),
        0,
        1,
    )
    aside = np.hypot(x - first[0] - share * along[0], y - first[1] - share * along[1])
    added -= BAND_HU * np.exp(-0.5 * (aside / BAND_MM) ** 2)
    return added
