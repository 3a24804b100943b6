"""DICOM RT structures (RTSTRUCT): closed contours, filled plane by plane, and points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..formats.pydicom_reading import raw_numbers
from ..geometry import Box, FloatArray, Geometry, Points
from .box_description import described_box
from .layers import DicomTargets, Layers, Mask
from .markups import BoxMark, PointMark, clean_name

#: Contours are filled on a lattice of this spacing; walls are drawn to about a millimetre.
_PIXEL_MM = 1.0
#: Contours whose planes are nearer than this lie in one.
_SAME_PLANE_MM = 0.01
#: Points of one contour may lie above one another by this.
_FLAT_MM = 1.0
#: Contours farther than this from their plane of the lattice are told of.
_BESIDE_PLANE_MM = 0.5
#: A volume of contours larger than this is damaged.
_MOST_VOXELS = 400_000_000
#: No patient has coordinates above this.
_LARGEST_MM = 1e5
#: Taken where a file has contours in a single plane.
_ONE_PLANE_MM = 3.0
#: Contours of a box are at its walls within this.
_SAME_WALL_MM = 0.01


@dataclass(eq=False)
class _Structure:
    """One structure: its closed contours (n, 3) and points (1, 3), LPS mm, and what is neither."""

    name: str
    closed: list[FloatArray] = field(default_factory=list)
    points: list[FloatArray] = field(default_factory=list)
    box: Box | None = None
    open_contours: int = 0
    oblique: int = 0


def structures_of(data: Any, path: Path) -> DicomTargets:
    """Return the structures, filled by the even-odd rule, and the points; raises InputError."""
    listed = getattr(data, "StructureSetROISequence", None) or []
    titles = {int(r.ROINumber): str(getattr(r, "ROIName", "") or "") for r in listed}
    told = {int(r.ROINumber): str(getattr(r, "ROIDescription", "") or "") for r in listed}
    found = [
        _structure(roi, clean_name(titles.get(int(roi.ReferencedROINumber), "")) or "structure")
        for roi in getattr(data, "ROIContourSequence", None) or []
    ]
    for structure, roi in zip(found, getattr(data, "ROIContourSequence", None) or [], strict=True):
        structure.box = _told_box(structure, told.get(int(roi.ReferencedROINumber), ""))
    boxes = tuple(BoxMark(s.name, s.box) for s in found if s.box is not None)
    drawn = [structure for structure in found if structure.closed and structure.box is None]
    points = tuple(
        PointMark(s.name, Points(xyz)) for s in found if not s.closed for xyz in s.points
    )
    left_out = "; ".join(filter(None, map(_left_out, found)))
    if not drawn:
        return DicomTargets(None, points, left_out, boxes=boxes)

    geometry = _lattice([contour for s in drawn for contour in s.closed])
    layers, empty, beside = Layers(geometry), [], 0.0
    for structure in drawn:
        planes, distance = _filled(structure.closed, geometry)
        beside = max(beside, distance)
        if any(plane.any() for plane in planes.values()):
            layers.add(structure.name, planes)
        else:
            empty.append(f"{structure.name} (smaller than {_PIXEL_MM:g} mm)")
    labels = layers.label_map(path.stem) if len(empty) < len(drawn) else None
    notes: tuple[str, ...] = ()
    if beside > _BESIDE_PLANE_MM:
        notes = (f"contours lie in uneven planes and were moved by up to {beside:.1f} mm",)
    left_out = "; ".join(filter(None, [left_out, *empty]))
    return DicomTargets(labels, points, left_out, notes, boxes)


def _told_box(structure: _Structure, description: str) -> Box | None:
    """Return the box that a description tells, if the contours still are its rectangles."""
    told = described_box(description)
    if told is None or not structure.closed or structure.open_contours or structure.oblique:
        return None
    walls = np.array([told.box.lower[:2], told.box.upper[:2]])
    for contour in structure.closed:
        ends = np.array([contour[:, :2].min(axis=0), contour[:, :2].max(axis=0)])
        if len(contour) != 4 or np.abs(ends - walls).max() > _SAME_WALL_MM:
            return None
    heights = [float(contour[:, 2].mean()) for contour in structure.closed]
    moved = max(abs(min(heights) - told.first), abs(max(heights) - told.last))
    same = len(heights) == told.contours and moved <= _SAME_WALL_MM
    return told.box if same else None


def _structure(roi: Any, name: str) -> _Structure:
    structure = _Structure(name)
    for contour in getattr(roi, "ContourSequence", None) or []:
        xyz = raw_numbers(contour, "ContourData").reshape(-1, 3)
        if not np.isfinite(xyz).all() or np.abs(xyz).max(initial=0) > _LARGEST_MM:
            raise InputError("its contours are not in mm, or damaged")
        kind = str(getattr(contour, "ContourGeometricType", "CLOSED_PLANAR"))
        if kind == "POINT" and len(xyz):
            structure.points.append(xyz[:1])
        elif not kind.startswith("CLOSED") or len(xyz) < 3:
            structure.open_contours += 1
        elif np.ptp(xyz[:, 2]) > _FLAT_MM:
            structure.oblique += 1
        else:
            structure.closed.append(xyz)
    return structure


def _left_out(structure: _Structure) -> str:
    """Say what of a structure is no target; empty if everything is."""
    parts = []
    if structure.oblique:
        parts.append(f"contours that lie in no axial plane: {structure.oblique}")
    if structure.closed:
        if structure.open_contours:
            parts.append(f"open contours: {structure.open_contours}")
        if structure.points:
            parts.append(f"points beside its contours: {len(structure.points)}")
    elif not structure.points and not parts:
        parts.append("without closed contours")
    return f"{structure.name} ({', '.join(parts)})" if parts else ""


def _lattice(contours: Sequence[FloatArray]) -> Geometry:
    """A lattice around all contours: about 1 mm in plane, the planes of the contours along z."""
    every = np.concatenate(contours)
    planes = np.unique(np.round([c[:, 2].mean() for c in contours], 3))
    gaps = np.diff(planes)
    gaps = gaps[gaps > _SAME_PLANE_MM]
    step = float(np.median(gaps)) if len(gaps) else _ONE_PLANE_MM
    lower, upper = every.min(axis=0), every.max(axis=0)

    # One more all around: what touches the end of a lattice counts as cut.
    size = np.ceil((upper - lower) / np.array([_PIXEL_MM, _PIXEL_MM, step])) + 3
    if np.prod(size) > _MOST_VOXELS:
        raise InputError("its contours lie too far apart: damaged, or not in mm")
    origin = np.array([lower[0] - _PIXEL_MM, lower[1] - _PIXEL_MM, planes[0] - step])
    i, j, k = (int(n) for n in size)
    return Geometry((i, j, k), np.array([_PIXEL_MM, _PIXEL_MM, step]), origin, np.eye(3))


def _filled(contours: Sequence[FloatArray], geometry: Geometry) -> tuple[dict[int, Mask], float]:
    """Fill closed contours by the even-odd rule: a contour inside another is a hole.

    Returns the masks by their plane, and how far a contour lies from its plane at most, mm.
    """
    planes: dict[int, dict[float, list[FloatArray]]] = {}
    beside = 0.0
    for contour in contours:
        index = geometry.lps_to_index(Points(contour))
        height = float(index[:, 2].mean())
        k = int(np.clip(np.rint(height), 0, geometry.size[2] - 1))
        beside = max(beside, abs(height - k) * float(geometry.spacing[2]))
        planes.setdefault(k, {}).setdefault(round(height, 2), []).append(index[:, :2])

    shape = (geometry.size[1], geometry.size[0])
    # Only contours of one height are holes of one another.
    masks = {
        k: np.logical_or.reduce([_inside(polygons, shape) for polygons in heights.values()])
        for k, heights in planes.items()
    }
    return masks, beside


def _inside(polygons: Sequence[FloatArray], shape: tuple[int, int]) -> Mask:
    """Return which pixels (rows, columns) have their centre inside an odd number of polygons.

    polygons: (n, 2) of i, j each. Every edge turns the pixels to its right over, row by row.
    """
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    (x0, y0), (x1, y1) = start.T, end.T
    low = np.clip(np.ceil(np.minimum(y0, y1)), 0, shape[0]).astype(int)
    high = np.clip(np.ceil(np.maximum(y0, y1)), 0, shape[0]).astype(int)

    counts = high - low
    edge = np.repeat(np.arange(len(start)), counts)
    row = low[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = x0[edge] + (row - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    column = np.clip(np.floor(at) + 1, 0, shape[1]).astype(int)

    inside: Mask = np.zeros(shape, dtype=bool)
    if not len(row):
        return inside
    # Beyond the outermost edges nothing is inside: most structures fill a small part of a plane.
    top, left = int(row.min()), int(column.min())
    height, width = int(row.max()) + 1 - top, int(column.max()) + 1 - left
    cells = (row - top) * width + (column - left)
    odd = np.bincount(cells, minlength=height * width).reshape(height, width) % 2 == 1
    part = np.logical_xor.accumulate(odd, axis=1)
    window = inside[top : top + height, left : left + width]
    window[...] = part[:, : window.shape[1]]
    return inside
