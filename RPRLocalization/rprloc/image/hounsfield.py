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

#: No scanner stores values beyond it.
_FARTHEST_HU = 1e6

#: As many voxels as are looked at to judge a volume.
_SAMPLES = 500_000


#: A constant at the bottom that takes this share of a volume, below ``_FILL_HU``, is a fill.
_FILL_SHARE = 0.01
_FILL_HU = -900
#: What scanners store and what files hold differ by this where the rescale was left out or doubled.
_OFFSET = 1024
#: Soft tissue, and what is denser than gas, in HU.
_SOFT_HU = (-200, 300)
_DENSE_HU = -800
#: Of what is denser than gas at least so much is soft tissue: 65 to 92 % in 60 CTs of 15 makers.
_LEAST_SOFT = 0.5
#: Less soft tissue than this share of a volume is no patient.
_SOME_SOFT = 0.005
#: Lower than any CT reaches that is not padded: with an offset of -1024 air lies at -2024.
_TOO_LOW_HU = -1500
#: Where fat and muscle peak: -110 to 90 in the same CTs.
_USUAL_PEAK_HU = (-160.0, 140.0)
_PEAK_BIN_HU = 20
#: The lowest values of the same CTs lie at -1024 to -990.
_AIR_AT_MOST_HU = -950.0


def check_ct(array: npt.NDArray[Any]) -> tuple[str, ...]:
    """Judge whether ``array`` (k, j, i) plausibly holds Hounsfield units of a patient.

    What fills a volume outside of the scanner's field of view (everything below -1100, or a low
    constant) is not judged.

    Returns:
        Notes for the user: what is unusual, although it was accepted.

    Raises:
        InputError: not a CT in HU.
    """
    if array.size == 0:
        raise InputError("the volume is empty")
    if array.dtype.kind not in "iuf":
        raise InputError(f"voxels of type {array.dtype} cannot be Hounsfield units")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("the volume holds NaN or infinite values")

    some = array.reshape(-1)[:: max(1, array.size // _SAMPLES)]
    # What no scanner stores may be too large for single precision.
    sample = np.clip(some.astype(np.float64), -_FARTHEST_HU, _FARTHEST_HU).astype(np.float32)
    if sample.min() == sample.max() and array.min() == array.max():
        raise InputError(f"the volume is empty: every voxel is {sample[0]:g}")

    if _is_rescaled_twice(sample):
        raise InputError(
            f"values from {sample.min():g} on look like a CT stored with an offset of about -1024: "
            "was the rescale intercept applied twice? Add 1024 first"
        )
    scanned = _scanned(sample)
    if scanned.size == 0:
        raise InputError("the volume holds nothing above -1100: not a CT in Hounsfield units")
    _check_range(scanned, padded=scanned.size < 0.99 * sample.size)
    return (*_unusual_air(sample), *_unusual_tissue(scanned))


def _scanned(sample: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Leave out what fills the volume outside of the field of view."""
    bottom = sample.min()
    if bottom < _FILL_HU and np.mean(sample == bottom) > _FILL_SHARE:
        sample = sample[sample > bottom]
    return sample[sample >= PADDING_HU]


def _is_rescaled_twice(sample: npt.NDArray[np.float32]) -> bool:
    """Tell whether soft tissue lies 1024 too low, and not where it should be."""
    if sample.min() > _TOO_LOW_HU:
        return False
    return _soft_share(sample, 0) < _LEAST_SOFT < _soft_share(sample, -_OFFSET)


def _soft_share(sample: npt.NDArray[np.float32], offset: int) -> float:
    """Return the share of soft tissue in what is denser than gas, all moved by ``offset``."""
    dense = sample[sample > _DENSE_HU + offset] - offset
    return float(np.mean((dense > _SOFT_HU[0]) & (dense < _SOFT_HU[1]))) if dense.size else 0.0


def _unusual_air(sample: npt.NDArray[np.float32]) -> tuple[str, ...]:
    """Return a note where the lowest values are not those of air."""
    below = sample[(sample < PADDING_HU) & (sample > _TOO_LOW_HU)]
    lowest = float(np.percentile(sample[sample >= PADDING_HU], 0.5))
    if below.size > _FILL_SHARE * sample.size and below.min() != below.max():
        lowest = float(np.median(below))
    if PADDING_HU <= lowest <= _AIR_AT_MOST_HU:
        return ()
    return (
        f"the lowest values lie at about {lowest:.0f} HU, where air should be at -1000: the gray "
        "values are not calibrated, or there is no air in the picture",
    )


def _unusual_tissue(scanned: npt.NDArray[np.float32]) -> tuple[str, ...]:
    """Return a note where fat and muscle do not lie where they do on the scale of Hounsfield."""
    edges = np.arange(-300, 400 + _PEAK_BIN_HU, _PEAK_BIN_HU)
    counts = np.convolve(np.histogram(scanned, bins=edges)[0], np.ones(3), mode="same")
    peak = float(edges[counts.argmax()]) + _PEAK_BIN_HU / 2
    if _USUAL_PEAK_HU[0] <= peak <= _USUAL_PEAK_HU[1]:
        return ()
    return (
        f"soft tissue lies at about {peak:.0f} HU, so the gray values are not calibrated "
        "(a cone-beam CT?): look closely at the answers",
    )


def _check_range(sample: npt.NDArray[np.float32], padded: bool) -> None:
    low, high = np.percentile(sample, [0.5, 99.9])
    has_soft_tissue = np.mean((sample > _SOFT_HU[0]) & (sample < _SOFT_HU[1])) >= _SOME_SOFT
    if high - low < 100 and has_soft_tissue:
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

    if not has_soft_tissue:
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
