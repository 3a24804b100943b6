"""The fine search begun again from around its start: where most searches end, and how steady it is.

A search that was led astray ends elsewhere when it begins elsewhere; one that has found the target
comes back to it. No other image and no other network is needed to notice the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..model.field import LatentField
from ..model.settings import SearchSettings
from .estimate import Agreement, Estimate, StackedExamples, fewer_points, fine_estimate, searched
from .voting import Consensus

#: How far off a search begins again, along each axis and both ways.
SHIFT_MM = 22.0
#: Searches that end about so far from each other agree.
AGREE_MM = 5.0
#: Points beside the key points that take part in a search that is begun again (time).
CONTEXT_POINTS = 72
#: Rounds of the mean shift, which moves less than 0.1 mm after them.
ROUNDS = 10


def steady_estimate(
    field: LatentField,
    rows: StackedExamples,
    coarse: Consensus,
    search: SearchSettings,
    match_weight: float,
) -> Estimate:
    """The fine estimate in which most of seven searches agree, and how far apart they end.

    The estimate is the mean of the searches that agree most; those whose matches fit each other
    count more. For the arguments see ``fine_estimate``; the field has to reach some 60 mm beyond
    the coarse positions.
    """
    found = fine_estimate(field, rows, coarse, search, match_weight)
    if rows.fine is None:
        return found
    fewer, index = fewer_points(rows, CONTEXT_POINTS)
    position = coarse.position[index]
    starts = position + _shifts(position)[:, None]
    again = searched(field, fewer, starts, search, match_weight)
    return replace(
        _agreed([found, *again]), coarse_points=found.coarse_points, unsteady_mm=_apart(again)
    )


def _shifts(like: Tensor) -> Tensor:
    """(6, 3) mm: both ways along every axis."""
    axes = SHIFT_MM * torch.eye(3, device=like.device)
    return torch.cat([axes, -axes])


def _centres(estimates: Sequence[Estimate]) -> Tensor:
    return torch.stack([e.points.mean(0) for e in estimates])


def _apart(estimates: Sequence[Estimate]) -> float:
    """Median distance of the estimates from their median."""
    centres = _centres(estimates)
    return float((centres - centres.median(0).values).norm(dim=1).median())


def _agreed(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of the estimates around the place where they are densest (mean shift)."""
    centres = _centres(estimates)
    trust = centres.new_tensor([1.0 / (1.0 + _matched(e).apart_mm) for e in estimates])
    place = centres[int((_nearness(centres[:, None], centres) * trust).sum(1).argmax())]
    share = trust
    for _ in range(ROUNDS):
        share = trust * _nearness(place, centres)
        share = share / share.sum()
        place = share @ centres

    def mean(values: Sequence[float]) -> float:
        return float(share @ share.new_tensor(values))

    matches = [_matched(e) for e in estimates]
    return replace(
        estimates[0],
        points=torch.einsum("s,s...->...", share, torch.stack([e.points for e in estimates])),
        each=torch.einsum("s,s...->...", share, torch.stack([e.each for e in estimates])),
        similarity=mean([e.similarity or 0.0 for e in estimates]),
        matched=Agreement(
            mean([m.apart_mm for m in matches]),
            mean([m.vague_mm for m in matches]),
            mean([m.similarity for m in matches]),
        ),
    )


def _nearness(place: Tensor, centres: Tensor) -> Tensor:
    weight: Tensor = torch.exp(-0.5 * (centres - place).square().sum(-1) / AGREE_MM**2)
    return weight


def _matched(estimate: Estimate) -> Agreement:
    assert estimate.matched is not None
    return estimate.matched
