"""One file with many frames (enhanced CT): its frames are sorted by what each says of itself.

ITK stacks them in the order of the file. What a frame says stands in nested sequences, which
SimpleITK does not hand over; pydicom does (Slicer has it, the command line's extra ``dicom`` too).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..geometry import Geometry
from .dicom_files import plain
from .dicom_slices import Slice, Stack, stacked
from .dicom_values import NO_RESCALE, check_photometric, check_rescale, unit_note
from .pydicom_reading import damage_refused, read_dataset, stored_pixels
from .raw import RawImage

_WHAT = "a DICOM file with many frames"
_MOST_VOXELS = 2**31 - 1
#: Bytes of empty frames become so many voxels at most, however they are packed.
_TIGHTEST = 2000


def read_multiframe(path: Path) -> RawImage:
    """Read a CT of many frames.

    Raises InputError (without the path) if pydicom is missing, or the frames make no volume.
    """
    data = read_dataset(path, _WHAT)
    with damage_refused():
        return _volume(data, path)


def check_multiframe(path: Path) -> Geometry:
    """Judge a CT of many frames by its header alone; returns its lattice.

    Raises InputError as ``read_multiframe`` does, but for what only its voxels tell.
    """
    data = read_dataset(path, _WHAT, voxels=False)
    with damage_refused():
        return _judged(data, path).stack.geometry


@dataclass(frozen=True, eq=False)
class _Frames:
    """How the frames lie, and how their values become HU."""

    stack: Stack
    rescales: list[_Rescale]


def _judged(data: Any, path: Path) -> _Frames:
    shared = first(data, "SharedFunctionalGroupsSequence")
    frames = list(getattr(data, "PerFrameFunctionalGroupsSequence", None) or [])
    if not frames:
        raise InputError(
            "the frames of the DICOM file do not say where they lie: export the CT as single slices"
        )
    if len(frames) != int(data.NumberOfFrames):
        raise InputError(
            f"the DICOM file is damaged: of {data.NumberOfFrames} frames it describes {len(frames)}"
        )
    shape = (int(data.Rows), int(data.Columns))
    check_photometric(plain(getattr(data, "PhotometricInterpretation", "")))
    check_size(len(frames) * shape[0] * shape[1], path)

    stack = stacked([_slice(frame, shared, shape) for frame in frames])
    return _Frames(stack, [_rescale(frame, shared, data) for frame in frames])


def _volume(data: Any, path: Path) -> RawImage:
    found = _judged(data, path)
    pixels = stored_pixels(data, len(found.rescales))
    scaled = [_scaled(pixels[n], found.rescales[n]) for n in found.stack.order]
    return RawImage(np.stack(scaled), found.stack.geometry, notes=_notes(found.rescales))


def check_size(voxels: int, path: Path) -> None:
    """Raise InputError for more voxels than a file can hold, before there is memory for them."""
    if voxels > min(_MOST_VOXELS, _TIGHTEST * path.stat().st_size):
        raise InputError("the DICOM file is truncated, damaged, or too large to be read")


def first(group: Any, name: str) -> Any:
    """The first item of a sequence; None if it is missing or empty."""
    items = getattr(group, name, None) if group is not None else None
    return items[0] if items else None


def _slice(frame: Any, shared: Any, shape: tuple[int, int]) -> Slice:
    def numbers(sequence: str, name: str, count: int) -> tuple[float, ...]:
        for group in (frame, shared):
            value = getattr(first(group, sequence), name, None)
            if value is not None:
                found = tuple(float(n) for n in value)
                # As of single slices: numbers that none can be count as not told.
                return found if len(found) == count and all(abs(n) < 1e9 for n in found) else ()
        return ()

    return Slice(
        numbers("PlanePositionSequence", "ImagePositionPatient", 3),
        numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        numbers("PixelMeasuresSequence", "PixelSpacing", 2),
        shape,
    )


@dataclass(frozen=True)
class _Rescale:
    """How the stored values of a frame become HU; ``told``: whether the file says so."""

    slope: float
    intercept: float
    unit: str
    told: bool


def _rescale(frame: Any, shared: Any, data: Any) -> _Rescale:
    groups = (first(group, "PixelValueTransformationSequence") for group in (frame, shared))
    holder = next((group for group in groups if group is not None), data)
    slope = getattr(holder, "RescaleSlope", None)
    intercept = getattr(holder, "RescaleIntercept", None)
    check_rescale("" if slope is None else str(slope), slope=True)
    check_rescale("" if intercept is None else str(intercept), slope=False)
    return _Rescale(
        1.0 if slope is None else float(slope),
        0.0 if intercept is None else float(intercept),
        plain(getattr(holder, "RescaleType", None) or ""),
        slope is not None and intercept is not None,
    )


def _scaled(pixels: np.ndarray, rescale: _Rescale) -> np.ndarray:
    slope, intercept = np.float32(rescale.slope), np.float32(rescale.intercept)
    scaled: np.ndarray = pixels.astype(np.float32) * slope + intercept
    return scaled


def _notes(rescales: Sequence[_Rescale]) -> tuple[str, ...]:
    notes = [unit_note(unit) for unit in sorted({rescale.unit for rescale in rescales})]
    if not all(rescale.told for rescale in rescales):
        notes.append(NO_RESCALE)
    if len({(rescale.slope, rescale.intercept) for rescale in rescales}) > 1:
        notes.append("the frames differ in how their values are stored (rescale)")
    return tuple(note for note in notes if note)
