"""The averaged weights, which are validated and exported, and the best of them so far."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .validation import Validation

# A mean over about the last 500 steps.
DECAY = 0.998


class ExponentialMovingAverage:
    """A copy of ``net`` whose weights and statistics follow those of ``net`` slowly."""

    def __init__(self, net: nn.Module, decay: float = DECAY) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Move towards ``net``; faster in the first steps, whose weights are soon worth little."""
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
        step: when they were validated.
        phase: of the training; figures of different phases (pairs of one patient only, pairs across
            patients too) cannot be compared.
        validation: the figures.
        weights: state of the averaged network, on the training's device.
    """

    step: int
    phase: int
    validation: Validation
    weights: dict[str, Tensor]

    def to_state(self) -> dict[str, Any]:
        """What the checkpoint holds of it."""
        return {
            "step": self.step,
            "phase": self.phase,
            "validation": asdict(self.validation),
            "weights": self.weights,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> BestCheckpoint:
        """Inverse of ``to_state``."""
        validation = Validation(**state["validation"])
        return cls(int(state["step"]), int(state["phase"]), validation, state["weights"])


def selection_error(validation: Validation) -> float:
    """The error in mm by which weights are compared.

    That of the descriptors where there are some, because they have the last word at use.
    """
    return validation.pair_mm if validation.match_mm is None else validation.match_mm


def better(
    best: BestCheckpoint | None, step: int, phase: int, validation: Validation, net: nn.Module
) -> BestCheckpoint | None:
    """The better of ``best`` and the network just validated; the latter in a new phase."""
    error = selection_error(validation)
    if math.isnan(error):
        return best
    if best is not None and best.phase == phase and error >= selection_error(best.validation):
        return best
    return BestCheckpoint(step, phase, validation, copy.deepcopy(net.state_dict()))
