"""Robustness: the same patient as another scanner, program or accident would store it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rprloc.evaluation.metrics import box_iou, wall_distance
from rprloc.geometry import Box, FloatArray, Points
from rprloc.image.volume import Volume
from rprloc.localization.result import Result

from ..core.cohort import ORGANS, Patient
from ..core.experiment import Experiment
from ..core.method import Context
from ..core.store import Row
from ..methods.engine import OneShot
from . import alterations
from .metal import with_metal

REFERENCES = 2
SPACINGS_MM = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0)
SLICES_MM = (5.0, 6.0)
NOISE_HU = (20, 50, 100)
OFFSETS_HU = (50, -50)
EVERY, GAP = 5, 3
ORDERS: dict[str, tuple[tuple[int, int, int], tuple[bool, bool, bool]]] = {
    "RAS": ((0, 1, 2), (True, True, False)),
    "LIP": ((0, 2, 1), (False, True, False)),
    "PIR": ((1, 2, 0), (False, True, True)),
    "SAL": ((2, 1, 0), (False, True, False)),
}
QUICK = (
    *("unchanged", "order-PIR", "spacing-4", "slices-5", "noise-50", "offset+50", "metal"),
    *("fifth-repeated", "gap-dropped"),
)


@dataclass(frozen=True, eq=False)
class Changed:
    """A changed CT.

    ``moved`` tells where the patient's points (n, 3), LPS mm, lie in it (None: where they were).
    """

    volume: Volume
    moved: Callable[[FloatArray], FloatArray] | None = None

    def place(self, lps: FloatArray) -> FloatArray:
        """Points (n, 3) of the patient in the changed CT."""
        return lps if self.moved is None else self.moved(lps)

    def box(self, box: Box) -> Box:
        """A box of the patient in the changed CT."""
        return Box.from_points(Points(self.place(box.corners().xyz)))


@dataclass(frozen=True, eq=False)
class Change:
    """``make`` gives None for a patient that it cannot be made of."""

    id: str
    title: str
    make: Callable[[Patient], Changed | None]


def changes() -> list[Change]:
    """All changes, in the order of the tables; the first is none."""
    return [
        Change("unchanged", "Unchanged", lambda p: Changed(p.volume)),
        *_of_the_lattice(),
        *_of_the_values(),
        *_of_the_slices(),
    ]


def _of_the_lattice() -> list[Change]:
    def order(name: str) -> Change:
        return Change(
            f"order-{name}",
            f"Axes stored as {name}",
            lambda p: Changed(alterations.reordered(p.volume, *ORDERS[name])),
        )

    def spacing(mm: float) -> Change:
        title = f"Resampled to {mm:g} mm"
        return Change(
            f"spacing-{mm:g}",
            title,
            lambda p: Changed(alterations.respaced(p.volume, (mm, mm, mm))),
        )

    def slices(mm: float) -> Change:
        return Change(
            f"slices-{mm:g}",
            f"Slices of {mm:g} mm",
            lambda p: Changed(alterations.thick_slices(p.volume, mm)),
        )

    return [*map(order, ORDERS), *map(spacing, SPACINGS_MM), *map(slices, SLICES_MM)]


def _of_the_values() -> list[Change]:
    def noise(hu: int) -> Change:
        title = f"Noise of {hu} HU"
        return Change(
            f"noise-{hu}",
            title,
            lambda p: Changed(alterations.noisy(p.volume, hu, _rng(p, f"noise-{hu}"))),
        )

    def shifted(hu: int) -> Change:
        return Change(
            f"offset{hu:+d}",
            f"Offset of {hu:+d} HU",
            lambda p: Changed(alterations.offset(p.volume, hu)),
        )

    return [
        *map(noise, NOISE_HU),
        *map(shifted, OFFSETS_HU),
        Change("metal", "Dental metal with streaks", _metal),
    ]


def _of_the_slices() -> list[Change]:
    def every(patient: Patient) -> list[int]:
        return alterations.every_nth(patient.volume, EVERY)

    def gap(patient: Patient) -> list[int]:
        boxes = [t.box for t in patient.organs.values() if t.box is not None]
        middle = (min(b.lower[2] for b in boxes) + max(b.upper[2] for b in boxes)) / 2
        return alterations.gap_at(patient.volume, float(middle), GAP)

    def repeated(missing: Callable[[Patient], list[int]]) -> Callable[[Patient], Changed]:
        return lambda p: Changed(alterations.repeated(p.volume, missing(p)))

    def dropped(missing: Callable[[Patient], list[int]]) -> Callable[[Patient], Changed]:
        def make(patient: Patient) -> Changed:
            lost, geometry = missing(patient), patient.volume.geometry
            return Changed(
                alterations.dropped(patient.volume, lost),
                lambda lps: alterations.moved(geometry, lost, lps),
            )

        return make

    return [
        Change("fifth-repeated", "Every 5th slice missing, neighbour repeated", repeated(every)),
        Change("fifth-dropped", "Every 5th slice missing, stack 20 % too short", dropped(every)),
        Change(
            "gap-repeated", "3 slices missing among the organs, neighbours repeated", repeated(gap)
        ),
        Change("gap-dropped", "3 slices missing among the organs, stack too short", dropped(gap)),
    ]


def _metal(patient: Patient) -> Changed | None:
    """In the slices of the middle of the mandible.

    That height is all that is taken from the patient's labels.
    """
    jaw = patient.organs.get("Mandible")
    if jaw is None or jaw.box is None:
        return None
    return Changed(with_metal(patient.volume, float(jaw.box.center[2]), _rng(patient, "metal")))


def _rng(patient: Patient, change: str) -> np.random.Generator:
    """Random numbers of this patient and change, the same whatever was drawn before."""
    return np.random.default_rng(zlib.crc32(f"{patient.name} {change}".encode()))


class Robustness(Experiment):
    """Units are queries; a row is one organ located with one reference in one changed CT.

    Where dropped slices have moved the anatomy, the truth has moved with it, and so has the answer
    on the unchanged CT that ``shift_mm`` is measured from. The organs' boxes choose where the gap
    and the metal go, and nothing else.
    """

    name = "robustness"
    title = "Robustness: changed CTs of the same patients"

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
        self.changes = [change for change in changes() if not context.quick or change.id in QUICK]

    def settings(self) -> dict[str, Any]:
        """The model, references, organs, and the changes."""
        return {
            "model": self.method.identity,
            "references": self.references,
            "organs": list(ORGANS),
            "changes": {change.id: change.title for change in self.changes},
        }

    def units(self) -> Sequence[str]:
        """The queries."""
        return self.queries

    def run(self, unit: str) -> list[Row]:
        """Locate all complete organs in every changed CT of one query."""
        query = self.context.cohort.patient(unit)
        if not query.organs:
            return []

        plain: dict[tuple[str, str], Result] = {}
        rows: list[Row] = []
        for change in self.changes:
            changed = change.make(query)
            if changed is None:
                continue
            answers = self._answers(query, changed.volume)
            # the first change is none
            plain = plain or answers
            rows += [
                self._row(change, changed, query, r, result, plain[r, o])
                for (r, o), result in answers.items()
            ]

        return rows

    def _answers(self, query: Patient, volume: Volume) -> dict[tuple[str, str], Result]:
        """Reference and organ -> answer."""
        others = [reference for reference in self.references if reference != query.name]
        results = self.method.locate(self.method.embed(volume), others, list(query.organs))
        return {(reference, result.target): result for reference, result in results}

    @staticmethod
    def _row(
        change: Change,
        changed: Changed,
        query: Patient,
        reference: str,
        result: Result,
        before: Result,
    ) -> Row:
        box, truth = result.box, query.organs[result.target].box
        assert box is not None and truth is not None and before.center is not None
        truth = changed.box(truth)
        shift = np.linalg.norm(box.center - changed.place(before.center[None])[0])

        return {
            "change": change.id,
            "title": change.title,
            "reference": reference,
            "query": query.name,
            "organ": result.target,
            "iou": round(100 * box_iou(box, truth), 3),
            "awd_mm": round(wall_distance(box, truth), 3),
            "shift_mm": round(float(shift), 3),
            "status": result.status,
        }
