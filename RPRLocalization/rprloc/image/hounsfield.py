"""Hounsfield units: the numbers that stand for air, tissue and display, and why they differ.

Torch-free and SimpleITK-free.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import InputError

#: What a volume is clipped to: 12 bits, as scanners store them.
HU_MIN: Final = -1024
HU_MAX: Final = 3071

#: Fills what was not scanned. The lowest value that a CT can have, so that nothing measured looks
#: the same; every layer of the networks maps it to 0.
AIR_HU: Final = -1024.0

#: Air as the scale defines it: 0 of the networks' input window.
AIR_OF_SCALE_HU: Final = -1000.0

#: A voxel counts as tissue for the networks: fat and lung walls do, lung and bowel gas do not.
#: Training and use must agree on it, because it decides which cells vote.
TISSUE_HU: Final = -400.0

#: A voxel belongs to the body when its outline is sought: a little higher than ``TISSUE_HU``, so
#: that blankets, cushions and the foam of a couch fall apart from the patient.
BODY_HU: Final = -350.0

#: A voxel may become a point of a template: higher again, so that partial volumes at the skin,
#: which lie elsewhere in the next patient, are not chosen.
SOLID_HU: Final = -300.0

#: Below it a value is a scanner's padding outside of its field of view, and is not judged.
PADDING_HU: Final = -1100

#: Grey levels of pictures: soft tissue as a radiologist sets it (level 40, width 400).
DISPLAY_WINDOW_HU: Final = (-160.0, 240.0)

#: As many voxels as are looked at to judge a volume.
_SAMPLES = 500_000


def check_ct(array: npt.NDArray[Any]) -> None:
    """Raise InputError unless ``array`` (k, j, i) plausibly holds Hounsfield units of a patient.

    Values below -1100 count as padding outside the scanner's field of view and are not judged.
    """
    if array.size == 0:
        raise InputError("the volume is empty")
    if array.dtype.kind not in "iuf":
        raise InputError(f"voxels of type {array.dtype} cannot be Hounsfield units")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("the volume holds NaN or infinite values")

    sample = array.reshape(-1)[:: max(1, array.size // _SAMPLES)].astype(np.float32)
    if sample.min() == sample.max() and array.min() == array.max():
        raise InputError(f"the volume is empty: every voxel is {sample[0]:g}")

    scanned = sample[sample >= PADDING_HU]
    if scanned.size == 0:
        raise InputError("the volume holds nothing above -1100: not a CT in Hounsfield units")
    _check_range(scanned, padded=scanned.size < 0.99 * sample.size)


def _check_range(sample: npt.NDArray[np.float32], padded: bool) -> None:
    low, high = np.percentile(sample, [0.5, 99.9])
    if high - low < 100:
        raise InputError(
            f"values from {low:g} to {high:g} are not Hounsfield units (normalised, or a label "
            "map?)"
        )
    if low > -50 and _is_offset(sample):
        raise InputError(
            f"values from {low:g} to {high:g} look like a CT stored with an offset of about +1024, "
            "not in"
            " Hounsfield units; subtract 1024 (apply the rescale intercept) first"
        )
    if low > -50 and not padded:
        raise InputError(
            f"values from {low:g} to {high:g}, no air or fat: not a CT in Hounsfield units (an MR "
            "image?)"
        )

    if np.mean((sample > -200) & (sample < 300)) < 0.005:
        raise InputError(
            "no soft tissue (-200 to 300) in the volume: not a CT of a patient in Hounsfield units"
        )

    bottom = sample.min()
    if bottom > -400 and np.mean(sample == bottom) > 0.1:
        raise InputError(
            f"the values are cut off at {bottom:g} (a display window?): give the CT in full HU"
        )


def _is_offset(sample: npt.NDArray[np.float32]) -> bool:
    """Tell whether what is bright is mostly soft tissue, 0 +- 150 HU, moved up by 1024."""
    bright = sample[sample > 200]
    return bool(bright.size) and bool(np.mean((bright > 874) & (bright < 1274)) > 0.4)
