"""Rows of every method on pairs of a reference (or several) and a query, kept in files."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from rprloc.evaluation.metrics import box_iou
from rprloc.files import atomic_write_text
from rprloc.targets.target import target_from_mask

from .agreement import agreement
from .cases import Case, Data
from .methods import ContourMethod, Found
from .report import Row

#: Queries held in memory, so that they are not read again for the next method.
_HELD = 40


class Measuring:
    """Asks methods for what is not yet on disk."""

    def __init__(self, data: Data, split: str, out: Path) -> None:
        self.out = out
        self._query = lru_cache(_HELD)(lambda name: data.read(split, name))

    def rows(
        self, method: ContourMethod, references: Sequence[Case], queries: Sequence[str]
    ) -> Iterator[Row]:
        """Rows of a method; each query's are written once they are known."""
        of = references[0].name if len(references) == 1 else f"{len(references)}-references"
        learned: Any = None
        for name in queries:
            file = self.out / method.name / f"{of}-{name}.json"
            if not file.exists():
                learned = method.learn(list(references)) if learned is None else learned
                found = self._measured(method, of, learned, self._query(name))
                file.parent.mkdir(parents=True, exist_ok=True)
                atomic_write_text(file, json.dumps(found))
                print(f"{method.name}: {of} to {name}", flush=True)
            yield from json.loads(file.read_text(encoding="utf-8"))

    def _measured(
        self, method: ContourMethod, reference: str, learned: Any, query: Case
    ) -> list[Row]:
        wall, cpu = time.perf_counter(), time.process_time()
        found = method.find(learned, query.volume)
        spent = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        return [{**row, **spent} for row in _rows(method.name, reference, query, found)]


def _rows(method: str, reference: str, query: Case, found: Found) -> list[Row]:
    """One row per organ that is complete in the query and was marked on the reference."""
    rows = []
    for organ, mask in found.masks.items():
        if organ not in query.masks:
            continue
        truth = query.targets[organ].box
        assert truth is not None
        own = target_from_mask(organ, mask, query.geometry).box if mask.any() else None
        before = (found.boxes or {}).get(organ)
        rows.append(
            {
                "method": method,
                "reference": reference,
                "query": query.name,
                "organ": organ,
                **asdict(agreement(mask, query.masks[organ], query.geometry)),
                "iou": 0.0 if own is None else 100.0 * box_iou(own, truth),
                "iou_of_search": None if before is None else 100.0 * box_iou(before, truth),
                "least_jacobian": found.least_jacobian,
            }
        )
    return rows
