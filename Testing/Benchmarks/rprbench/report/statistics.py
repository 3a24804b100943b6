"""From rows to figures: means per organ and over references, success, paired differences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.cohort import ORGANS
from ..core.store import Row

RESAMPLES = 10_000
SEED = 20210
SUCCESS_MM = 10.0
SPREAD_METRICS = ("iou", "awd_mm", "success")
Vector = NDArray[np.float64]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """Accuracy of some rows.

    Attributes:
        iou: mean in percent (not detected: 0). awd_mm: mean of those detected, None if none was.
        success: share with a wall distance under 10 mm (not detected: failure).
        found: rows with a detection. asked: all rows.
    """

    iou: float
    awd_mm: float | None
    success: float
    found: int
    asked: int


@dataclass(frozen=True)
class Summary:
    """A method over references, queries and organs.

    organs: organ -> its score over all references and queries. mean: iou and awd_mm are the mean of
    the organs' means (as in the paper); success, found and asked count all rows. references: name
    -> the same for that reference alone; one entry, "", where a method needs none. queries: number
    of patients.
    """

    method: str
    organs: dict[str, Score]
    mean: Score
    references: dict[str, Score]
    spreads: dict[str, float | None]
    queries: int

    def spread(self, metric: str) -> float | None:
        """Standard deviation (n - 1) over the references, of one of ``SPREAD_METRICS``.

        None for fewer than two references.
        """
        return self.spreads[metric]

    def worst(self) -> tuple[str, Score] | None:
        """The reference with the lowest IoU, None where there are not at least two."""
        if len(self.references) < 2:
            return None
        return min(self.references.items(), key=lambda item: item[1].iou)


@dataclass(frozen=True)
class Difference:
    """A difference between two kinds of answers to the same questions, by resampling the patients.

    Attributes:
        metric: "iou" (percentage points) or "awd_mm" (mm). difference: mean over the patients.
        lower, upper: 95 % interval. p: two-sided. All three are None for fewer than two patients.
        keys: number of answers compared, of either kind.
    """

    metric: str
    difference: float
    lower: float | None
    upper: float | None
    p: float | None
    patients: int
    keys: int


@dataclass(frozen=True)
class Paired(Difference):
    """``first - second``, with the means over the patients of each patient's mean."""

    first: float
    second: float


def score(rows: Iterable[Row]) -> Score:
    """The score of rows, all counted alike. There must be at least one."""
    taken = list(rows)
    distances = [float(r["awd_mm"]) for r in taken if r["awd_mm"] is not None]
    return Score(
        iou=float(np.mean([r["iou"] for r in taken])),
        awd_mm=float(np.mean(distances)) if distances else None,
        success=sum(d < SUCCESS_MM for d in distances) / len(taken),
        found=len(distances),
        asked=len(taken),
    )


def mean_of_organs(rows: Sequence[Row]) -> tuple[dict[str, Score], Score]:
    """The score of each organ, and the mean of the organs' means."""
    groups = grouped(rows, "organ")
    organs = {
        organ: score(groups[organ])
        for organ in [*ORGANS, *sorted(set(groups) - set(ORGANS))]
        if organ in groups
    }

    distances = [s.awd_mm for s in organs.values() if s.awd_mm is not None]
    whole = score(rows)
    mean = Score(
        iou=float(np.mean([s.iou for s in organs.values()])),
        awd_mm=float(np.mean(distances)) if distances else None,
        success=whole.success,
        found=whole.found,
        asked=whole.asked,
    )
    return organs, mean


def summarize(method: str, rows: Sequence[Row], by: str = "reference") -> Summary:
    """The rows of one method.

    By: the field whose values are the references (few-shot: the pools).
    """
    organs, mean = mean_of_organs(rows)
    references = {name: mean_of_organs(part)[1] for name, part in grouped(rows, by).items()}
    spreads = {metric: _spread(references.values(), metric) for metric in SPREAD_METRICS}
    return Summary(method, organs, mean, references, spreads, len({r["query"] for r in rows}))


def _spread(scores: Iterable[Score], metric: str) -> float | None:
    values = [v for v in (getattr(score, metric) for score in scores) if v is not None]
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def by_method(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Variant -> its rows, in the order of their first."""
    return grouped(rows, "method")


def grouped(rows: Iterable[Row], field: str) -> dict[str, list[Row]]:
    """Value of a field, as text -> rows, in the order of their first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row[field]), []).append(row)
    return groups


