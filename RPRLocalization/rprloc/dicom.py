"""One CT series out of a DICOM folder."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .geometry import FloatArray

_MODALITY, _POSITION, _ORIENTATION = "0008|0060", "0020|0032", "0020|0037"


def read_series(folder: Path) -> sitk.Image:
    """Read the DICOM series with most slices in ``folder`` (not in its subfolders), in HU.

    Raises InputError if there is none, it is not a CT, slices are missing or doubled, or the gantry tilted.
    Warns (UserWarning) if there are several series.
    """
    series = {
        uid: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
        for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    }
    if not series:
        raise InputError(f"{folder}: the folder holds no DICOM series")
    uid = max(sorted(series), key=lambda key: len(series[key]))
    files = series[uid]
    if len(series) > 1:
        warnings.warn(
            f"{folder}: {len(series)} DICOM series; reading the one with most slices ({len(files)})",
            stacklevel=4,
        )
    if len(files) < 2:
        raise InputError(f"{folder}: the DICOM series has a single slice, but a 3D volume is needed")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    reader.MetaDataDictionaryArrayUpdateOn()
    image: sitk.Image = reader.Execute()
    _check_slices(reader, len(files), folder)
    return image


def _check_slices(reader: sitk.ImageSeriesReader, count: int, folder: Path) -> None:
    modality = _tag(reader, 0, _MODALITY)
    if modality not in ("", "CT"):
        raise InputError(f"{folder}: the DICOM series is of modality {modality}, but a CT is needed")
    slices = _positions(reader, count)
    if slices is None:
        return
    positions, normals = slices
    if np.abs(normals - normals[0]).max() > 1e-2:
        raise InputError(f"{folder}: the slices of the DICOM series are not parallel (a scout or several scans?)")
    steps = np.diff(positions, axis=0)
    along = steps @ normals[0]
    usual = float(np.median(along))
    if np.abs(along - usual).max() > max(0.1 * abs(usual), 0.05):
        raise InputError(f"{folder}: slices of the DICOM series are missing, doubled or unevenly spaced")
    if np.linalg.norm(steps - along[:, None] * normals[0], axis=1).max() > 0.02 * abs(usual) + 0.02:
        raise InputError(
            f"{folder}: the DICOM series was scanned with a tilted gantry; resample it to a straight lattice"
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
