"""Honest statuses: what is said about organs cut by the border of the scan, or beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rprloc.evaluation.metrics import box_iou, wall_distance
from rprloc.geometry import Box
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.result import Result

from ..core.cohort import ORGANS, Patient
from ..core.experiment import Experiment
from ..core.method import Context
from ..core.store import Row
from ..methods.engine import OneShot
from .truncation import Side, cut, cut_plane, what_remains

REFERENCES = 3
LEAST_MM = 90.0
MARGIN_MM = 15.0
SHARES = {"75": 0.75, "50": 0.5, "25": 0.25, "gone": 0.0}
SIDES: tuple[Side, ...] = ("top", "bottom")
NOT_MADE = "not made"


class Statuses(Experiment):
    """Units are queries.

    A row is one organ located with one reference in the CT as it is or in one cut of it.

    ``side`` of a row is the one that is cut away: "top" leaves neck and thorax, "bottom" the upper
    head. A cut that would leave less than 90 mm of the patient is not made; its rows have the
    status "not made", so that they can be counted. In a cut CT only the organ that the cut was made
    for is sought.
    """

    name = "statuses"
    title = "Honest statuses: organs cut by the border of the scan, or beyond it"

    def __init__(
        self,
        context: Context,
        references: Sequence[str],
        queries: Sequence[str],
        model: Path | None = None,
    ) -> None:
        super().__init__(context)
        self.method = OneShot(context, model)
        self.references = list(references)[: 1 if context.quick else REFERENCES]
        self.queries = list(queries)
        self.organs = ORGANS[:2] if context.quick else ORGANS
        self.shares = {c: s for c, s in SHARES.items() if not context.quick or c in ("50", "gone")}

    def settings(self) -> dict[str, Any]:
        """The model, references, organs, and the cuts."""
        return {
            "model": self.method.identity,
            "references": self.references,
            "organs": list(self.organs),
            "shares": self.shares,
            "least_mm": LEAST_MM,
            "margin_mm": MARGIN_MM,
        }

    def units(self) -> Sequence[str]:
        """The queries."""
        return self.queries

    def run(self, unit: str) -> list[Row]:
        """Locate the organs of one query in the CT as it is, then in every cut of it."""
        query = self.context.cohort.patient(unit)
        organs = [organ for organ in self.organs if organ in query.organs]
        whole = self.method.embed(query.volume)
        rows = self._located(query, whole, organs, "whole", "")
        lower, upper = whole.body_bounds()
        for organ in organs:
            for case, share in self.shares.items():
                for side in SIDES:
                    rows += self._in_cut(
                        query, organ, (case, share), side, (float(lower[2]), float(upper[2]))
                    )
        return rows

    def _in_cut(
        self,
        query: Patient,
        organ: str,
        case: tuple[str, float],
        side: Side,
        span: tuple[float, float],
    ) -> list[Row]:
        name, share = case
        plane = cut_plane(_box(query, organ), share, side, MARGIN_MM if name == "gone" else 0.0)
        left = what_remains(span, plane, side)
        if left < LEAST_MM:
            reason = f"{left:.0f} mm of CT would remain"
            return [not_made(name, side, r, query.name, organ, reason) for r in self._others(query)]
        return self._located(
            query, self.method.embed(cut(query.volume, plane, side)), [organ], name, side
        )

    def _others(self, query: Patient) -> list[str]:
        return [reference for reference in self.references if reference != query.name]

    def _located(
        self, query: Patient, encoded: EmbeddedVolume, organs: Sequence[str], case: str, side: str
    ) -> list[Row]:
        results = self.method.locate(encoded, self._others(query), organs)
        return [judged(case, side, reference, query, result) for reference, result in results]


def _box(query: Patient, organ: str) -> Box:
    box = query.organs[organ].box
    assert box is not None
    return box


def judged(case: str, side: str, reference: str, query: Patient, result: Result) -> Row:
    """A row: what was said, and how far from the whole organ's box it is.

    The latter is None where the organ is gone.

    ``error_mm`` is None where no position is shown to the user (outside); IoU and wall distance
    count the box even so.
    """
    row = _row(case, side, reference, query.name, result.target)
    row |= {"status": result.status, "reason": result.reason}
    row |= {"spread_mm": _rounded(result.spread_mm), "cycle_mm": _rounded(result.cycle_mm)}
    box = result.box
    if case == "gone" or box is None:
        return row

    truth = _box(query, result.target)
    error = float(np.linalg.norm(box.center - truth.center))
    row |= {"error_mm": _rounded(error) if result.found else None}
    return row | {
        "iou": _rounded(100 * box_iou(box, truth)),
        "awd_mm": _rounded(wall_distance(box, truth)),
    }


def not_made(case: str, side: str, reference: str, query: str, organ: str, reason: str) -> Row:
    """The row of a cut that would leave too little of the patient."""
    return _row(case, side, reference, query, organ) | {"status": NOT_MADE, "reason": reason}


def _row(case: str, side: str, reference: str, query: str, organ: str) -> Row:
    measured = dict.fromkeys(
        ("status", "reason", "error_mm", "iou", "awd_mm", "spread_mm", "cycle_mm")
    )
    return {
        "case": case,
        "side": side,
        "reference": reference,
        "query": query,
        "organ": organ,
        **measured,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