def paired(
    first: Sequence[Row], second: Sequence[Row], metric: str, over_references: bool = False
) -> Paired | None:
    """Paired bootstrap of ``metric`` ("iou" or "awd_mm") over the patients.

    None where nothing can be compared.

    Compared are the (reference, query, organ) that both have with a value; (query, organ), each the
    mean over its references, if ``over_references`` or if one of the two needs no reference.
    """
    alone = over_references or not (_has_references(first) and _has_references(second))
    a, b = _values(first, metric, alone), _values(second, metric, alone)
    keys = sorted(set(a) & set(b))
    if not keys:
        return None

    of_a = _per_patient(keys, a)
    of_b = _per_patient(keys, b)
    difference = of_a - of_b
    lower, upper, p = interval_of_mean(difference)

    return Paired(
        metric,
        float(difference.mean()),
        lower,
        upper,
        p,
        patients=len(difference),
        keys=len(keys),
        first=float(of_a.mean()),
        second=float(of_b.mean()),
    )


def interval_of_mean(values: Vector) -> tuple[float | None, float | None, float | None]:
    """Interval of the mean of ``values`` (n,), and the two-sided p of the mean being 0.

    The interval is between the 2.5 and 97.5 percentiles of ``RESAMPLES`` resamples.
    """
    if len(values) < 2:
        return None, None, None
    means = resampled(len(values)) @ values / len(values)
    lower, upper = np.percentile(means, [2.5, 97.5])
    # Rounding must not decide on which side of 0 a resample of equal values lies.
    slack = 1e-12 * max(1.0, float(np.abs(values).max()))
    tails = min(int((means <= slack).sum()), int((means >= -slack).sum()))
    return float(lower), float(upper), min(1.0, 2 * (tails + 1) / (RESAMPLES + 1))


@functools.lru_cache(maxsize=4)
def resampled(n: int) -> Vector:
    """(RESAMPLES, n) how often each of ``n`` units is drawn.

    The same for every call with this ``n``; read-only.
    """
    drawn = (
        np.random.default_rng(SEED)
        .multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
        .astype(np.float64)
    )
    drawn.flags.writeable = False
    return drawn


def share_with_interval(
    rows: Sequence[Row], holds: Callable[[Row], bool]
) -> tuple[float, float | None, float | None]:
    """Share of ``rows`` (at least one) that hold, and its 95 % interval over the queries."""
    groups = grouped(rows, "query")
    counts = np.array([len(part) for part in groups.values()], dtype=np.float64)
    held = np.array([sum(map(holds, part)) for part in groups.values()], dtype=np.float64)
    share = float(held.sum() / counts.sum())
    if len(groups) < 2:
        return share, None, None
    weights = resampled(len(groups))
    lower, upper = np.percentile(weights @ held / (weights @ counts), [2.5, 97.5])
    return share, float(lower), float(upper)


def _has_references(rows: Iterable[Row]) -> bool:
    return any(row["reference"] for row in rows)


def _values(rows: Iterable[Row], metric: str, alone: bool) -> dict[Key, float]:
    """(query, organ) or (query, organ, reference) -> the mean of the values there."""
    values_of: dict[Key, list[float]] = {}
    for row in rows:
        key = (str(row["query"]), str(row["organ"])) + (() if alone else (str(row["reference"]),))
        if row[metric] is not None:
            values_of.setdefault(key, []).append(float(row[metric]))
    return {key: float(np.mean(values)) for key, values in values_of.items()}


def _per_patient(keys: Sequence[Key], values: dict[Key, float]) -> Vector:
    """Mean of each query, in the order of ``keys``."""
    patients: dict[str, list[float]] = {}
    for key in keys:
        patients.setdefault(key[0], []).append(values[key])
    return np.array([np.mean(each) for each in patients.values()], dtype=np.float64)


def as_numbers(summary: Summary) -> dict[str, Any]:
    """A summary for JSON."""
    worst = summary.worst()
    return {
        "method": summary.method,
        "queries": summary.queries,
        "mean": vars(summary.mean),
        "organs": {organ: vars(s) for organ, s in summary.organs.items()},
        "references": {name: vars(s) for name, s in summary.references.items()},
        "sd_over_references": summary.spreads,
        "worst_reference": None if worst is None else worst[0],
    }
