"""All figures of the report as data: one long table (CSV), and nested numbers (JSON)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ..core.store import Row
from . import trust
from .changes import changes, few_shot, gain
from .measurements import BASE, Measured
from .paper_values import CITATION, QUOTED, REMARK
from .statistics import Paired, Score, Summary, as_numbers

COLUMNS = ("table", "method", "reference", "organ", "metric", "value", "n")
ALL, MEAN, OWN_NAME = "all", "mean", "ours"
Value = float | int | None
Line = tuple[str, str, str, str, str, Value, Value]


def to_csv(measured: Measured) -> str:
    """One figure a line. Distances in mm, IoU in percent, shares 0 to 1; a figure that does not exist is empty.

    n: answers that the figure is made from; in the table "cost" the amount of work.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines(measured):
        writer.writerow([_rounded(value) for value in line])
    return buffer.getvalue()


def lines(measured: Measured) -> Iterator[Line]:
    """All lines of the long table."""
    for table, variants in measured.layout().items():
        for variant in variants:
            yield from _summary(table, variant, measured.summary(variant))
            for metric in ("iou", "awd_mm"):
                if variant != BASE[table]:
                    found = measured.against(variant, BASE[table], metric)
                    yield from _difference(table, variant, f"{metric}_minus_{BASE[table]}", found)
    for row in [*measured.rows("speed"), *measured.rows("sliding")]:
        table = "times" if "peak_mb" in row else "sliding"
        yield from _fields(table, str(row["method"]), row, row.get("queries", row.get("sampled")))
    yield from _statuses(measured.rows("statuses"))
    for number, summary in few_shot(measured).items():
        yield from _summary("fewshot", f"ours-{number}", summary)
        yield from _difference(
            "fewshot", f"ours-{number}", "iou_minus_ours-1", gain(measured, number, "iou")
        )
    for change in changes(measured):
        yield from _score("robustness", change.id, ALL, MEAN, change.mean)
        yield "robustness", change.id, ALL, ALL, "reported_ok", change.ok, change.mean.asked
        yield from _difference("robustness", change.id, "iou_minus_unchanged", change.iou)
        yield from _difference("robustness", change.id, "awd_mm_minus_unchanged", change.awd)
        if change.shift_mm:
            yield (
                "robustness",
                change.id,
                ALL,
                ALL,
                "shift_mm_mean",
                change.shift_mm[0],
                change.mean.asked,
            )
            yield (
                "robustness",
                change.id,
                ALL,
                ALL,
                "shift_mm_median",
                change.shift_mm[1],
                change.mean.asked,
            )
    for row in measured.rows("cost"):
        yield from _fields("cost", str(row["series"]), row, row["n"])


def _summary(table: str, method: str, summary: Summary) -> Iterator[Line]:
    for organ, score in summary.organs.items():
        yield from _score(table, method, ALL, organ, score)
    yield from _score(table, method, ALL, MEAN, summary.mean)
    for name, score in summary.references.items():
        if name:
            yield from _score(table, method, name, MEAN, score)
    for metric in ("iou", "awd_mm", "success"):
        yield (
            table,
            method,
            ALL,
            MEAN,
            f"{metric}_sd_over_references",
            summary.spread(metric),
            len(summary.references),
        )


def _score(table: str, method: str, reference: str, organ: str, score: Score) -> Iterator[Line]:
    yield table, method, reference, organ, "iou_percent", score.iou, score.asked
    yield table, method, reference, organ, "awd_mm", score.awd_mm, score.found
    yield table, method, reference, organ, "success_10mm", score.success, score.asked


def _difference(table: str, method: str, metric: str, found: Paired | None) -> Iterator[Line]:
    if found is not None:
        for name, value in (
            ("", found.difference),
            ("_lower", found.lower),
            ("_upper", found.upper),
            ("_p", found.p),
        ):
            yield table, method, ALL, ALL, metric + name, value, found.keys


def _fields(table: str, method: str, row: Row, n: Any) -> Iterator[Line]:
    for name, value in row.items():
        if isinstance(value, int | float) and name != "n":
            yield table, method, ALL, ALL, name, value, n


def _statuses(rows: Sequence[Row]) -> Iterator[Line]:
    for s in trust.all_shares(rows):
        kind = f"{s.case} {s.side}".strip()
        for name, value in s.statuses.items():
            yield "statuses", OWN_NAME, ALL, kind, f"reported_{name}", value, s.n
        for metric in ("ok_lower", "ok_upper", "error_mm", "wrong", "ok_wrong"):
            yield "statuses", OWN_NAME, ALL, kind, metric, getattr(s, metric), s.n
    for title, part in trust.groups(rows).items() if rows else ():
        for score in trust.SCORES:
            found = trust.auroc(part, score)
            for metric in ("value", "lower", "upper"):
                yield (
                    "auroc",
                    OWN_NAME,
                    ALL,
                    title,
                    f"{score}_{metric}",
                    getattr(found, metric),
                    found.n,
                )


def to_json(measured: Measured) -> str:
    """Nested numbers of every table, with the facts of the run."""
    tables = {
        table: [_method(measured, variant, BASE[table]) for variant in variants]
        for table, variants in measured.layout().items()
    }
    whole = {
        "facts": measured.facts,
        "tables": tables,
        "speed": measured.rows("speed"),
        "sliding": measured.rows("sliding"),
        "statuses": trust.as_numbers(measured.rows("statuses"))
        if measured.rows("statuses")
        else None,
        "fewshot": {str(n): as_numbers(s) for n, s in few_shot(measured).items()},
        "robustness": [asdict(change) for change in changes(measured)],
        "cost": measured.rows("cost"),
        "paper": {"citation": CITATION, "remark": REMARK, "rows": [asdict(row) for row in QUOTED]},
    }
    return json.dumps(_plain(whole), indent=1, allow_nan=False) + "\n"


def _method(measured: Measured, variant: str, base: str) -> dict[str, Any]:
    pairs = (
        {m: measured.against(variant, base, m) for m in ("iou", "awd_mm")}
        if variant != base
        else {}
    )
    return {
        "title": measured.title(variant),
        **as_numbers(measured.summary(variant)),
        f"minus_{base}": {
            metric: asdict(found) for metric, found in pairs.items() if found is not None
        },
        "speed": measured.speed(variant) or None,
    }


def _plain(value: Any) -> Any:
    """With numbers rounded, and anything that JSON has no type for as text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return _rounded(value)
    return str(value)


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
