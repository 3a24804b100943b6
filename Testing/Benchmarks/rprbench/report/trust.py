"""Whether a method knows when it is wrong: AUROC of doubt, risk against coverage, statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ..core.store import Row
from ..experiments.statuses import NOT_MADE
from .statistics import Vector, resampled, share_with_interval

WRONG_MM = 20.0
CASES = ("whole", "75", "50", "25", "gone")
CASE_TITLES = {
    "whole": "whole",
    "75": "75 % visible",
    "50": "50 % visible",
    "25": "25 % visible",
    "gone": "gone",
}
STATUSES = ("ok", "low-confidence", "outside")
LOSSES = ("error_mm", "wrong")
KEPT = {"ok": ("ok",), "ok or low-confidence": ("ok", "low-confidence")}
"""Rule -> the statuses whose answers are kept."""
LEAST_KEPT = 20
CURVE_POINTS = 200
SCORES = {"spread_mm": "spread of the votes", "cycle_mm": "cycle error"}
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)


@dataclass(frozen=True)
class Auroc:
    """How well a score tells wrong answers from right ones: 0.5 by chance, 1 always.

    value is None where all answers, or none, are wrong; the interval (95 %, over the queries) also
    for fewer than two queries. n: answers; wrong: of these; unscored: answers left out, as they
    have no score or no known error.
    """

    value: float | None
    lower: float | None
    upper: float | None
    n: int
    wrong: int
    unscored: int


@dataclass(frozen=True)
class Curve:
    """Risk against coverage: the k most trusted answers of n kept, k = 1..n.

    coverage: (n,) 0 to 1, rising. risk: (n,) mean of the losses of those kept.
    """

    coverage: Vector
    risk: Vector

    def at(self, coverage: float) -> float:
        """Risk of the least share of answers that is at least ``coverage``."""
        return float(
            self.risk[min(int(np.searchsorted(self.coverage, coverage - 1e-9)), len(self.risk) - 1)]
        )


@dataclass(frozen=True)
class Point:
    """The answers that a rule keeps.

    Their share, and the mean of their losses (None if none is kept).
    """

    coverage: float
    risk: float | None
    n: int


@dataclass(frozen=True)
class Shares:
    """What was reported for organs of one kind: a case, and a side of the cut ("" for both).

    statuses: status -> share. ok_lower, ok_upper: 95 % interval of the share of ``ok`` over the
    queries. error_mm: mean of those known; wrong: share of these beyond 20 mm; ok_wrong: share of
    the ``ok`` with known error that is beyond 20 mm.
    """

    case: str
    side: str
    n: int
    statuses: dict[str, float]
    ok_lower: float | None
    ok_upper: float | None
    error_mm: float | None
    wrong: float | None
    ok_wrong: float | None


@dataclass(frozen=True)
class Trust:
    """All figures of the experiment with whole, cut and gone organs.

    Attributes:
        shares: what was reported, per case from whole to gone.
        aurocs: group of answers (``groups``) -> score -> AUROC.
        risks: loss ("error_mm", "wrong") -> score -> coverage -> risk.
        curves: loss -> score -> risk-coverage curve, thinned for drawing.
        points: loss -> rule of ``KEPT`` -> what the statuses themselves keep.
        not_made: case -> number of cuts that would have left too little of the patient.
    """

    shares: list[Shares]
    aurocs: dict[str, dict[str, Auroc]]
    risks: dict[str, dict[str, dict[float, float]]]
    curves: dict[str, dict[str, Curve]]
    points: dict[str, dict[str, Point]]
    not_made: dict[str, int]

    @property
    def statuses(self) -> list[str]:
        """The three statuses, then any other that was reported, so that none is lost."""
        reported = {name for each in self.shares for name in each.statuses}
        return [*STATUSES, *sorted(reported - set(STATUSES))]


def assess(rows: Sequence[Row]) -> Trust | None:
    """Compute all figures from the rows of the experiment; None where no cut was made."""
    not_made = {c: sum(r["case"] == c and r["status"] == NOT_MADE for r in rows) for c in CASES}
    made = [row for row in rows if row["status"] != NOT_MADE]
    if not made:
        return None

    curves = {loss: {s: curve_of(made, s, loss) for s in SCORES} for loss in LOSSES}
    points = {
        loss: {r: status_point(made, kept, loss) for r, kept in KEPT.items()} for loss in LOSSES
    }

    return Trust(
        shares=all_shares(made),
        aurocs={t: {s: auroc(part, s) for s in SCORES} for t, part in groups(made).items()},
        risks={
            loss: {s: {x: c.at(x) for x in COVERAGES} for s, c in each.items() if c is not None}
            for loss, each in curves.items()
        },
        curves={
            loss: {s: thinned(c) for s, c in each.items() if c is not None}
            for loss, each in curves.items()
        },
        points={
            loss: {r: point for r, point in each.items() if point is not None}
            for loss, each in points.items()
        },
        not_made={case: n for case, n in not_made.items() if n},
    )


def thinned(curve: Curve) -> Curve:
    """Keep about ``CURVE_POINTS`` points of a curve, without its noisy start.

    The risk of fewer than ``LEAST_KEPT`` answers says nothing, and a picture shows no more points.
    """
    n = len(curve.coverage)
    first = min(LEAST_KEPT, n) - 1
    taken = np.unique(np.linspace(first, n - 1, CURVE_POINTS).round().astype(int))
    return Curve(curve.coverage[taken], curve.risk[taken])


def is_wrong(row: Row) -> bool | None:
    """Whether a located centre is more than 20 mm off; a place given for a gone organ always is.

    None where no place is given (``outside``, which is right for a gone organ), or its error is not
    known.
    """
    if row["status"] == "outside":
        return None
    if row["case"] == "gone":
        return True
    return None if row["error_mm"] is None else bool(row["error_mm"] > WRONG_MM)


def auroc(rows: Sequence[Row], score: str) -> Auroc:
    """AUROC of a field as a score for being wrong, with the interval from resampled queries."""
    usable = [r for r in rows if r[score] is not None and is_wrong(r) is not None]
    wrong = np.array([bool(is_wrong(r)) for r in usable], dtype=bool)
    left_out = len(rows) - len(usable)
    if not wrong.any() or wrong.all():
        return Auroc(None, None, None, len(usable), int(wrong.sum()), left_out)
    values = np.array([float(r[score]) for r in usable])
    names = [str(r["query"]) for r in usable]
    unit = np.unique(names, return_inverse=True)[1]
    value = float(roc_auc_score(wrong, values))
    lower, upper = _auroc_interval(wrong, values, unit) if unit.max() > 0 else (None, None)
    return Auroc(value, lower, upper, len(usable), int(wrong.sum()), left_out)


def _auroc_interval(
    wrong: NDArray[np.bool_], values: Vector, unit: NDArray[np.intp]
) -> tuple[float | None, float | None]:
    """95 % interval of the AUROC over resampled queries.

    The AUROC is a sum over pairs of queries, so each resample is one quadratic form and none is
    sorted anew.
    """
    n = int(unit.max()) + 1
    bad, good = values[wrong], values[~wrong]
    wins = (bad[:, None] > good[None]) + 0.5 * (bad[:, None] == good[None])
    by_bad = np.zeros((n, len(good)))
    np.add.at(by_bad, unit[wrong], wins)
    pairs = np.zeros((n, n))
    np.add.at(pairs.T, unit[~wrong], by_bad.T)
    weights = resampled(n)
    total = (weights @ np.bincount(unit[wrong], minlength=n)) * (
        weights @ np.bincount(unit[~wrong], minlength=n)
    )
    won = ((weights @ pairs) * weights).sum(axis=1)
    drawn = won[total > 0] / total[total > 0]
    lower, upper = np.percentile(drawn, [2.5, 97.5])
    return float(lower), float(upper)


def risk_coverage(doubts: Vector, losses: Vector) -> Curve:
    """Curve of (n,) losses, kept in the order of rising doubt.

    Answers of equal doubt share their mean loss.
    """
    order = np.argsort(doubts, kind="stable")
    ranked, start = np.unique(doubts[order], return_index=True)
    counts = np.diff([*start, len(doubts)])
    means = np.add.reduceat(losses[order], start) / counts if len(ranked) else losses
    kept = np.arange(1, len(doubts) + 1)
    return Curve(kept / len(doubts), np.cumsum(np.repeat(means, counts)) / kept)


def losses_of(rows: Sequence[Row], kind: str) -> tuple[list[Row], Vector]:
    """Rows whose loss is known, and it.

    "error_mm" (present organs), or "wrong" (gone ones count as wrong).
    """
    if kind == "error_mm":
        known = [r for r in rows if r["error_mm"] is not None]
        return known, np.array([float(r["error_mm"]) for r in known])
    known = [r for r in rows if is_wrong(r) is not None]
    return known, np.array([float(bool(is_wrong(r))) for r in known])


def curve_of(rows: Sequence[Row], score: str, kind: str) -> Curve | None:
    """Risk-coverage curve of a score; None where no row has both."""
    known, losses = losses_of([r for r in rows if r[score] is not None], kind)
    return risk_coverage(np.array([float(r[score]) for r in known]), losses) if known else None


def status_point(rows: Sequence[Row], kept: Sequence[str], kind: str) -> Point | None:
    """Coverage and risk where the answers of some statuses are kept.

    None where no loss is known.
    """
    known, losses = losses_of(rows, kind)
    if not known:
        return None
    keep = np.array([r["status"] in kept for r in known])
    return Point(
        float(keep.mean()), float(losses[keep].mean()) if keep.any() else None, int(keep.sum())
    )


def shares(rows: Sequence[Row], case: str, side: str = "") -> Shares | None:
    """What was reported for a case (and side); None if there is no such row."""
    taken = [r for r in rows if r["case"] == case and (not side or r["side"] == side)]
    if not taken:
        return None

    reported = [str(r["status"]) for r in taken]
    named = {
        s: reported.count(s) / len(taken)
        for s in [*STATUSES, *sorted(set(reported) - set(STATUSES))]
    }
    errors = [(float(r["error_mm"]), r["status"]) for r in taken if r["error_mm"] is not None]
    sure = [e for e, status in errors if status == "ok"]
    _, lower, upper = share_with_interval(taken, lambda r: bool(r["status"] == "ok"))

    return Shares(
        case,
        side,
        len(taken),
        named,
        lower,
        upper,
        _mean([e for e, _ in errors]),
        _mean([float(e > WRONG_MM) for e, _ in errors]),
        _mean([float(e > WRONG_MM) for e in sure]),
    )


def all_shares(rows: Sequence[Row]) -> list[Shares]:
    """Per case, from whole to gone; where a case was cut from two sides, each side follows."""
    listed = []
    for case in CASES:
        sides = sorted({str(r["side"]) for r in rows if r["case"] == case and r["side"]})
        listed += [
            shares(rows, case),
            *(shares(rows, case, side) for side in (sides if len(sides) > 1 else [])),
        ]
    return [s for s in listed if s is not None]


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The sets of rows that the AUROC is given for: title -> rows."""
    return {
        "whole organs": [r for r in rows if r["case"] == "whole"],
        "whole and partly visible organs": [r for r in rows if r["case"] != "gone"],
        "all, gone organs counted as wrong": list(rows),
    }


def as_numbers(trust: Trust) -> dict[str, Any]:
    """Prepare all of this module's figures for JSON."""
    return {
        "shares": [vars(each) for each in trust.shares],
        "auroc": {t: {s: vars(a) for s, a in each.items()} for t, each in trust.aurocs.items()},
        "risk_at_coverage": trust.risks,
        "curves": {
            loss: {
                s: [list(map(float, c.coverage)), list(map(float, c.risk))] for s, c in each.items()
            }
            for loss, each in trust.curves.items()
        },
        "points": {
            loss: {rule: vars(point) for rule, point in each.items()}
            for loss, each in trust.points.items()
        },
        "not_made": trust.not_made,
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
