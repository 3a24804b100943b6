"""Random numbers that depend on a seed and a step only.

A resumed training therefore goes on as if it had never been interrupted.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

KEY_BYTES = 7  # a generator's seed is below 2^63


class RandomStream:
    """A stream of random numbers keyed by any values.

    Example:
        ``RandomStream(seed, "coarse", step).uniform(-1.0, 1.0)`` is the same number on every
        machine and in every run.
    """

    def __init__(self, *key: object) -> None:
        digest = hashlib.sha256(repr(key).encode()).digest()
        self.generator = torch.Generator()
        self.generator.manual_seed(int.from_bytes(digest[:KEY_BYTES], "big"))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number in [low, high)."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.uniform() < probability

    def integer(self, stop: int) -> int:
        """One of 0 .. stop-1."""
        return int(torch.randint(stop, (), generator=self.generator))

    def integer_between(self, low: int, high: int) -> int:
        """One of low .. high, both included."""
        return low + self.integer(high - low + 1)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32."""
        return torch.randn(*shape, generator=self.generator)

    def choose(self, total: int, count: int) -> Tensor:
        """``count`` different indices below ``total``; all of them, shuffled, if too few."""
        return torch.randperm(total, generator=self.generator)[:count]
