"""The measurements of an earlier run, read from its ``results.json``: a report without its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from rprloc.errors import InputError

from ..core.store import Row
from .comparison_of_changes import Change
from .measurements import Measurements
from .statistics import Difference, Paired, Score, Summary
from .trust import Auroc, Curve, Point, Shares, Trust

Json = Mapping[str, Any]
T = TypeVar("T")


def read_results(path: Path) -> RecordedMeasurements:
    """Read ``results.json``; raises InputError where it is no such file."""
    try:
        return RecordedMeasurements(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path.name}: cannot be read as results of a run ({error})") from error


class RecordedMeasurements(Measurements):
    """Figures of a ``results.json`` (see ``export.to_json``), rounded as they are there."""

    def __init__(self, results: Json) -> None:
        super().__init__(results["facts"], results["experiments"])
        tables: Mapping[str, list[Json]] = results["tables"]
        self._layout = {table: [str(row["method"]) for row in tables[table]] for table in tables}
        self._summaries = {
            str(row["method"]): _summary(row) for rows in tables.values() for row in rows
        }
        self._pairs = {
            (str(pair["first_method"]), str(pair["second_method"]), str(pair["metric"])): _as(
                Paired, pair
            )
            for pair in results["pairs"]
        }
        self._series: dict[str, list[Row]] = {
            name: list(results[name]) for name in ("speed", "sliding", "cost")
        }
        self._trust = _trust(results["statuses"]) if results["statuses"] else None
        self._pools = {int(n): _summary(each) for n, each in results["fewshot"].items()}
        self._gains = {int(n): _as(Difference, each) for n, each in results["gains"].items()}
        self._changes = [_change(each) for each in results["robustness"]]

    def layout(self) -> dict[str, list[str]]:
        """Table -> its variants, as recorded."""
        return self._layout

    def has(self, variant: str) -> bool:
        """Whether a table of the record has the variant."""
        return variant in self._summaries

    def summary(self, variant: str) -> Summary:
        """Means of a variant that the record has."""
        return self._summaries[variant]

    def against(self, variant: str, other: str, metric: str) -> Paired | None:
        """``variant - other``; a pair that was recorded the other way round is turned."""
        turned = self._pairs.get((other, variant, metric))
        return self._pairs.get((variant, other, metric)) or (turned and _turned(turned))

    def series(self, experiment: str) -> list[Row]:
        """Rows of "speed", "sliding" or "cost"."""
        return self._series[experiment]

    @property
    def trust(self) -> Trust | None:
        """What the statuses are worth, as recorded."""
        return self._trust

    def pools(self) -> dict[int, Summary]:
        """Number of pooled references -> means over the pools."""
        return self._pools

    def gain(self, references: int) -> Difference | None:
        """IoU with this many pooled references minus that with one."""
        return self._gains.get(references)

    def changes(self) -> list[Change]:
        """Every change of the robustness experiment."""
        return self._changes


def _as(kind: type[T], values: Json) -> T:
    """A dataclass of ``kind`` from what the record has under its fields' names."""
    return kind(**{field.name: values[field.name] for field in fields(kind)})  # type: ignore[arg-type]


def _turned(pair: Paired) -> Paired:
    """``second - first`` of a recorded ``first - second``."""
    return replace(
        pair,
        first=pair.second,
        second=pair.first,
        difference=-pair.difference,
        lower=None if pair.upper is None else -pair.upper,
        upper=None if pair.lower is None else -pair.lower,
    )


def _summary(row: Json) -> Summary:
    return Summary(
        method=str(row["method"]),
        organs={organ: _as(Score, each) for organ, each in row["organs"].items()},
        mean=_as(Score, row["mean"]),
        references={name: _as(Score, each) for name, each in row["references"].items()},
        spreads=dict(row["sd_over_references"]),
        queries=int(row["queries"]),
    )


def _change(row: Json) -> Change:
    difference = {
        metric: None if row[metric] is None else _as(Difference, row[metric])
        for metric in ("iou", "awd")
    }
    return Change(
        id=row["id"],
        title=row["title"],
        mean=_as(Score, row["mean"]),
        iou=difference["iou"],
        awd=difference["awd"],
        shift_mm=None if row["shift_mm"] is None else (row["shift_mm"][0], row["shift_mm"][1]),
        ok=row["ok"],
    )


def _trust(values: Json) -> Trust:
    return Trust(
        shares=[_as(Shares, each) for each in values["shares"]],
        aurocs={
            title: {score: _as(Auroc, each) for score, each in scores.items()}
            for title, scores in values["auroc"].items()
        },
        risks={
            loss: {
                score: {float(coverage): risk for coverage, risk in each.items()}
                for score, each in scores.items()
                if each is not None
            }
            for loss, scores in values["risk_at_coverage"].items()
        },
        curves={
            loss: {score: Curve(*map(np.array, each)) for score, each in scores.items()}
            for loss, scores in values["curves"].items()
        },
        points={
            loss: {rule: _as(Point, each) for rule, each in rules.items()}
            for loss, rules in values["points"].items()
        },
        not_made=dict(values["not_made"]),
    )
