"""pydicom, where it is there: what SimpleITK does not read (nested sequences, segmentations)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError

INSTALL = "pip install pydicom"


def read_dataset(path: Path, what: str) -> Any:
    """Read a DICOM file with pydicom.

    Raises InputError (without the path) if it is not installed, naming ``what`` it is needed for,
    or if the file is damaged.
    """
    try:
        import pydicom
    except ImportError as error:
        raise InputError(
            f"is {what}, which needs pydicom: {INSTALL}, or load it in Slicer and save it as .nrrd"
        ) from error
    try:
        return pydicom.dcmread(path)
    except Exception as error:
        # pydicom raises whatever the first wrong byte leads to.
        raise InputError("the DICOM file is truncated or damaged") from error


def stored_pixels(data: Any, frames: int) -> np.ndarray:
    """Return the stored values (frames, rows, columns); raises InputError if they cannot be had."""
    try:
        pixels = np.asarray(data.pixel_array)
    except Exception as error:
        raise InputError(
            "the pixels of the DICOM file cannot be unpacked (damaged, or compressed in a way that "
            "needs another decoder): load it in Slicer and save it as .nrrd"
        ) from error
    shape = (frames, int(data.Rows), int(data.Columns))
    if pixels.size != np.prod(shape):
        raise InputError("the DICOM file is truncated or damaged")
    return pixels.reshape(shape)
