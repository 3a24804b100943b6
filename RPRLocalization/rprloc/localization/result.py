"""What was found: one result per target and query.

As a table, a CSV file and Slicer markups (LPS mm).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files import atomic_write_text, output_errors, remove_file, safe_name, safe_names
from ..geometry import Box, Frame, Points
from ..targets.markups import write_fiducial, write_roi
from ..targets.target import Kind
from .status import LOW_CONFIDENCE, OK, STATUSES, Status

#: In comparisons, the radius of an answer whose model tells none.
UNKNOWN_RADIUS_MM = 50.0

CSV_HEADER = (
    *("query", "target", "kind", "status", "cx", "cy", "cz", "sx", "sy", "sz"),
    *("spread_mm", "cycle_mm", "reason", "radius90_mm", "model"),
)


@dataclass(frozen=True, eq=False)
class Result:
    """Where one target lies in one query, LPS mm.

    center: (3,) of the landmark or box, size: (3,) of the box; None where there is none. spread_mm:
    scatter of the votes; cycle_mm: distance to the target after mapping back to the reference.
    similarity: cosine similarity of the matched descriptors, None without a fine network.
    radius90_mm: 90 % of such answers are less than this off (landmark or box centre); None where
    the model's card cannot tell. features: the measures of doubt that it is foretold from. model:
    name of the model whose answer this is.
    points: the six located extreme points (6, 3). reason: why the status is not ``ok``, with the
    notes on the query and on the marking behind it (``with_notes``); empty if there is nothing to
    say. Raises InputError for an ``ok`` or ``low-confidence`` result without a position, or for
    numbers that are not finite.
    """

    query: str
    target: str
    kind: Kind
    status: Status
    reason: str = ""
    center: NDArray[np.float64] | None = None
    size: NDArray[np.float64] | None = None
    spread_mm: float | None = None
    cycle_mm: float | None = None
    points: Points | None = None
    similarity: float | None = None
    radius90_mm: float | None = None
    features: dict[str, float] | None = None
    model: str = ""

    def __post_init__(self) -> None:
        for field in ("center", "size"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, Points(np.reshape(value, (1, 3))).xyz[0])
        for field in ("spread_mm", "cycle_mm", "radius90_mm"):
            value = getattr(self, field)
            if value is not None and not np.isfinite(value):
                raise InputError(f"result {self.target!r}: {field} is not a finite number")

        if self.found and (self.center is None or (self.kind == "box" and self.size is None)):
            raise InputError(f"result {self.target!r} is {self.status!r} but has no position")
        object.__setattr__(
            self, "points", self.points.to(Frame.LPS) if self.points is not None else None
        )

    @property
    def found(self) -> bool:
        """True if the target has a position that may be shown: ``ok`` or ``low-confidence``."""
        return self.status in (OK, LOW_CONFIDENCE)

    @property
    def radius_or_unknown(self) -> float:
        """``radius90_mm``, or what stands for one that nobody can tell."""
        return UNKNOWN_RADIUS_MM if self.radius90_mm is None else self.radius90_mm

    @property
    def box(self) -> Box | None:
        """The located box, LPS mm; None for a landmark or where there is none."""
        if self.kind != "box" or self.center is None or self.size is None:
            return None
        return Box.from_center_size(self.center, self.size, Frame.LPS)


def is_surer(result: Result, known: Result, preference: float = 1.0) -> bool:
    """True if an answer is to be trusted more than another one of the same target.

    Args:
        result: an answer.
        known: the other one.
        preference: the radius of ``result`` must be below so much of that of ``known``.
    """
    ranks = STATUSES.index(result.status), STATUSES.index(known.status)
    if ranks[0] != ranks[1]:
        return ranks[0] < ranks[1]
    return result.radius_or_unknown < preference * known.radius_or_unknown


def with_notes(reason: str, notes: Sequence[str]) -> str:
    """Return the reason with notes behind it, for the row of a result.

    Example:
        >>> with_notes("", ["the file tells no unit"])
        'note: the file tells no unit'
    """
    return "; ".join([reason] * bool(reason) + [f"note: {note}" for note in notes])


def write_csv(path: str | Path, results: Sequence[Result]) -> None:
    """Write one row per result: LPS mm, two decimals, empty where there is no number.

    Raises OutputError.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for result in results:
        numbers = [
            *three_numbers(result.center),
            *three_numbers(result.size),
            result.spread_mm,
            result.cycle_mm,
        ]
        texts = [result.query, result.target, result.kind, result.status]
        radius = _decimals(result.radius90_mm, 2)
        told = [_one_line(result.reason), radius, _one_line(result.model)]
        writer.writerow([*texts, *(_decimals(n, 2) for n in numbers), *told])
    atomic_write_text(path, stream.getvalue())


