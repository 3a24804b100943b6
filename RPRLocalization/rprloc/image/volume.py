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
from .hounsfield import HU_MAX, HU_MIN, check_ct
from .reading import geometry_of, read_raw, stem_of


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT: ``array`` (k, j, i) int16 of HU clipped to [-1024, 3071].

    ``geometry``: its lattice in LPS mm.
    """

    array: npt.NDArray[np.int16]
    geometry: Geometry
    name: str

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.size[::-1]:
            raise InputError(
                f"{self.name}: the array {self.array.shape} does not fit the size "
                f"{self.geometry.size}"
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
    """Read a CT from a file (.nii, .nii.gz, .nrrd, .mha, ...) or a folder with a DICOM series.

    Raises InputError (one line) if it is missing, unreadable, truncated, not 3D, not scalar, or no
    CT in HU. Warns (UserWarning) if a DICOM folder holds several series and ``series`` names none;
    the one with most slices is read.
    """
    raw = read_raw(Path(path), series=series)
    return Volume(_hounsfield(raw.array, str(path)), raw.geometry, stem_of(path))


def _hounsfield(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.int16]:
    try:
        check_ct(array)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error

    rounded = np.rint(array) if array.dtype.kind == "f" else array
    hounsfield: npt.NDArray[np.int16] = np.clip(rounded, HU_MIN, HU_MAX).astype(np.int16)
    return hounsfield
