"""One method on all references and queries: the rows that the tables are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rprloc.evaluation.metrics import box_iou, wall_distance
from rprloc.geometry import Box

from ..core.cohort import ORGANS, Patient
from ..core.experiment import Experiment
from ..core.method import Detection, Method
from ..core.store import Row

REFERENCES = 5
SPLIT = "test"


class Comparison(Experiment):
    """Units are queries.

    A row is one organ of one query, found with one reference by one variant of the method.
    """

    def __init__(self, method: Method, references: Sequence[str], queries: Sequence[str]) -> None:
        super().__init__(method.context)
        self.method = method
        self.name = f"accuracy-{method.name}"
        self.title = f"Accuracy ({method.name})"
        self.references = method.limit_references(references) if method.needs_reference else []
        self.queries = list(queries)
        self._prepared: dict[str, Any] = {}

    def settings(self) -> dict[str, Any]:
        """References, organs, and what the method depends on."""
        return {"references": self.references, "organs": list(ORGANS), **self.method.settings()}

    def units(self) -> Sequence[str]:
        """The queries."""
        return self.queries

    def begin(self) -> None:
        """Train the method, where it learns anything."""
        self.method.train()

    def run(self, unit: str) -> list[Row]:
        """Locate all complete organs of one query with every reference."""
        query = self.context.cohort.patient(unit)
        encoded = self.method.encode(query.volume)
        organs = [organ for organ in ORGANS if organ in query.organs]
        rows: list[Row] = []
        for name in self.references or [""]:
            for variant, detections in self.method.find(encoded, self._of(name), organs).items():
                rows += [score(variant, name, query, organ, detections[organ]) for organ in organs]
        return rows

    def _of(self, reference: str) -> Any:
        if reference and reference not in self._prepared:
            self._prepared[reference] = self.method.prepare(self.context.cohort.patient(reference))
        return self._prepared.get(reference)


def score(variant: str, reference: str, query: Patient, organ: str, detection: Detection) -> Row:
    """A row: IoU in percent and wall distance in mm.

    Where nothing was detected, the IoU is 0 and the wall distance None.
    """
    truth = query.organs[organ].box
    assert truth is not None
    return {
        "method": variant,
        "reference": reference,
        "query": query.name,
        "organ": organ,
        "iou": 0.0 if detection.box is None else round(100 * box_iou(detection.box, truth), 3),
        "awd_mm": None if detection.box is None else round(wall_distance(detection.box, truth), 3),
        "box": None if detection.box is None else listed(detection.box),
        "status": detection.status,
        "spread_mm": detection.spread_mm,
        "cycle_mm": detection.cycle_mm,
    }


def listed(box: Box) -> list[float]:
    """Lower and upper corner, six numbers in mm."""
    return [round(float(v), 2) for v in (*box.lower, *box.upper)]
