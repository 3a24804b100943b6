"""Exponential moving average of a network's weights: what is validated and exported."""

from __future__ import annotations

import copy

import torch
from torch import nn


class AverageModel:
    """A copy of ``net`` whose weights and statistics follow those of ``net`` slowly."""

    def __init__(self, net: nn.Module, decay: float = 0.998) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Move towards ``net``; faster in the first steps."""
        keep = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)
