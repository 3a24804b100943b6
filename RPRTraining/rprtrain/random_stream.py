"""Random numbers that depend on a seed and a step only, so that a resumed training goes on as if never interrupted."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


class RandomStream:
    """A stream of random numbers keyed by any values, e.g. ``RandomStream(seed, "coarse", step)``."""

    def __init__(self, *key: object) -> None:
        digest = hashlib.sha256(repr(key).encode()).digest()
        self.generator = torch.Generator()
        self.generator.manual_seed(int.from_bytes(digest[:7], "big"))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number in [low, high)."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.uniform() < probability

    def integer(self, stop: int) -> int:
        """One of 0 .. stop-1."""
        return int(torch.randint(stop, (), generator=self.generator))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32."""
        return torch.randn(*shape, generator=self.generator)

    def choose(self, total: int, count: int) -> Tensor:
        """``count`` different indices below ``total`` (all of them, shuffled, if there are fewer)."""
        return torch.randperm(total, generator=self.generator)[:count]
