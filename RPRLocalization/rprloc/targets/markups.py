"""Slicer markups JSON files (.mrk.json, schema 1.x).

Fiducial lists and ROIs, read and written in LPS mm.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..files import atomic_write_text
from ..geometry import Box, Frame, Points

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_ACCEPTED_SCHEMA = re.compile(r"markups-schema-v1\.\d+\.\d+\.json#*$", re.IGNORECASE)
_FRAMES = {"LPS": Frame.LPS, "1": Frame.LPS, "RAS": Frame.RAS, "0": Frame.RAS}
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
#: No scanner's frame reaches so far.
FARTHEST_MM = 1e6
#: So many names are listed when something is left out.
_MOST_NAMED = 10
_RAS_AXES = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]


@dataclass(frozen=True, eq=False)
class PointMark:
    """One placed control point: ``position`` (1, 3) LPS mm."""

    name: str
    position: Points


@dataclass(frozen=True, eq=False)
class BoxMark:
    """One ROI: ``box``, along the patient axes, LPS mm.

    It encloses the ROI where the ROI is turned.
    """

    name: str
    box: Box


@dataclass(frozen=True, eq=False)
class MarkupsFile:
    """What a markups file marks, in its order, with unique names.

    ``left_out``: what of it cannot be a target, in words for the user; empty if nothing.
    """

    marks: list[PointMark | BoxMark]
    left_out: str = ""


def read_markups(path: str | Path) -> list[PointMark | BoxMark]:
    """Read the marks of ``read_markups_file`` alone."""
    return read_markups_file(path).marks


def read_markups_file(path: str | Path) -> MarkupsFile:
    """Read the points of all fiducial lists and all ROIs of a markups file, with unique names.

    A point is named by its label, or ``list-1``, ``list-2``, ... without one; an ROI by its
    markup's name, else by the file. Points that are not placed (positionStatus other than
    ``defined``) and markups of other types (lines, curves, planes, ...) are left out, and
    ``left_out`` names them. Raises InputError (one line) for a file that is not such a file, or
    holds numbers that are not finite.
    """
    file = Path(path)
    try:
        found = _marks(_markups_of(file), file)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    return found


def uniquely_named(marks: Sequence[PointMark | BoxMark]) -> list[PointMark | BoxMark]:
    """Number the names that occur again."""
    names = unique([mark.name for mark in marks])
    return [replace(mark, name=name) for mark, name in zip(marks, names, strict=True)]


def clean_name(text: Any) -> str:
    """``text`` on one line without control characters; empty if it is not text."""
    if not isinstance(text, str):
        return ""
    spaced = "".join(" " if ch.isspace() else ch for ch in text)
    return " ".join(
        "".join(ch for ch in spaced if not unicodedata.category(ch).startswith("C")).split()
    )


def unique(names: Sequence[str]) -> list[str]:
    """The names in order; a name that occurs again gets ``-2``, ``-3``, ... so that all differ."""
    taken: set[str] = set()
    answer = []
    for name in names:
        candidate, number = name, 2
        while candidate in taken or (candidate != name and candidate in names):
            candidate, number = f"{name}-{number}", number + 1
        taken.add(candidate)
        answer.append(candidate)
    return answer


def _markups_of(file: Path) -> list[Any]:
    """The ``markups`` list of a file, after checking that it is a markups file."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            "not a JSON file, or damaged: save the markups from Slicer again"
        ) from error

    schema = content.get("@schema") if isinstance(content, dict) else None
    if not isinstance(schema, str) or not _ACCEPTED_SCHEMA.search(schema):
        raise InputError(
            "not a Slicer markups file (schema 1.x): save the markups from Slicer as .mrk.json"
        )

    markups = content.get("markups")
    if not isinstance(markups, list):
        raise InputError("has no list 'markups': save the markups from Slicer again")
    return markups


def _refuse_constant(text: str) -> NoReturn:
    raise InputError(f"holds {text}, which is not a position: save the markups from Slicer again")


def _marks(markups: Sequence[Any], file: Path) -> MarkupsFile:
    file_name = (
        clean_name(re.sub(r"(\.mrk)?\.json$", "", file.name, flags=re.IGNORECASE)) or "target"
    )
    marks: list[PointMark | BoxMark] = []
    unplaced: list[str] = []
    others: list[str] = []
    for markup in markups:
        if not isinstance(markup, dict):
            raise InputError(
                "holds a markup that is not an object: save the markups from Slicer again"
            )
        name = clean_name(markup.get("name")) or file_name
        kind = clean_name(markup.get("type"))
        if kind == "Fiducial":
            placed, waiting = _points(markup, name)
            marks += placed
            unplaced += waiting
        elif kind == "ROI" and _is_placed(markup):
            marks.append(_roi(markup, name))
        elif kind == "ROI":
            unplaced.append(name)
        else:
            others.append(f"{kind.lower() or 'markup'} {name}")
    return MarkupsFile(uniquely_named(marks), describe_left_out(unplaced, others))


def describe_left_out(unplaced: Sequence[str], others: Sequence[str]) -> str:
    """Say which points are not placed and which markups are no targets; empty if there are none.

    Example:
        >>> describe_left_out(["B", "C"], ["line L"])
        'points B, C (not placed), line L (only points and boxes are targets)'
    """
    parts = []
    if unplaced:
        plural = "points" if len(unplaced) > 1 else "point"
        parts.append(f"{plural} {_listed(unplaced)} (not placed)")
    if others:
        parts.append(f"{_listed(others)} (only points and boxes are targets)")
    return ", ".join(parts)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else shown


