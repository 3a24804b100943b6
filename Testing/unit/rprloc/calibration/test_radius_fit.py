"""How far off an answer may be: the radius of the card, and how it is fitted."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rprloc.calibration.radius_fit import coverage, fit_radius
from rprloc.errors import InputError
from rprloc.localization.confidence import Doubts, judge
from rprloc.model.radius import FEATURES, RadiusSettings
from rprloc.model.settings import ConfidenceThresholds

CALM = Doubts("box", 3.0, 2.0, 0.9, 0.0, 0.0, 2.0, 0.0, 1)
BOUNDS = torch.full((3,), -200.0), torch.full((3,), 200.0)
POINTS = torch.zeros(6, 3)


def answers(count: int, seed: int) -> tuple[list[dict[str, float]], list[float]]:
    """Answers whose errors grow with spread and cycle error, as they do."""
    rng = np.random.default_rng(seed)
    spread, cycle = rng.exponential(6.0, count), rng.exponential(5.0, count)
    errors = (1.0 + 0.5 * spread + 0.8 * cycle) * rng.lognormal(0.0, 0.5, count)
    doubts = [replace(CALM, spread_mm=s, cycle_mm=c) for s, c in zip(spread, cycle, strict=True)]
    return [d.features() for d in doubts], errors.tolist()


def test_nine_of_ten_errors_of_other_answers_lie_within_the_radius() -> None:
    settings = fit_radius(*answers(2000, 1), "made up")
    features, errors = answers(2000, 2)
    radii = [settings.radius_mm(f) for f in features]
    assert coverage(radii, errors) == pytest.approx(0.9, abs=0.03)
    # One radius for all would cover as many, and tell nothing.
    assert np.quantile(radii, 0.9) > 2.0 * np.quantile(radii, 0.1)


@given(
    st.sampled_from(["spread", "cycle", "unlike", "missing", "beyond", "fine_shift", "apart"]),
    st.floats(0.01, 3.0),
)
def test_more_doubt_never_gives_a_smaller_radius(feature: str, more: float) -> None:
    settings = FITTED
    before = CALM.features()
    after = {**before, feature: before[feature] + more}
    assert settings.radius_mm(after) >= settings.radius_mm(before)


FITTED = fit_radius(*answers(1000, 3), "made up")


def test_too_few_answers_are_refused() -> None:
    with pytest.raises(InputError, match="needs 200 answers"):
        fit_radius(*answers(50, 1), "made up")


def test_the_card_keeps_the_radius() -> None:
    limits = replace(ConfidenceThresholds(), radius=FITTED)
    again = ConfidenceThresholds.from_json(json.loads(json.dumps(limits.to_json())))
    assert again == limits
    assert "radius" not in ConfidenceThresholds().to_json()


@pytest.mark.parametrize(
    "data",
    [
        {"intercept": 1.0, "weights": {"colour": 1.0}},
        {"intercept": float("nan")},
        {"intercept": 1.0, "smallest_mm": 0.0},
        {"intercept": "1"},
        {"weights": {}},
        [],
    ],
)
def test_an_impossible_radius_is_refused(data: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        ConfidenceThresholds.from_json({"radius": data})


def test_a_large_radius_is_doubt_and_says_so() -> None:
    sure = RadiusSettings(0.0, {"spread": 2.0}, 1.0, 300.0, 25.0, "made up")
    limits = replace(ConfidenceThresholds(), radius=sure)
    assert judge(POINTS, BOUNDS, CALM, limits).status == "ok"
    verdict = judge(POINTS, BOUNDS, replace(CALM, spread_mm=7.0), limits)
    assert verdict.status == "low-confidence"
    assert "up to 64 mm off" in verdict.reason


def test_every_feature_has_a_name() -> None:
    assert set(CALM.features()) == set(FEATURES)
