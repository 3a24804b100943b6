"""pydicom, where it is there: what SimpleITK does not read (nested sequences, segmentations)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, one_line
from .dicom_elements import layout

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
        damaged = layout(path).wholeness == "damaged"
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from error
    if damaged:
        raise InputError("the DICOM file is truncated or damaged")
    with damage_refused():
        return pydicom.dcmread(path)


@contextmanager
def damage_refused() -> Iterator[None]:
    """Turn what pydicom makes of a damaged file into one InputError.

    It raises whatever the first wrong byte leads to, and for many values not before they are used.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"the DICOM file is damaged or incomplete ({one_line(error)}): copy or export it again"
        ) from error


def stored_pixels(data: Any, frames: int) -> np.ndarray:
    """Return the stored values (frames, rows, columns); raises InputError if they cannot be had."""
    shape = (frames, int(data.Rows), int(data.Columns))
    packed = data.file_meta.TransferSyntaxUID.is_compressed
    wanted = int(np.prod([float(n) for n in shape])) * int(data.BitsAllocated) // 8
    if not packed and len(getattr(data, "PixelData", b"")) < wanted:
        raise InputError("the DICOM file is truncated: it has fewer pixels than it says")
    try:
        pixels = np.asarray(data.pixel_array)
    except Exception as error:
        raise InputError(
            "the pixels of the DICOM file cannot be unpacked (damaged, or compressed in a way that "
            "needs another decoder): load it in Slicer and save it as .nrrd"
        ) from error
    if pixels.size != np.prod(shape):
        raise InputError("the DICOM file is truncated or damaged")
    return pixels.reshape(shape)
