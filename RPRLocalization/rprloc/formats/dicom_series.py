"""A CT out of DICOM files: the series of a folder, or one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .dicom_choice import by_series, choose, slices_alone
from .dicom_files import (
    DicomFile,
    dicom_files,
    kind_of_other,
    missing_pixel_bytes,
    read_dicom_header,
)
from .dicom_multiframe import read_multiframe
from .dicom_slices import Slice, Stack, stacked
from .dicom_values import check_values, value_notes
from .raw import RawImage

_CT = ("", "CT")
_MOST_NAMED = 3
_MOST_VOXELS = 2**31 - 1
#: What to do about files that cannot be read.
COPY_AGAIN = "copy the folder again"


@dataclass(frozen=True)
class SeriesHeader:
    """What the files of a series tell.

    ``size``: voxels along i, j, k, the last one the number of slices.
    """

    uid: str
    size: tuple[int, int, int]
    modality: str
    patient: str


def list_series(folder: Path) -> list[SeriesHeader]:
    """The DICOM series in ``folder`` (not in its subfolders), sorted by UID; no pixels are read."""
    headers, _ = _headers(folder)
    alone = slices_alone(headers)
    used = {file.path for file in alone}
    series = by_series([file for file in headers if file.path not in used])
    if alone:
        # Whether they fit together, ``read_series`` says; 100 rows of one slice would not.
        series[""] = alone
    return [_series_header(uid, files) for uid, files in sorted(series.items())]


def _series_header(uid: str, files: list[DicomFile]) -> SeriesHeader:
    one = files[0]
    size = (one.columns, one.rows, sum(file.frames for file in files))
    return SeriesHeader(uid, size, one.modality, one.patient)


def read_series(folder: Path, uid: str = "") -> RawImage:
    """Read the DICOM series ``uid`` in ``folder`` (not in its subfolders), in HU.

    The CT with most slices if empty; the notes say which others there are.

    Raises InputError, whose text begins with the folder, if there is none, or its slices make no
    volume (they do not say where they lie, are missing, doubled, truncated, ...).
    """
    headers, damaged = _headers(folder)
    if damaged and not headers:
        raise InputError(f"{folder}: {told_of_damaged(damaged, COPY_AGAIN)[0]}")
    chosen = choose(folder, headers, uid)
    try:
        raw = _read(chosen.files)
    except InputError as error:
        # A file that cannot be read is the likeliest cause of a missing slice.
        text = "; ".join([str(error), *chosen.notes, *told_of_damaged(damaged, COPY_AGAIN)])
        raise InputError(f"{folder}: {text}") from error
    told = told_of_damaged(damaged)
    return RawImage(raw.array, raw.geometry, notes=(*chosen.notes, *raw.notes, *told))


def chosen_files(folder: Path, uid: str = "") -> list[Path]:
    """Return the files that ``read_series`` reads, in no order; raises InputError as it does."""
    headers, _ = _headers(folder)
    return [file.path for file in choose(folder, headers, uid).files]


def read_dicom_file(path: Path) -> RawImage:
    """Read one DICOM file as a CT: of many frames, as one slice is no volume.

    Raises InputError, whose text begins with the path.
    """
    other = kind_of_other(path)
    if other:
        raise InputError(f"{path}: {other}, but a CT is needed")
    header = read_dicom_header(path)
    if header is None:
        raise InputError(f"{path}: cannot be read: it holds no image, or is truncated or damaged")
    try:
        return _read([header])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _headers(folder: Path) -> tuple[list[DicomFile], list[Path]]:
    """The headers of a folder's images, and the files that are damaged."""
    headers, damaged = [], []
    for path in dicom_files(folder):
        if kind_of_other(path):
            continue
        header = read_dicom_header(path)
        if header is not None:
            headers.append(header)
        else:
            damaged.append(path)
    return headers, damaged


def told_of_damaged(
    damaged: Sequence[Path], so: str = "slices may be missing at the ends"
) -> tuple[str, ...]:
    """Return the note on files that cannot be read, which may be slices of the series."""
    if not damaged:
        return ()
    names = ", ".join(path.name for path in damaged[:_MOST_NAMED])
    more = ", ..." if len(damaged) > _MOST_NAMED else ""
    plural = "files" if len(damaged) > 1 else "file"
    return (f"{len(damaged)} DICOM {plural} cannot be read ({names}{more}): {so}",)


def check_series(files: Sequence[DicomFile]) -> Stack | None:
    """Judge slices by their headers alone: how they lie; None for one file of many frames.

    Raises InputError if they are no CT, or make no volume.
    """
    one = files[0]
    if one.modality not in _CT:
        raise InputError(f"the DICOM series is of modality {one.modality}, but a CT is needed")
    check_values(files)
    if len(files) == 1 and one.frames > 1:
        return None
    if len(files) < 2:
        raise InputError("the DICOM series has a single slice, but a 3D volume is needed")
    if any(file.frames > 1 for file in files):
        raise InputError(
            "the DICOM series has several files, some of many frames: give one of these files"
        )

    if one.rows * one.columns * len(files) > _MOST_VOXELS:
        raise InputError("the DICOM series is too large to be read: give a part of it")
    return stacked([Slice(f.position, f.axes, f.spacing, (f.rows, f.columns)) for f in files])


def check_whole(file: DicomFile) -> None:
    """Raise InputError if voxels of a slice are missing. Raises OSError."""
    missing = missing_pixel_bytes(file)
    if missing:
        raise InputError(f"the slice {file.path.name} is truncated ({missing} bytes are missing)")


def _read(files: Sequence[DicomFile]) -> RawImage:
    """Read slices, or one file of many frames."""
    stack = check_series(files)
    if stack is None:
        return read_multiframe(files[0].path)
    ordered = [files[n] for n in stack.order]
    pixels = [_pixels(file) for file in ordered]
    return RawImage(np.stack(pixels), stack.geometry, notes=value_notes(ordered))


def _pixels(file: DicomFile) -> np.ndarray:
    """Return the HU (rows, columns) of one slice; raises InputError if they are not all there."""
    try:
        check_whole(file)
        image = sitk.ReadImage(str(file.path), imageIO="GDCMImageIO")
    except (RuntimeError, OSError) as error:
        raise InputError(f"the slice {file.path.name} is truncated or damaged") from error
    array: np.ndarray = sitk.GetArrayFromImage(image).reshape(file.rows, file.columns)
    return array
