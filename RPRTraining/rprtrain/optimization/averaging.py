"""Exponential moving average of a network's weights: what is validated and exported."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .validation import Validation


class ExponentialMovingAverage:
    """A copy of ``net`` whose weights and statistics follow those of ``net`` slowly."""

    def __init__(self, net: nn.Module, decay: float = 0.998) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Move towards ``net``; faster in the first steps."""
        keep = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(
            self.net.state_dict().values(), net.state_dict().values(), strict=True
        ):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)


@dataclass(frozen=True)
class BestCheckpoint:
    """Weights and their figures.

    Attributes:
        step: when they were validated. phase: of the training; figures of different phases (pairs
            of one patient only, pairs across patients too) cannot be compared.
        weights: state of the averaged network, on the training's device.
    """

    step: int
    phase: int
    validation: Validation
    weights: dict[str, Tensor]

    def to_state(self) -> dict[str, Any]:
        """For the checkpoint."""
        figures = asdict(self.validation)
        return {
            "step": self.step,
            "phase": self.phase,
            "validation": figures,
            "weights": self.weights,
        }

    @classmethod
    def from_state(cls, state: Any) -> BestCheckpoint:
        """Inverse of ``to_state``."""
        return cls(
            int(state["step"]),
            int(state["phase"]),
            Validation(**state["validation"]),
            state["weights"],
        )


def score(validation: Validation) -> float:
    """What is compared, in mm: the descriptors' error where there are some, because they have the last word at use."""
    return validation.pair_mm if validation.match_mm is None else validation.match_mm


def better(
    best: BestCheckpoint | None, step: int, phase: int, validation: Validation, net: nn.Module
) -> BestCheckpoint | None:
    """The better of ``best`` and the network just validated; that of the later phase where the phases differ."""
    if best is not None and best.phase == phase and not score(validation) < score(best.validation):
        return best
    if math.isnan(score(validation)):
        return best
    return BestCheckpoint(step, phase, validation, copy.deepcopy(net.state_dict()))
