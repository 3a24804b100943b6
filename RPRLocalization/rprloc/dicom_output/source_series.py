"""The slices that a CT was read from: what a DICOM document says of patient, study and frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..formats.dicom_series import chosen_files
from ..formats.discovery import is_dicom_file
from ..formats.pydicom_reading import damage_refused, read_dataset
from ..geometry import Geometry

_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """A CT as DICOM.

    Attributes:
        path: of its folder or file.
        slices: data sets without voxels, along the slices.
        frame_of_reference: UID that coordinates belong to.
        geometry: the lattice, LPS mm.
    """

    path: Path
    slices: Sequence[Any]
    frame_of_reference: str
    geometry: Geometry

    @property
    def first(self) -> Any:
        """Return the data set of the first slice."""
        return self.slices[0]


def is_dicom_source(path: Path) -> bool:
    """Tell whether a CT is one of DICOM: a folder, or a DICOM file."""
    return path.is_dir() or is_dicom_file(path)


def read_source(path: Path, uid: str, geometry: Geometry) -> SourceSeries:
    """Read the headers of the slices that ``read_volume(path, uid)`` reads.

    Raises InputError, whose text begins with the path, if it is no DICOM series, or its files do
    not tell what a document must refer to.
    """
    if not is_dicom_source(path):
        raise InputError(
            f"{path}: is no DICOM series: DICOM documents need one to refer to (leave --dicom-sr "
            "and --rtstruct out)"
        )
    files = chosen_files(path, uid) if path.is_dir() else [path]
    try:
        slices = [
            read_dataset(file, "the source of a DICOM document", voxels=False) for file in files
        ]
        with damage_refused():
            frames = {str(getattr(data, "FrameOfReferenceUID", "")) for data in slices}
            missing = [name for name in _NEEDED if not all(getattr(d, name, "") for d in slices)]
            slices.sort(key=_height)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if missing or frames == {""}:
        named = ", ".join([*missing, *["FrameOfReferenceUID"] * (frames == {""})])
        raise InputError(f"{path}: a DICOM document cannot refer to it: {named} is missing")
    if len(frames) > 1:
        raise InputError(f"{path}: the slices are of {len(frames)} frames of reference")
    return SourceSeries(path, slices, frames.pop(), geometry)


def _height(data: Any) -> tuple[float, ...]:
    position = getattr(data, "ImagePositionPatient", None) or (0.0, 0.0, 0.0)
    return tuple(float(n) for n in reversed(position))
