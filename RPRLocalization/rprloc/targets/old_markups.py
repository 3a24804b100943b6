"""Markups of older Slicer versions: fiducial lists (.fcsv) and annotations (.acsv)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import InputError
from ..geometry import Box, Frame, Points
from .markups import (
    FARTHEST_MM,
    BoxMark,
    MarkupsFile,
    PointMark,
    clean_name,
    describe_left_out,
    uniquely_named,
)

OLD_SUFFIXES: Final = (".fcsv", ".acsv")

_FRAMES = {"0": Frame.RAS, "RAS": Frame.RAS, "1": Frame.LPS, "LPS": Frame.LPS}
_COLUMNS = ("id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label", "desc")
_SAVE_AGAIN = "save the markups from Slicer again, as .mrk.json"
_MOST_BYTES = 50_000_000
#: Slicer 5 writes the status of a position behind the named columns: 2 is a placed one.
_UNPLACED_STATUS = {"0", "1", "3"}


def read_old_markups(path: str | Path) -> MarkupsFile:
    """Read a .fcsv (points) or an .acsv (one point, or one ROI as centre and half size).

    Positions are RAS unless the file says otherwise (.acsv: always). Raises InputError (one line)
    for anything else.
    """
    file = Path(path)
    try:
        lines = _lines(file)
        if file.name.lower().endswith(".fcsv"):
            return _fiducials(lines, file)
        return MarkupsFile([_annotation(lines, file)])
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _lines(file: Path) -> list[str]:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError("too large to be a markups file")
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _header(lines: Iterable[str]) -> dict[str, str]:
    """Return the ``# key = value`` lines, keys in lower case."""
    pairs = (line[1:].partition("=") for line in lines if line.startswith("#"))
    return {key.strip().lower(): value.strip() for key, found, value in pairs if found}


def _fiducials(lines: list[str], file: Path) -> MarkupsFile:
    header = _header(lines)
    system = header.get("coordinatesystem", "0").upper()
    frame = _FRAMES.get(system)
    if frame is None:
        raise InputError(f"has the coordinate system {system!r}: only LPS and RAS are known")
    columns = [name.strip().lower() for name in header.get("columns", "").split(",")]
    if not {"x", "y", "z"} <= set(columns):
        columns = list(_COLUMNS)

    marks: list[PointMark | BoxMark] = []
    unplaced: list[str] = []
    name = clean_name(file.name[: -len(".fcsv")]) or "target"
    rows = csv.reader(line for line in lines if not line.startswith("#"))
    for number, row in enumerate(rows, start=1):
        cells = dict(zip(columns, row, strict=False))
        label = clean_name(cells.get("label")) or f"{name}-{number}"
        status = row[len(columns)] if len(row) > len(columns) else ""
        if status in _UNPLACED_STATUS or len(row) < len(("id", *"xyz")):
            unplaced.append(label)
            continue
        position = _position([cells.get(axis, "") for axis in "xyz"], label)
        marks.append(PointMark(label, Points(position[None], frame).to(Frame.LPS)))
    return MarkupsFile(uniquely_named(marks), describe_left_out(unplaced, []))


def _annotation(lines: list[str], file: Path) -> PointMark | BoxMark:
    header = _header(lines)
    if any("ruler" in key for key in header):
        raise InputError(f"is a ruler: only points and boxes are targets; {_SAVE_AGAIN}")
    name = clean_name(header.get("name")) or clean_name(file.name[: -len(".acsv")]) or "target"
    rows = [re.split(r"[|,]", line) for line in lines if line.lower().startswith("point")]
    points = [_position(row[1:4], name) for row in rows]
    if len(points) == 1:
        return PointMark(name, Points(points[0][None], Frame.RAS).to(Frame.LPS))
    if len(points) != len(("centre", "half size")):
        raise InputError(f"marks neither a point nor an ROI; {_SAVE_AGAIN}")
    centre, half = points
    if (half <= 0).any():
        raise InputError(f"ROI {name!r} has no extent: draw it around the organ first")
    return BoxMark(name, Box.from_center_size(centre, 2 * half, Frame.RAS).to(Frame.LPS))


def _position(cells: list[str], name: str) -> np.ndarray:
    try:
        position = np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise InputError(f"the position of {name!r} is not three numbers; {_SAVE_AGAIN}") from error
    finite = bool(np.isfinite(position).all()) and bool((np.abs(position) < FARTHEST_MM).all())
    if position.shape != (3,) or not finite:
        raise InputError(f"the position of {name!r} is not three finite numbers; {_SAVE_AGAIN}")
    return position
