"""Slices to a volume: where they lie, and whether they make one at all.

ITK takes 1 mm and the order of names where slices do not tell, and the mean step where some are
missing; so the lattice is made here, from the positions alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..geometry import FloatArray, Geometry

#: Steps between slices may differ from the usual one by this share, and by so many mm.
_STEP_SHARE, _STEP_MM = 0.1, 0.05
#: Slices are parallel if their normals differ less than this.
_PARALLEL = 1e-2
#: Positions nearer than this are one.
_SAME_PLACE_MM = 0.01
#: Where more than this share of the steps is too long, the slices are uneven: none is missing.
_MOST_GAPS = 0.2
#: So many gaps are named.
_MOST_NAMED = 3
_AXES = ("LPS x", "LPS y", "z")
#: Sizes of pixels that differ by less are equal.
_SAME_SPACING = 1e-3


@dataclass(frozen=True)
class Slice:
    """One slice: position (3,) LPS mm, axes (6,), spacing (row, column) mm, rows and columns."""

    position: tuple[float, ...]
    axes: tuple[float, ...]
    spacing: tuple[float, ...]
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Stack:
    """Order of the slices from the first to the last, and their lattice, LPS mm."""

    order: list[int]
    geometry: Geometry


def stacked(slices: Sequence[Slice]) -> Stack:
    """Sort slices by their positions, and check that they make a volume.

    Raises:
        InputError: they do not say where they lie, or lie so that they make none.
    """
    _check_told(slices)
    axes = np.array([s.axes for s in slices])
    normals = np.cross(axes[:, :3], axes[:, 3:])
    if np.abs(axes - axes[0]).max() > _PARALLEL:
        raise InputError(
            "the slices of the DICOM series are not parallel (a scout or several scans?)"
        )
    if not np.allclose(np.linalg.norm(axes.reshape(-1, 3), axis=1), 1.0, atol=_PARALLEL):
        raise InputError("the directions of the slices are not of unit length: damaged")

    positions = np.array([s.position for s in slices])
    normal = normals[0] / np.linalg.norm(normals[0])
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    step = _step(positions[order], along[order], normal)

    row, column = slices[0].spacing
    rows, columns = slices[0].shape
    x, y = axes[0, :3], axes[0, 3:]
    direction = np.column_stack([x / np.linalg.norm(x), y / np.linalg.norm(y), normal])
    geometry = Geometry(
        (columns, rows, len(slices)),
        np.array([column, row, step]),
        positions[order[0]],
        direction,
    )
    return Stack([int(n) for n in order], geometry)


def _check_told(slices: Sequence[Slice]) -> None:
    """Raise InputError if slices leave out where they lie, or differ in what must be equal."""
    for name, tag in (("position", "ImagePositionPatient"), ("axes", "ImageOrientationPatient")):
        silent = sum(not getattr(s, name) for s in slices)
        if silent:
            what = "where they lie" if name == "position" else "how they are turned"
            who = "the" if silent == len(slices) else f"{silent} of the"
            raise InputError(f"{who} slices do not say {what} ({tag}): export the series again")
    if any(not s.spacing for s in slices):
        raise InputError("the slices do not give their pixel spacing (PixelSpacing)")
    spacing = np.array([s.spacing for s in slices])
    if (spacing <= 0).any():
        raise InputError("the slices give a pixel spacing of 0 mm or less (PixelSpacing)")
    if np.abs(spacing / spacing[0] - 1).max() > _SAME_SPACING:
        raise InputError(
            "the slices of the DICOM series differ in their pixel spacing (several scans?)"
        )
    if len({s.shape for s in slices}) > 1:
        raise InputError(
            "the slices of the DICOM series differ in their numbers of rows or columns"
        )


def _step(positions: FloatArray, along: FloatArray, normal: FloatArray) -> float:
    """Return the distance of neighbouring slices in mm; raises InputError unless it is one."""
    steps = np.diff(along)
    if along[-1] - along[0] < _SAME_PLACE_MM:
        raise InputError(
            "all slices lie at one place (a bolus-tracking or perfusion series?): not a volume"
        )
    _check_doubled(steps)

    usual = float(np.median(steps))
    off = np.abs(steps - usual) > max(_STEP_SHARE * usual, _STEP_MM)
    if off.any():
        raise InputError(_gaps(positions, steps, usual, off) or _uneven(steps))

    across = np.diff(positions, axis=0) - steps[:, None] * normal
    if np.linalg.norm(across, axis=1).max() > 0.02 * usual + 0.02:
        raise InputError(
            "the DICOM series was scanned with a tilted gantry; resample it to a straight lattice"
        )
    return float(steps.mean())


def _check_doubled(steps: FloatArray) -> None:
    """Raise InputError if several slices lie at one position."""
    starts = np.flatnonzero(np.concatenate([[True], steps >= _SAME_PLACE_MM]))
    counts = np.diff(np.append(starts, len(steps) + 1))
    doubled = counts[counts > 1]
    if not len(doubled):
        return
    places = "1 position occurs" if len(doubled) == 1 else f"{len(doubled)} positions occur"
    times = "twice" if doubled.max() == 2 else f"up to {doubled.max()} times"
    raise InputError(
        f"{places} {times} in the DICOM series (several phases or reconstructions under one series "
        "UID?): export each as a series of its own"
    )


def _gaps(
    positions: FloatArray, steps: FloatArray, usual: float, off: npt.NDArray[np.bool_]
) -> str:
    """Say how many slices are missing and where; empty if the steps are uneven otherwise."""
    times = np.rint(steps[off] / usual).astype(int)
    fits = np.abs(steps[off] - times * usual) <= max(_STEP_SHARE * usual, _STEP_MM) * times
    if (times < 2).any() or not fits.all() or off.mean() > _MOST_GAPS:
        return ""

    # The patient axis along which the slices follow one another.
    axis = int(np.abs(positions[-1] - positions[0]).argmax())
    shown = [
        f"{count - 1} between {_AXES[axis]} = {positions[n, axis]:g} and "
        f"{positions[n + 1, axis]:g} mm"
        for n, count in zip(np.flatnonzero(off), times, strict=True)
    ]
    places = ", ".join(shown[:_MOST_NAMED]) + (", ..." if len(shown) > _MOST_NAMED else "")
    missing = int((times - 1).sum())
    verb = "slice is" if missing == 1 else "slices are"
    return (
        f"{missing} {verb} missing in the DICOM series ({places}; the others are {usual:g} mm "
        "apart): export it again as a whole"
    )


def _uneven(steps: FloatArray) -> str:
    return (
        f"the slices of the DICOM series are unevenly spaced ({steps.min():g} to {steps.max():g} "
        "mm; several scans, or missing slices?): export each scan alone, or load it in Slicer, "
        "resample it evenly and save it as .nrrd"
    )