def write_markups(folder: str | Path, results: Sequence[Result]) -> list[Path]:
    """Write ``folder/<query>/<target>.mrk.json``: a fiducial or an ROI per target that was found.

    Query and target names become safe, different file names. The file of a target that was not
    found is removed if an earlier run left one. Gives the files written, in the order of the
    results. Raises OutputError.
    """
    queries = list(dict.fromkeys(result.query for result in results))
    folders = dict(zip(queries, safe_names(queries), strict=True))

    taken: dict[str, set[str]] = {query: set() for query in queries}
    written = []
    for result in results:
        parent = Path(folder) / folders[result.query]
        file = parent / f"{safe_name(result.target, taken[result.query])}.mrk.json"
        if not result.found:
            remove_file(file)
            continue
        with output_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
        _write_markup(file, result)
        written.append(file)
    return written


def _write_markup(file: Path, result: Result) -> None:
    numbers = [
        ("90 % within", result.radius90_mm),
        ("spread", result.spread_mm),
        ("cycle error", result.cycle_mm),
    ]
    facts = [f"{name} {value:.1f} mm" for name, value in numbers if value is not None]
    description = ", ".join(
        [f"RPRLoc: {result.status}", *facts, *filter(None, [_one_line(result.reason)])]
    )
    if result.box is not None:
        write_roi(file, result.target, result.box, description)
    elif result.center is not None:
        write_fiducial(file, result.target, Points(result.center[None], Frame.LPS), description)


def format_table(results: Sequence[Result]) -> str:
    """A table for the screen, one line per result under a header (LPS mm).

    Empty text for no results.
    """
    if not results:
        return ""
    header = [
        "query",
        "target",
        "status",
        "centre (L, P, S) mm",
        "size mm",
        "spread",
        "cycle",
        "90 % within",
        "reason",
    ]
    rows = [header, *(_table_row(result) for result in results)]
    rows = [[row[i] for i in range(len(header)) if any(r[i] for r in rows[1:])] for row in rows]

    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _table_row(result: Result) -> list[str]:
    center = " ".join(f"{n:7.1f}" for n in result.center) if result.center is not None else ""
    size = " x ".join(f"{n:5.1f}" for n in result.size) if result.size is not None else ""
    spread, cycle = _decimals(result.spread_mm, 1), _decimals(result.cycle_mm, 1)
    radius = _decimals(result.radius90_mm, 0)
    texts = [_one_line(result.query), _one_line(result.target), result.status]
    return [
        *texts,
        center,
        size,
        spread.rjust(6) if spread else "",
        cycle.rjust(5) if cycle else "",
        f"{radius} mm" if radius else "",
        result.reason,
    ]


def three_numbers(values: NDArray[np.float64] | None) -> Sequence[float | None]:
    """The cells of a position or size in a table; three times None where there is none."""
    return (None, None, None) if values is None else [float(n) for n in values]


def _decimals(value: float | None, digits: int) -> str:
    """The number with ``digits`` decimals, never ``-0.00``; empty for None."""
    return "" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
