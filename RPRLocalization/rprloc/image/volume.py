"""A CT and its lattice, and the checks that it is a CT in Hounsfield units at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from ..errors import InputError
from ..geometry import Geometry
from .reading import geometry_of, read_raw, stem_of

__all__ = [
    "HU_MAX",
    "HU_MIN",
    "Volume",
    "check_ct",
    "read_volume",
    "stem_of",
]

HU_MIN, HU_MAX = -1024, 3071

_PADDING_HU = -1100
_SAMPLES = 500_000


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT: ``array`` (k, j, i) int16 of HU clipped to [-1024, 3071]; ``geometry``: its lattice in LPS mm."""

    array: npt.NDArray[np.int16]
    geometry: Geometry
    name: str

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.size[::-1]:
            raise InputError(
                f"{self.name}: the array {self.array.shape} does not fit the size {self.geometry.size}"
            )

    @staticmethod
    def from_sitk(image: sitk.Image, name: str) -> Volume:
        """Take over a SimpleITK image in HU. Raises InputError if it is not one scalar 3D CT."""
        parts = image.GetNumberOfComponentsPerPixel()
        if parts != 1:
            raise InputError(f"{name}: expected one number per voxel, but this image has {parts}")
        geometry = geometry_of(image, name)
        return Volume(_hounsfield(sitk.GetArrayViewFromImage(image), name), geometry, name)

    @staticmethod
    def from_array(array: npt.NDArray[Any], ijk_to_lps: npt.ArrayLike, name: str) -> Volume:
        """Make a volume from HU of shape (k, j, i) and the 4x4 matrix from (i, j, k) to LPS mm.

        Raises InputError if the array is not a 3D CT, or the matrix is not usable.
        """
        if array.ndim != 3:
            raise InputError(f"{name}: expected one 3D volume, but this is {array.ndim}D")
        k, j, i = array.shape
        try:
            geometry = Geometry.from_matrix(ijk_to_lps, (i, j, k))
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        return Volume(_hounsfield(array, name), geometry, name)


def read_volume(path: str | Path, series: str = "") -> Volume:
    """Read a CT from a file (.nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd, ...) or a folder with a DICOM series.

    Raises InputError (one line) if it is missing, unreadable, truncated, not 3D, not scalar, or no
    CT in HU. Warns (UserWarning) if a DICOM folder holds several series and ``series`` names none;
    the one with most slices is read.
    """
    raw = read_raw(Path(path), series=series)
    return Volume(_hounsfield(raw.array, str(path)), raw.geometry, stem_of(path))


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
    scanned = sample[sample >= _PADDING_HU]
    if scanned.size == 0:
        raise InputError("the volume holds nothing above -1100: not a CT in Hounsfield units")
    _check_range(scanned, padded=scanned.size < 0.99 * sample.size)


def _check_range(sample: npt.NDArray[np.float32], padded: bool) -> None:
    low, high = np.percentile(sample, [0.5, 99.9])
    if high - low < 100:
        raise InputError(
            f"values from {low:g} to {high:g} are not Hounsfield units (normalised, or a label map?)"
        )
    if low > -50 and _is_offset(sample):
        raise InputError(
            f"values from {low:g} to {high:g} look like a CT stored with an offset of about +1024, not in"
            " Hounsfield units; subtract 1024 (apply the rescale intercept) first"
        )
    if low > -50 and not padded:
        raise InputError(
            f"values from {low:g} to {high:g}, no air or fat: not a CT in Hounsfield units (an MR image?)"
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


def _hounsfield(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.int16]:
    try:
        check_ct(array)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    rounded = np.rint(array) if array.dtype.kind == "f" else array
    hounsfield: npt.NDArray[np.int16] = np.clip(rounded, HU_MIN, HU_MAX).astype(np.int16)
    return hounsfield
