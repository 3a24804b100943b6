"""The averaged weights with the best validation, for trainings that are stopped early."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from .validate import Validation


@dataclass(frozen=True)
class Best:
    """Weights and their figures.

    Attributes:
        step: when they were validated. phase: of the training; figures of different phases (pairs of one patient only,
            pairs across patients too) cannot be compared.
        weights: state of the averaged network, on the training's device.
    """

    step: int
    phase: int
    validation: Validation
    weights: dict[str, Tensor]

    def to_state(self) -> dict[str, Any]:
        """For the checkpoint."""
        figures = asdict(self.validation)
        return {"step": self.step, "phase": self.phase, "validation": figures, "weights": self.weights}

    @classmethod
    def from_state(cls, state: Any) -> Best:
        """Inverse of ``to_state``."""
        return cls(int(state["step"]), int(state["phase"]), Validation(**state["validation"]), state["weights"])


def score(validation: Validation) -> float:
    """What is compared, in mm: the descriptors' error where there are some, because they have the last word at use."""
    return validation.pair_mm if validation.match_mm is None else validation.match_mm


def better(best: Best | None, step: int, phase: int, validation: Validation, net: nn.Module) -> Best | None:
    """The better of ``best`` and the network just validated; that of the later phase where the phases differ."""
    if best is not None and best.phase == phase and not score(validation) < score(best.validation):
        return best
    if math.isnan(score(validation)):
        return best
    return Best(step, phase, validation, copy.deepcopy(net.state_dict()))
