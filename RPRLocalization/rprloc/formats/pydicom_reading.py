"""pydicom, where it is there: what SimpleITK does not read (nested sequences, segmentations)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, one_line
from ..extras import DICOM, installation
from ..geometry import FloatArray
from .dicom_elements import layout


def read_dataset(path: Path, what: str, save_as: str = ".nrrd", *, voxels: bool = True) -> Any:
    """Read a DICOM file with pydicom; without ``voxels`` its header only.

    Raises InputError (without the path) if it is not installed, naming ``what`` it is needed for,
    or if the file is damaged.
    """
    try:
        import pydicom
    except ImportError as error:
        raise InputError(
            f"is {what}, which needs pydicom: {installation(DICOM)}, or load it in Slicer and save "
            f"it as {save_as}"
        ) from error
    try:
        damaged = layout(path).wholeness == "damaged"
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from error
    if damaged:
        raise InputError("the DICOM file is truncated or damaged")
    with damage_refused():
        return pydicom.dcmread(path, stop_before_pixels=not voxels)


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


def stored_frame(data: Any, n: int) -> np.ndarray:
    """Return the stored values (rows, columns) of one frame; raises InputError without them.

    All at once, the frames of 80 organs need some gigabytes.
    """
    from pydicom.pixels.utils import pixel_array

    shape = (int(data.Rows), int(data.Columns))
    try:
        if int(data.BitsAllocated) == 1 and not data.file_meta.TransferSyntaxUID.is_compressed:
            return _bits(data.PixelData, n * shape[0] * shape[1], shape)
        return np.asarray(pixel_array(data, index=n)).reshape(shape)
    except Exception as error:
        raise InputError(
            "its frames cannot be unpacked (truncated, damaged, or compressed in a way that needs "
            "another decoder): load it in Slicer and save it as .seg.nrrd"
        ) from error


def _bits(packed: bytes, start: int, shape: tuple[int, int]) -> np.ndarray:
    """Return a frame of single bits, which need not begin at a byte."""
    end = start + shape[0] * shape[1]
    part = np.frombuffer(packed[start // 8 : -(-end // 8)], np.uint8)
    bits = np.unpackbits(part, bitorder="little")[start % 8 :]
    return bits[: end - start].reshape(shape)


def raw_numbers(data: Any, keyword: str) -> FloatArray:
    """Return the numbers of an element of decimal strings; raises ValueError if they are none.

    pydicom makes an object of each: half a minute for the contours of a whole body.
    """
    value = data.get_item(keyword).value
    if isinstance(value, bytes):
        return np.array(value.strip(b" \0").split(b"\\")).astype(np.float64)
    return np.atleast_1d(np.array(value, dtype=np.float64))
