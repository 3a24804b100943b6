"""One CT series out of a DICOM folder."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..geometry import FloatArray

_MODALITY, _POSITION, _ORIENTATION = "0008|0060", "0020|0032", "0020|0037"
_PATIENT = "0010|0020"
_HEADER_TAGS = (_MODALITY, _PATIENT)


@dataclass(frozen=True)
class SeriesHeader:
    """What one file of a series tells.

    ``size``: voxels along i, j, k, the last one the number of files.
    """

    uid: str
    size: tuple[int, int, int]
    modality: str
    patient: str


def list_series(folder: Path) -> list[SeriesHeader]:
    """The DICOM series in ``folder`` (not in its subfolders), sorted by UID; no pixels are read."""
    return [_header(uid, files) for uid, files in sorted(_files_by_series(folder).items())]


def _files_by_series(folder: Path) -> dict[str, tuple[str, ...]]:
    uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    return {uid: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid) for uid in uids}


def _header(uid: str, files: tuple[str, ...]) -> SeriesHeader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(files[0])
    reader.SetImageIO("GDCMImageIO")
    reader.ReadImageInformation()
    tags = {
        key: reader.GetMetaData(key).strip() if reader.HasMetaDataKey(key) else ""
        for key in _HEADER_TAGS
    }

    columns, rows = (int(n) for n in reader.GetSize()[:2])
    return SeriesHeader(uid, (columns, rows, len(files)), tags[_MODALITY], tags[_PATIENT])


def read_series(folder: Path, uid: str = "") -> sitk.Image:
    """Read the DICOM series ``uid`` in ``folder`` (not in its subfolders), in HU.

    The one with most slices if empty.

    Raises InputError if there is none, it is not a CT, slices are missing or doubled, or the gantry
    tilted. Warns (UserWarning) if there are several series and none was chosen.
    """
    series = _files_by_series(folder)
    if not series or (uid and uid not in series):
        raise InputError(f"{folder}: the folder holds no {'such ' * bool(uid)}DICOM series")

    chosen = uid or max(sorted(series), key=lambda key: len(series[key]))
    files = series[chosen]
    if len(series) > 1 and not uid:
        warnings.warn(
            f"{folder}: {len(series)} DICOM series; reading the one with most slices "
            f"({len(files)})",
            stacklevel=4,
        )

    if len(files) < 2:
        raise InputError(
            f"{folder}: the DICOM series has a single slice, but a 3D volume is needed"
        )

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    reader.MetaDataDictionaryArrayUpdateOn()
    image: sitk.Image = reader.Execute()

    _check_slices(reader, len(files), folder)
    return image


def _check_slices(reader: sitk.ImageSeriesReader, count: int, folder: Path) -> None:
    modality = _tag(reader, 0, _MODALITY)
    if modality not in ("", "CT"):
        raise InputError(
            f"{folder}: the DICOM series is of modality {modality}, but a CT is needed"
        )

    slices = _positions(reader, count)
    if slices is None:
        return

    positions, normals = slices
    if np.abs(normals - normals[0]).max() > 1e-2:
        raise InputError(
            f"{folder}: the slices of the DICOM series are not parallel (a scout or several scans?)"
        )

    steps = np.diff(positions, axis=0)
    along = steps @ normals[0]
    usual = float(np.median(along))
    if np.abs(along - usual).max() > max(0.1 * abs(usual), 0.05):
        raise InputError(
            f"{folder}: slices of the DICOM series are missing, doubled or unevenly spaced"
        )

    if np.linalg.norm(steps - along[:, None] * normals[0], axis=1).max() > 0.02 * abs(usual) + 0.02:
        raise InputError(
            f"{folder}: the DICOM series was scanned with a tilted gantry; resample it to a "
            "straight lattice"
        )


def _positions(reader: sitk.ImageSeriesReader, count: int) -> tuple[FloatArray, FloatArray] | None:
    """Return position and normal (n, 3) of every slice, or None where the files do not tell."""
    places = [_numbers(_tag(reader, n, _POSITION)) for n in range(count)]
    axes = [_numbers(_tag(reader, n, _ORIENTATION)) for n in range(count)]
    if any(len(p) != 3 for p in places) or any(len(a) != 6 for a in axes):
        return None
    return np.array(places), np.array([np.cross(a[:3], a[3:]) for a in axes])


def _tag(reader: sitk.ImageSeriesReader, n: int, key: str) -> str:
    return str(reader.GetMetaData(n, key)).strip() if reader.HasMetaDataKey(n, key) else ""


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split("\\")]
    except ValueError:
        return []