def _is_placed(markup: dict[str, Any]) -> bool:
    """Tell whether an ROI has a centre; one that was begun and not placed has none."""
    points = markup.get("controlPoints")
    if markup.get("center") is not None or not isinstance(points, list):
        return True
    return any(isinstance(p, dict) and p.get("positionStatus") == "defined" for p in points)


def _points(markup: dict[str, Any], name: str) -> tuple[list[PointMark], list[str]]:
    """Return the placed points of a fiducial list, and the names of those that are not."""
    frame = _frame(markup, name)
    points = markup.get("controlPoints", [])
    if not isinstance(points, list):
        raise InputError(f"the points of {name!r} are not a list")
    marks, unplaced = [], []
    for number, point in enumerate(points, start=1):
        if not isinstance(point, dict):
            raise InputError(f"point {number} of {name!r} is not an object")
        label = clean_name(point.get("label")) or f"{name}-{number}"
        if point.get("positionStatus", "defined") != "defined":
            unplaced.append(label)
            continue
        position = _numbers(point.get("position"), 3, f"the position of {label!r}")
        marks.append(PointMark(label, Points(position[None], frame).to(Frame.LPS)))
    return marks, unplaced


def _roi(markup: dict[str, Any], name: str) -> BoxMark:
    """The box along the patient axes that encloses a (possibly turned) ROI."""
    frame = _frame(markup, name)
    center = _numbers(markup.get("center"), 3, f"the center of ROI {name!r}")
    size = _numbers(markup.get("size"), 3, f"the size of ROI {name!r}")
    axes = _numbers(
        markup.get("orientation", _IDENTITY), 9, f"the orientation of ROI {name!r}"
    ).reshape(3, 3)

    if (size <= 0.0).any():
        raise InputError(f"ROI {name!r} has no extent: draw it around the organ first")
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        raise InputError(
            f"the orientation of ROI {name!r} is not a rotation: save it from Slicer again"
        )

    # A turned box reaches along each axis as far as its own edges do together.
    return BoxMark(name, Box.from_center_size(center, np.abs(axes) @ size, frame).to(Frame.LPS))


def _frame(markup: dict[str, Any], name: str) -> Frame:
    system = markup.get("coordinateSystem", "LPS")
    frame = _FRAMES.get(str(system).strip().upper())
    if frame is None:
        raise InputError(
            f"{name!r} has the coordinate system {system!r}: only LPS and RAS are known"
        )

    units = markup.get("coordinateUnits", "mm")
    if (units[0] if isinstance(units, list) and units else units) != "mm":
        raise InputError(f"{name!r} is not in millimetres: save it in mm")
    return frame


def _numbers(value: Any, count: int, what: str) -> NDArray[np.float64]:
    """``count`` finite numbers, or InputError naming ``what``."""
    try:
        listed = isinstance(value, (list, tuple)) and len(value) == count
        if not listed or any(isinstance(n, bool) or not isinstance(n, (int, float)) for n in value):
            raise InputError(f"{what} is not {count} numbers: save the markups from Slicer again")
        numbers = np.array([float(n) for n in value])
    except OverflowError:
        numbers = np.array([np.inf])

    if not np.isfinite(numbers).all() or np.abs(numbers).max() > FARTHEST_MM:
        raise InputError(f"{what} is not finite, or not in mm: save the markups from Slicer again")
    return numbers


def write_fiducial(path: str | Path, name: str, points: Points, description: str = "") -> None:
    """Write one fiducial list.

    A single point is labelled ``name``, several ``name-1``, ``name-2``, ...

    Raises OutputError.
    """
    xyz = points.to(Frame.LPS).xyz
    labels = [name] if len(xyz) == 1 else [f"{name}-{number}" for number in range(1, len(xyz) + 1)]
    body = {"controlPoints": _control_points(labels, xyz, description)}
    _write(path, "Fiducial", name, body)


def write_landmarks(path: str | Path, name: str, places: Mapping[str, ArrayLike]) -> None:
    """Write one fiducial list of named points, (3,) LPS mm each. Raises OutputError."""
    xyz = Points(np.array([np.asarray(place) for place in places.values()]), Frame.LPS).xyz
    _write(path, "Fiducial", name, {"controlPoints": _control_points(list(places), xyz, "")})


def write_roi(path: str | Path, name: str, box: Box, description: str = "") -> None:
    """Write one box ROI along the patient axes. Raises OutputError."""
    lps = box.to(Frame.LPS)
    body = {
        "roiType": "Box",
        "center": lps.center.tolist(),
        "orientation": _RAS_AXES,
        "size": lps.size.tolist(),
        "insideOut": False,
        "controlPoints": _control_points([name], lps.center[None], description),
    }
    _write(path, "ROI", name, body)


def _control_points(
    labels: Sequence[str], xyz: NDArray[np.float64], description: str
) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "label": label,
            "description": description,
            "associatedNodeID": "",
            "position": position.tolist(),
            "orientation": _RAS_AXES,
            "selected": True,
            "locked": False,
            "visibility": True,
            "positionStatus": "defined",
        }
        for number, (label, position) in enumerate(zip(labels, xyz, strict=True), start=1)
    ]


def _write(path: str | Path, kind: str, name: str, body: dict[str, Any]) -> None:
    markup = {
        "type": kind,
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(body["controlPoints"]),
        **body,
    }

    content = {"@schema": SCHEMA, "markups": [markup]}
    atomic_write_text(
        path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )
