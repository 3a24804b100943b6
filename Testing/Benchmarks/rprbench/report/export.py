"""All figures of the report as data: one long table (CSV), and nested numbers (JSON)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from ..core.store import Row
from . import trust
from .comparison_of_changes import Change
from .measurements import BASE, METRICS, OURS, STARTS, Measurements
from .paper_values import CITATION, QUOTED, REMARK
from .statistics import SPREAD_METRICS, Difference, Score, Summary, as_numbers
from .trust import Trust

COLUMNS = ("table", "method", "reference", "organ", "metric", "value", "n")
ALL, MEAN, OWN_NAME = "all", "mean", "ours"
CSV_DIGITS = 6
"""Significant digits. The JSON keeps all, so that a report from it is that from the rows."""
Value = float | int | None
Line = tuple[str, str, str, str, str, Value, Value]


def to_csv(measurements: Measurements) -> str:
    """Write one figure a line.

    Distances are in mm, IoU in percent, shares 0 to 1; a figure that does not exist is empty. n:
    answers that the figure is made from; in the table "cost" the amount of work.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines(measurements):
        writer.writerow([_rounded(value) for value in line])
    return buffer.getvalue()


def lines(measurements: Measurements) -> Iterator[Line]:
    """Yield all lines of the long table."""
    yield from _comparisons(measurements)
    for row in [*measurements.series("speed"), *measurements.series("sliding")]:
        table = "times" if "peak_mb" in row else "sliding"
        yield from _fields(table, str(row["method"]), row, row.get("queries", row.get("sampled")))
    if measurements.trust is not None:
        yield from _statuses(measurements.trust)

    for number, summary in measurements.pools().items():
        method = f"ours-{number}"
        yield from _summary("fewshot", method, summary)
        gain = measurements.gain(number)
        yield from _difference("fewshot", method, "iou_minus_ours-1", gain)
    for change in measurements.changes():
        yield from _change(change)
    for row in measurements.series("cost"):
        yield from _fields("cost", str(row["series"]), row, row["n"])


def _comparisons(measurements: Measurements) -> Iterator[Line]:
    for table, variants in measurements.layout().items():
        base = BASE[table]
        for variant in variants:
            yield from _summary(table, variant, measurements.summary(variant))
            for metric in METRICS if variant != base else ():
                pair = measurements.against(variant, base, metric)
                yield from _difference(table, variant, f"{metric}_minus_{base}", pair)


def _summary(table: str, method: str, summary: Summary) -> Iterator[Line]:
    for organ, score in summary.organs.items():
        yield from _score(table, method, ALL, organ, score)
    yield from _score(table, method, ALL, MEAN, summary.mean)

    for name, score in summary.references.items():
        if name:
            yield from _score(table, method, name, MEAN, score)
    n = len(summary.references)
    for metric in SPREAD_METRICS:
        spread = summary.spread(metric)
        yield table, method, ALL, MEAN, f"{metric}_sd_over_references", spread, n


def _score(table: str, method: str, reference: str, organ: str, score: Score) -> Iterator[Line]:
    yield table, method, reference, organ, "iou_percent", score.iou, score.asked
    yield table, method, reference, organ, "awd_mm", score.awd_mm, score.found
    yield table, method, reference, organ, "success_10mm", score.success, score.asked


def _difference(table: str, method: str, metric: str, pair: Difference | None) -> Iterator[Line]:
    if pair is None:
        return
    yield table, method, ALL, ALL, metric, pair.difference, pair.keys
    for name in ("lower", "upper", "p"):
        yield table, method, ALL, ALL, f"{metric}_{name}", getattr(pair, name), pair.keys


def _change(change: Change) -> Iterator[Line]:
    table, n = "robustness", change.mean.asked
    yield from _score(table, change.id, ALL, MEAN, change.mean)
    yield table, change.id, ALL, ALL, "reported_ok", change.ok, n
    yield from _difference(table, change.id, "iou_minus_unchanged", change.iou)
    yield from _difference(table, change.id, "awd_mm_minus_unchanged", change.awd)
    if change.shift_mm:
        for name, value in zip(("mean", "median"), change.shift_mm, strict=True):
            yield table, change.id, ALL, ALL, f"shift_mm_{name}", value, n


def _fields(table: str, method: str, row: Row, n: Any) -> Iterator[Line]:
    for name, value in row.items():
        if isinstance(value, int | float) and name != "n":
            yield table, method, ALL, ALL, name, value, n


def _statuses(figures: Trust) -> Iterator[Line]:
    for s in figures.shares:
        kind = f"{s.case} {s.side}".strip()
        for name, value in s.statuses.items():
            yield "statuses", OWN_NAME, ALL, kind, f"reported_{name}", value, s.n
        for metric in ("ok_lower", "ok_upper", "error_mm", "wrong", "ok_wrong"):
            yield "statuses", OWN_NAME, ALL, kind, metric, getattr(s, metric), s.n

    for title, scores in figures.aurocs.items():
        for score, auroc in scores.items():
            for metric in ("value", "lower", "upper"):
                value = getattr(auroc, metric)
                yield "auroc", OWN_NAME, ALL, title, f"{score}_{metric}", value, auroc.n


def to_json(measurements: Measurements) -> str:
    """Write everything that a report is made from, with the facts of the run.

    ``from_results.RecordedMeasurements`` reads it back.
    """
    layout = measurements.layout()
    figures = measurements.trust
    gains = {n: measurements.gain(n) for n in measurements.pools()}
    whole = {
        "facts": measurements.facts,
        "experiments": sorted(measurements.experiments),
        "tables": {t: [_method(measurements, v) for v in layout[t]] for t in layout},
        "pairs": list(_pairs(measurements)),
        "speed": measurements.series("speed"),
        "sliding": measurements.series("sliding"),
        "statuses": None if figures is None else trust.as_numbers(figures),
        "fewshot": {n: as_numbers(s) for n, s in measurements.pools().items()},
        "gains": {n: _plain_difference(gain) for n, gain in gains.items() if gain is not None},
        "robustness": [_change_as_numbers(change) for change in measurements.changes()],
        "cost": measurements.series("cost"),
        "paper": {"citation": CITATION, "remark": REMARK, "rows": [asdict(row) for row in QUOTED]},
    }
    return json.dumps(_plain(whole), indent=1, allow_nan=False) + "\n"


def _method(measurements: Measurements, variant: str) -> dict[str, Any]:
    title, summary = measurements.title(variant), measurements.summary(variant)
    return {"title": title, **as_numbers(summary)}


def _pairs(measurements: Measurements) -> Iterator[dict[str, Any]]:
    """Yield every difference that the report writes, once, under the names of the two methods."""
    layout = measurements.layout()
    compared = [(v, BASE[table]) for table in layout for v in layout[table] if v != BASE[table]]
    compared += [(v, OURS) for v in measurements.rivals()]
    for first, second in dict.fromkeys([*compared, *STARTS]):
        for metric in METRICS:
            pair = measurements.against(first, second, metric)
            if pair is not None:
                yield {"first_method": first, "second_method": second, **asdict(pair)}


def _change_as_numbers(change: Change) -> dict[str, Any]:
    differences = {
        metric: None if difference is None else _plain_difference(difference)
        for metric, difference in (("iou", change.iou), ("awd", change.awd))
    }
    return {**asdict(change), **differences}


def _plain_difference(difference: Difference) -> dict[str, Any]:
    """Prepare a difference for JSON without the two means, which ``Paired`` adds."""
    return {field.name: getattr(difference, field.name) for field in fields(Difference)}


def _plain(value: Any) -> Any:
    """Make keys text, and turn anything that JSON has no type for into text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _rounded(value: Value | str) -> Value | str:
    return float(f"{value:.{CSV_DIGITS}g}") if isinstance(value, float) else value
