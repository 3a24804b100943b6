"""The radius of a model, fitted on the rows of ``val``, and written into its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rprloc.calibration.radius_fit import COVERED, LEAST_ERROR_MM, fit_radius
from rprloc.localization.status import FAILED, OK
from rprloc.model.card import read_card
from rprloc.model.finding import find_model
from rprloc.model.radius import RadiusSettings
from rprtrain.check.thresholds import write_thresholds

from .measuring import Row
from .report import WRONG_MM

#: Of the answers that the card's other limits let pass, at most so many may be ``ok`` and wrong: in
#: every region of landmarks, and of the organ boxes, where there are so many.
WRONG_OK = 0.01
LEAST_TRUSTED = 50
#: Limits that are tried, mm.
LIMITS_MM = tuple(float(mm) for mm in range(8, 61))


def fit(rows: Sequence[Row], source: str) -> RadiusSettings:
    """Fit the radius, widen it to what CTs need that it was not fitted on, and choose its limit.

    The limit: beyond which an answer is doubtful.

    Raises InputError if there are too few rows.
    """
    known = [r for r in rows if r.error_mm is not None and r.told.get("status") != FAILED]
    features = [r.told["features"] for r in known]
    errors = [float(r.error_mm or 0.0) for r in known]
    settings = fit_radius(features, errors, source)
    radii = _held_out_radii(known, np.array(errors))
    wider = max(
        0.0, float(np.quantile(np.log(np.maximum(errors, LEAST_ERROR_MM) / radii), COVERED))
    )
    settings = replace(settings, intercept=round(settings.intercept + wider, 4))
    radii = radii * np.exp(wider)
    trusted = [r.told["status"] == OK for r in known]
    parts = ["boxes" if r.kind == "box" else r.group for r in known]
    limit = largest_limit(radii, np.array(errors) > WRONG_MM, np.array(trusted), np.array(parts))
    return replace(settings, doubtful_mm=limit)


def _held_out_radii(rows: Sequence[Row], errors: np.ndarray) -> np.ndarray:
    """The radius of every answer, fitted without its CT: as it will be for CTs never seen."""
    radii = np.zeros(len(rows))
    for query in dict.fromkeys(row.query for row in rows):
        mine = np.array([row.query == query for row in rows])
        rest = np.array([query not in (row.query, row.reference) for row in rows])
        features = [row.told["features"] for row, used in zip(rows, rest, strict=True) if used]
        settings = fit_radius(features, errors[rest].tolist(), "")
        own = [row.told["features"] for row, used in zip(rows, mine, strict=True) if used]
        radii[mine] = [settings.radius_mm(values) for values in own]
    return radii


def largest_limit(
    radii: np.ndarray, wrong: np.ndarray, trusted: np.ndarray, parts: np.ndarray
) -> float:
    """The largest limit that keeps wrong answers from being ``ok``, in all parts of the body.

    ``trusted``: what the card's other limits let pass.
    """
    counted = [trusted & (parts == part) for part in np.unique(parts)]
    groups = [trusted, *(group for group in counted if group.sum() >= LEAST_TRUSTED)]
    good = [
        mm
        for mm in LIMITS_MM
        if all(float((wrong & (radii <= mm))[group].mean()) <= WRONG_OK for group in groups)
    ]
    return max(good, default=LIMITS_MM[0])


def write_radii(model: str | Path, voted: RadiusSettings, aligned: RadiusSettings) -> Path:
    """Put both radii into the card of a model; raises ModelError or OutputError."""
    folder = find_model(model)
    confidence = read_card(folder).confidence
    return write_thresholds(folder, replace(confidence, radius=voted, aligned=aligned))
