"""Answers of a model that are known to be right, and the thresholds that follow from its doubts.

A point that is marked on a CT lies at the same place in an altered copy of it, so that the right
answer is known without labels. What the model says of its doubts there tells from where on a doubt
means something: see ``rprloc.calibration.thresholds``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rprloc.calibration.thresholds import RightAnswers, propose_thresholds
from rprloc.errors import InputError
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.locator import Locator
from rprloc.localization.result import Result
from rprloc.model.settings import ConfidenceThresholds

from ..random_stream import RandomStream
from .checked_ct import CheckedCt, shown_by_all

# Points per CT, each sought in two copies: three CTs give enough answers for 1 % quantiles.
POINTS = 24
# An answer nearer than this to the truth is right, as in the verdict of the self-check.
RIGHT_MM = 8.0


@dataclass(frozen=True)
class Proposal:
    """Thresholds for the model's card, or why there are none.

    Attributes:
        thresholds: None without enough right answers.
        problem: one line for people; empty where there are thresholds.
    """

    thresholds: ConfidenceThresholds | None = None
    problem: str = ""


def right_answers(
    ct: CheckedCt, copies: Sequence[EmbeddedVolume], locator: Locator, rng: RandomStream
) -> list[Result]:
    """Locate points of a CT in altered copies of it; the results that are right, doubted or not."""
    copies = list(copies)
    if not copies:
        return []
    points = ct.body_points(POINTS, rng)
    points = points[shown_by_all(points, copies)]

    right = []
    for copy in copies:
        for point, result in zip(points, ct.locate(points, copy, locator), strict=True):
            if result.center is not None and np.linalg.norm(result.center - point) < RIGHT_MM:
                right.append(result)
    return right


def propose(answers: Sequence[Result], volumes: int, present: ConfidenceThresholds) -> Proposal:
    """Thresholds from right answers.

    Args:
        answers: the results.
        volumes: how many CTs they come from, for the card.
        present: the model's thresholds, for what cannot be measured so.
    """
    measured = RightAnswers(
        cycle_mm=[r.cycle_mm for r in answers if r.cycle_mm is not None],
        spread_mm=[r.spread_mm for r in answers if r.spread_mm is not None],
        similarity=[r.similarity for r in answers if r.similarity is not None],
    )
    source = f"rprloc check, {len(answers)} right answers on {volumes} CTs"
    try:
        return Proposal(propose_thresholds(measured, source, present))
    except InputError as error:
        return Proposal(problem=str(error))
