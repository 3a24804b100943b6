"""Results as files: a table as CSV, and one Slicer markups file per result.

LPS or RAS, and it is stated.
"""

from __future__ import annotations

import csv
import enum
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from rprloc.errors import OutputError
from rprloc.files import atomic_write_text, output_errors, safe_name, safe_names
from rprloc.geometry import Box, Points
from rprloc.targets.markups import write_fiducial, write_roi

from . import conversion


class ExportFrame(enum.Enum):
    """Frame of exported positions."""

    LPS = "LPS"
    RAS = "RAS"


CSV_HEADER = (
    *(
        "query",
        "target",
        "kind",
        "status",
        "frame",
        "cx_mm",
        "cy_mm",
        "cz_mm",
        "sx_mm",
        "sy_mm",
        "sz_mm",
    ),
    *("spread_mm", "cycle_mm", "review", "edited", "reason", "radius90_mm", "model"),
)


def writeCsv(path: str | Path, rows: Any, frame: ExportFrame) -> None:
    """One line per row; positions in mm of ``frame``, empty where there are none.

    Raises OutputError.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for row in rows:
        center = [None] * 3 if row.center is None else inFrame(row.center, frame)
        numbers = [*center, *(row.size or [None] * 3)]
        texts = [_cell(row.query), _cell(row.target), row.kind, row.status, frame.value]
        rest = [
            _number(row.spread),
            _number(row.cycle),
            row.review,
            "yes" if row.edited else "",
            _cell(row.reason),
            _number(row.radius),
            _cell(row.model),
        ]
        writer.writerow([*texts, *map(_number, numbers), *rest])
    atomic_write_text(path, stream.getvalue())


def writeMarkups(folder: str | Path, rows: Any, frame: ExportFrame) -> list[Path]:
    """Write ``folder/<query>/<target>.mrk.json`` for every row with a position that may be shown.

    Files of an earlier export are replaced. Gives the files written. Raises OutputError.
    """
    queries = list(dict.fromkeys(row.query for row in rows))
    folders = dict(zip(queries, safe_names(queries), strict=True))
    taken: dict[str, set[str]] = {query: set() for query in queries}
    written = []
    for row in (row for row in rows if row.found):
        parent = Path(folder) / folders[row.query]
        with output_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
        file = parent / f"{safe_name(row.target, taken[row.query])}.mrk.json"
        _writeOne(file, row)
        if frame == ExportFrame.RAS:
            _turnToRas(file)
        written.append(file)
    if not written:
        raise OutputError(_("This run has no result with a position: there is nothing to export."))
    return written


def _writeOne(file: Path, row: Any) -> None:
    description = ", ".join(filter(None, [f"RPRLoc: {row.status}", row.review, row.reason]))
    if row.kind == "box":
        write_roi(file, row.target, Box.from_center_size(row.center, row.size), description)
    else:
        write_fiducial(file, row.target, Points(np.array([row.center])), description)


def _turnToRas(file: Path) -> None:
    """State the same positions in RAS."""
    with output_errors(file):
        content = json.loads(file.read_text(encoding="utf-8"))
    for markup in content["markups"]:
        markup["coordinateSystem"] = "RAS"
        for part in (markup, *markup["controlPoints"]):
            for key in ("center", "position"):
                if key in part:
                    part[key] = conversion.lpsToRas(part[key]).tolist()
            if "orientation" in part:
                axes = np.reshape(part["orientation"], (3, 3))
                part["orientation"] = conversion.lpsToRas(axes.T).T.ravel().tolist()
    atomic_write_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def inFrame(center: Any, frame: ExportFrame) -> Any:
    """A position (3,) in LPS mm, as a list in mm of ``frame``."""
    return conversion.lpsToRas(center).tolist() if frame == ExportFrame.RAS else center


def _number(value: Any) -> str:
    return "" if value is None else f"{round(float(value), 2) + 0.0:.2f}"


def _cell(text: str) -> str:
    """A text that a spreadsheet will not take for a formula.

    Names come from files that anyone may have made.
    """
    text = " ".join(text.split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
