"""DICOM reports (TID 1500) as targets: a surface is a box around it, a point a landmark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import InputError
from ..geometry import Box, FloatArray, Points
from .layers import DicomTargets
from .markups import BoxMark, PointMark, clean_name

_GROUP = ("125007", "DCM")
_NAME = ("112039", "DCM")
_DEEPEST = 8
#: No patient has coordinates above this.
_LARGEST_MM = 1e5


def marks_of_report(data: Any) -> DicomTargets:
    """Return the boxes and points of a report's measurement groups; raises InputError."""
    boxes, points, left_out = [], [], []
    for number, group in enumerate(_groups(data, 0), start=1):
        items = list(getattr(group, "ContentSequence", None) or [])
        name = next((str(i.TextValue) for i in items if _is(i, _NAME)), "")
        name = clean_name(name) or f"group {number}"
        shapes = [item for item in items if str(item.ValueType) == "SCOORD3D"]
        coordinates = [_coordinates(item) for item in shapes]
        if not shapes:
            left_out.append(f"{name} (without coordinates in the patient)")
        elif len(shapes) == 1 and str(shapes[0].GraphicType) == "POINT":
            points.append(PointMark(name, Points(coordinates[0][:1])))
        else:
            boxes.append(BoxMark(name, Box.from_points(Points(np.concatenate(coordinates)))))
    return DicomTargets(None, tuple(points), "; ".join(left_out), boxes=tuple(boxes))


def _groups(item: Any, depth: int) -> Iterator[Any]:
    """Yield the measurement groups of a content tree."""
    if depth > _DEEPEST:
        raise InputError("its content is nested too deep: damaged")
    for child in getattr(item, "ContentSequence", None) or []:
        if _is(child, _GROUP):
            yield child
        else:
            yield from _groups(child, depth + 1)


def _is(item: Any, code: tuple[str, str]) -> bool:
    names = getattr(item, "ConceptNameCodeSequence", None) or []
    return any((str(n.CodeValue), str(n.CodingSchemeDesignator)) == code for n in names)


def _coordinates(item: Any) -> FloatArray:
    """Return the points (n, 3) of a graphic, LPS mm."""
    xyz = np.array(item.GraphicData, dtype=np.float64).reshape(-1, 3)
    if not len(xyz) or not np.isfinite(xyz).all() or np.abs(xyz).max() > _LARGEST_MM:
        raise InputError("its coordinates are missing, not in mm, or damaged")
    return xyz
