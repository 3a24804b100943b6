"""Which answers are improbable among those of the cohort: by size, and by place.

Coordinates of two scans have no common origin, so the place of a target is taken from the median of
the other targets of the same scan. Each feature is compared with all scans by the modified z-score
(median and median absolute deviation; Iglewicz and Hoaglin 1993), which outliers do not move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from .answers import Answers, Floats

#: The authors' limit of a modified z-score.
FLAGGED: Final = 3.5
#: Of fewer scans no spread can be told.
LEAST: Final = 8
#: Other targets that a place is told from.
_LEAST_OTHERS = 2
#: Median absolute deviation of a normal distribution, in standard deviations.
_MAD = 0.6745
#: Deviations below these are no news: 1 mm, and 2 percent of a size.
_FLOOR_MM, _FLOOR_SHARE = 1.0, 0.02
_AXES = ("left-right", "front-back", "up-down")


@dataclass(frozen=True, eq=False)
class Outliers:
    """How improbable each of n rows is.

    Attributes:
        score: (n,) largest modified z-score; NaN where nothing can be told.
        why: (n,) which feature that is, in words.
        place: (n, 3) place relative to the other targets of the scan, LPS mm; NaN where unknown.
    """

    score: Floats
    why: list[str]
    place: Floats


def find_outliers(answers: Answers) -> Outliers:
    """Judge every row that was found."""
    place = relative_places(answers)
    score = np.full(len(answers), np.nan)
    why = [""] * len(answers)
    for rows in _groups(answers):
        features, named = _features(answers, place, rows)
        with np.errstate(invalid="ignore"):
            scores = np.abs(features)
        known = np.isfinite(scores).any(axis=1)
        for row, values, feature_names in zip(
            rows[known], scores[known], named[known], strict=True
        ):
            worst = int(np.nanargmax(values))
            score[row], why[row] = values[worst], str(feature_names[worst])
    return Outliers(score, why, place)


def _groups(answers: Answers) -> list[np.ndarray]:
    """Return the found rows of every target of every template, where there are enough."""
    found = np.flatnonzero(answers.found)
    names = [f"{answers.texts['template'][n]}\0{answers.texts['target'][n]}" for n in found]
    _, group = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
    parts = [found[group == n] for n in range(int(group.max()) + 1)] if len(found) else []
    return [rows for rows in parts if len(rows) >= LEAST]


def relative_places(answers: Answers) -> Floats:
    """Return the centres (n, 3) relative to the median of the other targets of the scan, mm."""
    place = np.full((len(answers), 3), np.nan)
    found = np.flatnonzero(answers.found)
    names = [f"{answers.texts['series_id'][n]}\0{answers.texts['template'][n]}" for n in found]
    if not names:
        return place
    _, scan = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
    order = np.argsort(scan, kind="stable")
    for rows in np.split(found[order], np.flatnonzero(np.diff(scan[order])) + 1):
        if len(rows) > _LEAST_OTHERS:
            centers = answers.center[rows]
            for n, row in enumerate(rows):
                place[row] = centers[n] - np.median(np.delete(centers, n, axis=0), axis=0)
    return place


def _features(answers: Answers, place: Floats, rows: np.ndarray) -> tuple[Floats, np.ndarray]:
    """Return modified z-scores (m, 6) of sizes and places, and what each would say."""
    size = np.log(np.where(answers.size[rows] > 0, answers.size[rows], np.nan))
    scores = np.column_stack([_scores(size, _FLOOR_SHARE), _scores(place[rows], _FLOOR_MM)])
    usual = np.exp(_median(size))
    middle = _median(place[rows])
    named = np.empty((len(rows), 6), dtype=object)
    for n, row in enumerate(rows):
        for axis, label in enumerate(_AXES):
            named[n, axis] = (
                f"size {label} {answers.size[row, axis]:.0f} mm (usually {usual[axis]:.0f})"
            )
            off = place[row, axis] - middle[axis]
            named[n, 3 + axis] = f"place {label} {off:+.0f} mm from the usual"
    return scores, named


def _median(values: Floats) -> Floats:
    """Return the medians (3,) of columns; NaN of one without any number."""
    columns = [column[np.isfinite(column)] for column in values.T]
    return np.array([np.median(one) if len(one) else np.nan for one in columns])


def _scores(values: Floats, floor: float) -> Floats:
    deviation = values - _median(values)
    spread = np.maximum(_median(np.abs(deviation)), floor)
    scores: Floats = _MAD * deviation / spread
    # Where too few scans tell a feature, none is odd.
    scores[:, np.isfinite(values).sum(axis=0) < LEAST] = np.nan
    return scores
