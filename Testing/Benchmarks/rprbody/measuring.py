"""Every method on every pair of cases: rows on disk, so that a run that was stopped goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rprloc.errors import RprLocError
from rprloc.evaluation.metrics import box_iou
from rprloc.files import atomic_write_text
from rprloc.geometry import Box, Frame

from .cases import Case, region_of
from .methods import BodyMethod, Found


@dataclass(frozen=True)
class Row:
    """One target of one reference in one query.

    Attributes:
        error_mm: distance of the landmark, or of the box's centre; None where it was not found.
        iou: in %, of a box. told: what the method says of its answer. cut_mm: how far beyond the
            target the query was cut off; None: it was not.
    """

    reference: str
    query: str
    target: str
    kind: str
    group: str
    error_mm: float | None
    iou: float | None
    told: dict[str, Any]
    cut_mm: float | None = None


def measure(
    method: BodyMethod, references: Sequence[Case], queries: Sequence[Case], folder: Path
) -> list[Row]:
    """All pairs; what is in ``folder`` is not measured again."""
    rows: list[Row] = []
    for reference in references:
        rows += stored(
            folder / f"{reference.name}.json",
            partial(_of_reference, method, reference, queries),
        )
    return rows


def stored(file: Path, make: Callable[[], Iterable[Row]]) -> list[Row]:
    """The rows of a file; if it is not there, they are made and written first."""
    if not file.exists():
        made = [asdict(row) for row in make()]
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(file, json.dumps(made))
    return [Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))]


def _of_reference(method: BodyMethod, reference: Case, queries: Sequence[Case]) -> list[Row]:
    started = time.perf_counter()
    learned, rows = None, []
    for query in queries:
        names = [n for n in reference.targets if n in query.targets]
        if query.name == reference.name or not names:
            continue
        if learned is None:
            learned = method.learn(reference.read(), reference.targets)
        rows += _of_pair(method, learned, reference, query, names)
    spent = time.perf_counter() - started
    print(f"{method.name}: {reference.name}, {len(rows)} answers, {spent:.0f} s", flush=True)
    return rows


def _of_pair(
    method: BodyMethod, learned: Any, reference: Case, query: Case, names: Sequence[str]
) -> list[Row]:
    try:
        answers = method.find(learned, method.encode(query.read()), names)
    except (RprLocError, RuntimeError) as error:
        # What a registration gives up on, a user does not get either.
        reason = str(error).strip().splitlines()[-1]
        answers = {name: Found(None, None, {"failed": reason}) for name in names}
    return [row_of(reference, query, name, answers[name]) for name in names]


def row_of(
    reference: Case, query: Case, name: str, found: Found, cut_mm: float | None = None
) -> Row:
    """Score one answer."""
    truth = query.targets[name]
    group = region_of(name) if truth.kind == "landmark" else name
    error, iou = None, 0.0 if truth.kind == "box" else None
    if found.center is not None:
        error = float(np.linalg.norm(found.center - truth.center))
        if truth.box is not None and found.size is not None:
            box = Box.from_center_size(found.center, found.size, Frame.LPS)
            iou = 100 * box_iou(box, truth.box)
    told = dict(found.told or {})
    return Row(reference.name, query.name, name, truth.kind, group, error, iou, told, cut_mm)
