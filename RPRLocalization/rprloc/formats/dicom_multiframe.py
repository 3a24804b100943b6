"""One file with many frames (enhanced CT): its frames are sorted by what each says of itself.

ITK stacks them in the order of the file. What a frame says stands in nested sequences, which
SimpleITK does not hand over; pydicom does (Slicer has it, the command line's extra ``dicom`` too).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .dicom_slices import Slice, stacked
from .pydicom_reading import read_dataset, stored_pixels
from .raw import RawImage

_MOST_VOXELS = 2**31 - 1


def read_multiframe(path: Path) -> RawImage:
    """Read a CT of many frames.

    Raises InputError (without the path) if pydicom is missing, or the frames make no volume.
    """
    data = read_dataset(path, "a DICOM file with many frames")
    shared = first(data, "SharedFunctionalGroupsSequence")
    frames = list(getattr(data, "PerFrameFunctionalGroupsSequence", []))
    if not frames:
        raise InputError("the frames of the DICOM file do not say where they lie")
    if len(frames) * int(data.Rows) * int(data.Columns) > _MOST_VOXELS:
        raise InputError("the DICOM file is damaged, or too large to be read")

    shape = (int(data.Rows), int(data.Columns))
    stack = stacked([_slice(frame, shared, shape) for frame in frames])
    pixels = stored_pixels(data, len(frames))
    scaled = [_scaled(pixels[n], frames[n], shared, data) for n in stack.order]
    return RawImage(np.stack(scaled), stack.geometry)


def first(group: Any, name: str) -> Any:
    """The first item of a sequence; None if it is missing or empty."""
    items = getattr(group, name, None) if group is not None else None
    return items[0] if items else None


def _slice(frame: Any, shared: Any, shape: tuple[int, int]) -> Slice:
    def numbers(sequence: str, name: str) -> tuple[float, ...]:
        for group in (frame, shared):
            item = first(group, sequence)
            value = getattr(item, name, None)
            if value is not None:
                return tuple(float(n) for n in value)
        return ()

    return Slice(
        numbers("PlanePositionSequence", "ImagePositionPatient"),
        numbers("PlaneOrientationSequence", "ImageOrientationPatient"),
        numbers("PixelMeasuresSequence", "PixelSpacing"),
        shape,
    )


def _scaled(pixels: np.ndarray, frame: Any, shared: Any, data: Any) -> np.ndarray:
    """Turn the stored values of a frame into HU."""
    for group in (frame, shared):
        item = first(group, "PixelValueTransformationSequence")
        if item is not None:
            slope, intercept = float(item.RescaleSlope), float(item.RescaleIntercept)
            break
    else:
        slope = float(getattr(data, "RescaleSlope", 1.0))
        intercept = float(getattr(data, "RescaleIntercept", 0.0))
    scaled: np.ndarray = pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return scaled
