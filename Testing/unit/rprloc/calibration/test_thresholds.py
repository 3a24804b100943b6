"""Thresholds proposed from right answers."""

from __future__ import annotations

import numpy as np
import pytest

from rprloc.calibration.thresholds import HEADROOM, RightAnswers, propose_thresholds
from rprloc.errors import InputError
from rprloc.model.settings import ConfidenceThresholds


def test_nearly_all_right_answers_stay_ok() -> None:
    rng = np.random.default_rng(3)
    answers = RightAnswers(
        rng.gamma(2.0, 3.0, 500).tolist(),
        rng.gamma(2.0, 2.0, 500).tolist(),
        rng.uniform(0.4, 0.9, 500).tolist(),
    )
    proposed = propose_thresholds(answers, "500 points of 3 CTs")
    assert np.mean(np.array(answers.cycle_mm) <= proposed.cycle_mm) >= 0.99
    assert proposed.cycle_mm == pytest.approx(
        HEADROOM * np.quantile(answers.cycle_mm, 0.99), abs=0.06
    )
    assert proposed.spread_mm < proposed.cycle_mm
    assert 0.2 < proposed.similarity < 0.4
    assert proposed.source == "500 points of 3 CTs"


def test_what_is_not_measured_is_kept() -> None:
    usual = ConfidenceThresholds(similarity=0.7, missing=0.2, outside_mm=9.0)
    proposed = propose_thresholds(RightAnswers([3.0] * 100, [2.0] * 100), "x", usual)
    assert (proposed.similarity, proposed.missing, proposed.outside_mm) == (0.7, 0.2, 9.0)


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        (RightAnswers([1.0] * 99, [1.0] * 99), "measured on 99"),
        (RightAnswers([np.nan] * 100, [1.0] * 100), "not a number"),
    ],
)
def test_too_little_is_refused(answers: RightAnswers, text: str) -> None:
    with pytest.raises(InputError, match=text):
        propose_thresholds(answers, "x")


def test_a_perfect_model_gets_limits_above_0() -> None:
    proposed = propose_thresholds(RightAnswers([0.0] * 100, [0.0] * 100, [1.0] * 100), "x")
    assert proposed.cycle_mm > 0.0 and proposed.spread_mm > 0.0 and proposed.similarity <= 1.0
