"""Segments of a DICOM segmentation (SEG): binary, fractional, or a label map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..formats.dicom_multiframe import check_size, first
from ..formats.pydicom_reading import stored_frame
from ..geometry import Geometry
from .layers import DicomTargets, Layers, Mask

#: Parts of a voxel, or of a step, that count as rounding.
_ROUNDING = 0.1
_PARALLEL = 1e-2
#: A lattice larger than this is damaged: 1500 slices of 512 x 512.
_MOST_VOXELS = 400_000_000
_HALF = 0.5


def segments_of(data: Any, path: Path) -> DicomTargets:
    """Return the segments on the lattice of their frames; raises InputError."""
    shared = first(data, "SharedFunctionalGroupsSequence")
    frames = list(getattr(data, "PerFrameFunctionalGroupsSequence", None) or [])
    if not frames:
        raise InputError("it has no segment (no frame)")
    check_size(len(frames) * int(data.Rows) * int(data.Columns), path)
    geometry, planes = _lattice(frames, shared, data)

    layers, left_out = Layers(geometry), []
    for number, name in _titles(data).items():
        masks: dict[int, Mask] = {}
        for n, mask in _masks(data, frames, shared, number):
            masks[planes[n]] = masks.get(planes[n], False) | mask
        if any(mask.any() for mask in masks.values()):
            layers.add(name, masks)
        else:
            left_out.append(name)
    told = f"{', '.join(left_out)} (empty)" if left_out else ""
    return DicomTargets(layers.label_map(path.stem), left_out=told)


def _titles(data: Any) -> dict[int, str]:
    return {
        int(segment.SegmentNumber): str(getattr(segment, "SegmentLabel", "") or "")
        or f"Segment_{segment.SegmentNumber}"
        for segment in data.SegmentSequence
        if int(segment.SegmentNumber) > 0
    }


def _masks(
    data: Any, frames: Sequence[Any], shared: Any, number: int
) -> Iterator[tuple[int, Mask]]:
    """Yield the frames of a segment: their index, and which pixels belong to it."""
    kind = str(getattr(data, "SegmentationType", "BINARY"))
    limit = 0.0
    if kind == "FRACTIONAL":
        limit = _HALF * float(data.MaximumFractionalValue)
    for n, frame in enumerate(frames):
        if kind == "LABELMAP":
            yield n, stored_frame(data, n) == number
        elif _segment_number(frame, shared) == number:
            yield n, stored_frame(data, n) > limit


def _segment_number(frame: Any, shared: Any) -> int:
    return int(_of_frame(frame, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber)


def _of_frame(frame: Any, shared: Any, name: str) -> Any:
    """The item of a functional group, of the frame's own or the shared ones."""
    found = first(frame, name) or first(shared, name)
    if found is None:
        raise InputError(f"its frames do not say where they lie (no {name})")
    return found


def _lattice(frames: Sequence[Any], shared: Any, data: Any) -> tuple[Geometry, list[int]]:
    """The lattice that holds all frames, and the plane of each; empty planes have no frame."""

    def numbers(sequence: str, name: str) -> np.ndarray:
        values = [getattr(_of_frame(frame, shared, sequence), name) for frame in frames]
        return np.array([[float(n) for n in value] for value in values])

    positions = numbers("PlanePositionSequence", "ImagePositionPatient")
    axes = numbers("PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = numbers("PixelMeasuresSequence", "PixelSpacing")
    if not all(np.isfinite(values).all() for values in (positions, axes, spacing)):
        raise InputError("its frames do not say where they lie")
    if np.ptp(axes, axis=0).max() > _PARALLEL or np.ptp(spacing, axis=0).max() > _PARALLEL:
        raise InputError("its frames are not parallel, or of different pixel sizes")

    x, y = axes[0, :3], axes[0, 3:]
    normal = np.cross(x, y)
    along = positions @ normal
    step = _step(along, _of_frame(frames[0], shared, "PixelMeasuresSequence"))
    lowest = int(along.argmin())
    planes = np.rint((along - along[lowest]) / step)
    size = (int(data.Columns), int(data.Rows), int(planes.max()) + 1)
    if float(size[0]) * size[1] * size[2] > _MOST_VOXELS:
        raise InputError("its frames lie too far apart: damaged")

    across = positions - positions[lowest] - (along - along[lowest])[:, None] * normal
    if np.abs(across).max() > _ROUNDING * spacing[0].min():
        raise InputError("its frames do not lie above one another (tilted gantry?)")
    direction = np.column_stack([x, y, normal])
    voxel = np.array([spacing[0, 1], spacing[0, 0], step])
    return Geometry(size, voxel, positions[lowest], direction), [int(plane) for plane in planes]


def _step(along: np.ndarray, measures: Any) -> float:
    """Return the distance of planes in mm, of which many may have no frame.

    The positions say it, unless only every second or third plane has a frame, or there is just
    one. SliceThickness is another thing: slices may overlap.
    """
    told = float(getattr(measures, "SpacingBetweenSlices", None) or 0)
    gaps = np.diff(np.unique(np.round(along, 3)))
    gaps = gaps[gaps > 0.01]
    if not len(gaps):
        step = told or float(getattr(measures, "SliceThickness", None) or 0)
        if not step > 0:
            raise InputError("its frames do not say how thick they are")
        return step
    smallest = float(gaps.min())
    # The longest gap that is a whole number of steps tells the step best.
    steps = [told] if told > 0 and _is_whole(gaps / told) else []
    steps.append(float(gaps.sum() / np.rint(gaps / smallest).sum()))
    step = steps[0]
    if not _is_whole(gaps / step):
        raise InputError(
            "its frames are unevenly spaced: save it as .seg.nrrd from Slicer, evenly resampled"
        )
    return step


def _is_whole(numbers: np.ndarray) -> bool:
    return bool((numbers > _HALF).all() and np.abs(numbers - np.rint(numbers)).max() < _ROUNDING)
