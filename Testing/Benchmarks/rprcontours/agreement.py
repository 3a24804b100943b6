"""How well a mask agrees with the drawn one: overlap and surface distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from rprloc.geometry import Geometry

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """Of one organ.

    Attributes:
        dice: in %. surface_mm: mean distance of both surfaces to each other; hd95_mm: the larger
            of both 95th percentiles. Both None where nothing was found.
    """

    dice: float
    surface_mm: float | None
    hd95_mm: float | None


def agreement(found: Mask, truth: Mask, geometry: Geometry) -> Agreement:
    """Compare two masks (k, j, i) on one lattice; ``truth`` is not empty."""
    if not found.any():
        return Agreement(0.0, None, None)
    dice = 200.0 * float((found & truth).sum()) / float(found.sum() + truth.sum())
    images = [_image(mask, geometry) for mask in _cropped(found, truth)]
    surfaces = [sitk.GetArrayFromImage(sitk.LabelContour(image)) > 0 for image in images]
    away = [
        np.abs(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True)))
        for image in images
    ]
    there, back = away[1][surfaces[0]], away[0][surfaces[1]]
    return Agreement(
        dice,
        float(there.mean() + back.mean()) / 2,
        float(max(np.percentile(there, 95), np.percentile(back, 95))),
    )


def _cropped(first: Mask, second: Mask) -> list[Mask]:
    """Both cut to what either takes, with a rim of one voxel."""
    used = first | second
    ranges = [np.flatnonzero(used.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    where = tuple(slice(int(r[0]), int(r[-1]) + 1) for r in ranges)
    return [np.pad(mask[where], 1) for mask in (first, second)]


def _image(mask: Mask, geometry: Geometry) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(geometry.spacing.tolist())
    return image
