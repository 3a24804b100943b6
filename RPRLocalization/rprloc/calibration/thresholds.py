"""Thresholds for a new model, from answers that are known to be right.

A threshold of one model says nothing of another: its networks, spacings and body region decide how
far votes scatter. ``rprloc check`` measures the model's own doubts on held-out CTs, where points of
one view of a CT are found in another view of it, so that the right answer is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..model.settings import ConfidenceThresholds

#: As many right answers as a quantile of 1 % needs to be more than one sample's accident.
LEAST_ANSWERS = 100
#: Share of right answers that each measure may call doubtful.
FALSE_ALARMS = 0.01
#: The limits of han-ct lie this much above the quantile that they were chosen from (17 and 14 mm to
#: 20 mm): views of one CT agree better than patients do.
HEADROOM = 1.25
#: Under every limit in mm: one of 0 would doubt all answers of a model that is perfect on its CTs.
LEAST_MM = 0.1


@dataclass(frozen=True)
class RightAnswers:
    """The measures of doubt of answers that were right, one entry per answer.

    Attributes:
        cycle_mm: cycle-consistency errors. spread_mm: of the votes.
        similarity: of the matched descriptors; empty without a fine network.
    """

    cycle_mm: Sequence[float]
    spread_mm: Sequence[float]
    similarity: Sequence[float] = ()


def propose_thresholds(
    answers: RightAnswers, source: str, usual: ConfidenceThresholds | None = None
) -> ConfidenceThresholds:
    """Propose the thresholds of a model.

    Each is the 99 % quantile of its measure over right answers (for the similarity the 1 %
    quantile), with a quarter of headroom. What cannot be measured so, the limits of missing
    surroundings and of points beyond the body, is taken from ``usual``.

    Args:
        answers: at least ``LEAST_ANSWERS`` of them.
        source: which CTs they come from, for the card.
        usual: the model's present thresholds; the defaults if None.

    Raises:
        InputError: there are too few answers, or some are not numbers.
    """
    usual = ConfidenceThresholds() if usual is None else usual
    cycle = _quantile("cycle error", answers.cycle_mm, 1.0 - FALSE_ALARMS)
    spread = _quantile("spread", answers.spread_mm, 1.0 - FALSE_ALARMS)

    similarity = usual.similarity
    if answers.similarity:
        lowest = _quantile("similarity", answers.similarity, FALSE_ALARMS)
        similarity = float(np.clip(lowest / HEADROOM, 0.01, 1.0))

    return replace(
        usual,
        cycle_mm=round(HEADROOM * max(cycle, LEAST_MM), 1),
        spread_mm=round(HEADROOM * max(spread, LEAST_MM), 1),
        similarity=round(similarity, 3),
        source=source,
    )


def _quantile(name: str, values: Sequence[float], share: float) -> float:
    measured = np.asarray(values, dtype=np.float64)
    if len(measured) < LEAST_ANSWERS:
        raise InputError(
            f"thresholds need {LEAST_ANSWERS} right answers, but the {name} was measured on "
            f"{len(measured)}: give more CTs"
        )
    if not np.isfinite(measured).all():
        raise InputError(f"the {name} of some answers is not a number")

    return float(np.quantile(measured, share))
