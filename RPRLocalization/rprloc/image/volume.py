"""A CT and its lattice, and the checks that it is a CT in Hounsfield units at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from ..errors import InputError
from ..formats.reading import check_lattice, geometry_of, read_raw, stem_of
from ..geometry import Geometry
from .hounsfield import HU_MAX, HU_MIN, check_ct


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT.

    Attributes:
        array: (k, j, i) int16 of HU clipped to [-1024, 3071].
        geometry: its lattice, LPS mm.
        name: for tables and messages.
        notes: what the user should know although the CT was accepted, one sentence each.
    """

    array: npt.NDArray[np.int16]
    geometry: Geometry
    name: str
    notes: tuple[str, ...] = ()

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
        check_lattice(geometry, name)
        return Volume(*_hounsfield(sitk.GetArrayViewFromImage(image), geometry, name))

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
        check_lattice(geometry, name)
        return Volume(*_hounsfield(array, geometry, name))


def read_volume(path: str | Path, series: str = "") -> Volume:
    """Read a CT from a file (.nii, .nii.gz, .nrrd, .mha, ...) or a folder with a DICOM series.

    Raises InputError (one line) if it is missing, unreadable, truncated, not 3D, not scalar, or no
    CT in HU. What was taken although the file leaves doubt (several series, no orientation, ...) is
    said in the volume's notes.
    """
    raw = read_raw(Path(path), series=series)
    array, geometry, _, notes = _hounsfield(raw.array, raw.geometry, str(path))
    return Volume(array, geometry, stem_of(path), (*raw.notes, *notes))


def _hounsfield(
    array: npt.NDArray[Any], geometry: Geometry, name: str
) -> tuple[npt.NDArray[np.int16], Geometry, str, tuple[str, ...]]:
    """Return the fields of a ``Volume``; raises InputError unless the values are a CT's."""
    try:
        notes = check_ct(array)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error

    rounded = np.rint(array) if array.dtype.kind == "f" else array
    hounsfield: npt.NDArray[np.int16] = np.clip(rounded, HU_MIN, HU_MAX).astype(np.int16)
    return hounsfield, geometry, name, notes
