"""Which part of the body each CT shows, and how often to draw it so that every part is seen alike.

Most CTs of a collection show the same part, and a network would learn little of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.dataset import TrainingVolume
from .placement import Placement

# The body is divided along z into parts of this height.
PART_MM = 20.0
# Body points of a CT that are placed to see how far it reaches; outliers at its ends do not count.
POINTS, ENDS = 500, 0.01
# Rounds in which the weights come to rest, and how far they may be apart: a part that a single CT
# shows is not drawn so often that nothing but this CT is learnt of it.
ROUNDS, LARGEST, SMALLEST = 50, 2.5, 0.4
# CTs that do not show at least so much in common are no partners.
LEAST_COMMON_MM = 60.0


@dataclass(frozen=True)
class Coverage:
    """How far CTs reach along z of atlas space.

    Attributes:
        names: of the CTs.
        reach: (n, 2) lowest and highest z, mm.
        weights: (n,) how often to draw each, 1 in the mean.
    """

    names: tuple[str, ...]
    reach: Tensor
    weights: Tensor

    @classmethod
    def of(cls, volumes: Sequence[TrainingVolume], placements: Mapping[str, Placement]) -> Coverage:
        """The coverage of the CTs that have a place."""
        placed = [v for v in volumes if v.name in placements]
        if not placed:
            return cls((), torch.zeros((0, 2)), torch.zeros(0))
        reach = torch.stack([_reach(v, placements[v.name]) for v in placed]).cpu()
        return cls(tuple(v.name for v in placed), reach, balanced_weights(reach))

    def weight_of(self, name: str, otherwise: float) -> float:
        """The weight of a CT; ``otherwise`` without a place."""
        return float(self.weights[self.names.index(name)]) if name in self.names else otherwise

    def partner_weights(self, name: str) -> Tensor:
        """(n,) how often to draw each as the partner of ``name``: by what both show."""
        own = self.names.index(name)
        low = self.reach[:, 0].maximum(self.reach[own, 0])
        common = self.reach[:, 1].minimum(self.reach[own, 1]) - low
        weights = torch.where(common >= LEAST_COMMON_MM, common * self.weights, 0.0)
        weights[own] = 0.0
        return weights


def _reach(volume: TrainingVolume, placement: Placement) -> Tensor:
    """(2,) lowest and highest z in atlas space."""
    step = max(1, len(volume.body) // POINTS)
    z = placement.to_atlas(volume.to_mm(volume.body[::step].float()))[:, 2]
    return torch.stack([z.quantile(ENDS), z.quantile(1.0 - ENDS)])


def balanced_weights(reach: Tensor) -> Tensor:
    """(n,) weights, 1 in the mean, under which all parts of the body are shown about alike.

    A drawn CT shows one place that it reaches, evenly: one of half the height shows each of its
    parts twice as often.

    Args:
        reach: (n, 2) lowest and highest z of each CT, mm.
    """
    edges = torch.arange(float(reach[:, 0].min()), float(reach[:, 1].max()) + PART_MM, PART_MM)
    low, high = edges[:-1], edges[1:]
    shown = (high.minimum(reach[:, 1:]) - low.maximum(reach[:, :1])).clamp_min(0.0)
    shown = shown / shown.sum(1, keepdim=True).clamp_min(1e-6)

    weights = torch.ones(len(reach))
    for _ in range(ROUNDS):
        often = (weights[:, None] * shown).sum(0)
        wanted = torch.where(often > 0, (often.mean() / often.clamp_min(1e-9)).sqrt(), 1.0)
        weights = weights * (shown * wanted).sum(1)
        weights = (weights / weights.mean()).clamp(SMALLEST, LARGEST)
    return weights / weights.mean()
