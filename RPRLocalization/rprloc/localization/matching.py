"""Matching of local descriptors around a coarse estimate, to sub-cell precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..model.field import LatentField
from ..model.settings import MatchSettings


@dataclass(frozen=True)
class Match:
    """Where descriptors fit best.

    Attributes:
        position: (L, 3) LPS mm, the mean of the match's distribution over the cells.
        spread: (L,) mm, its standard deviation: small where the match is unambiguous.
        similarity: (L,) its mean cosine similarity.
    """

    position: Tensor
    spread: Tensor
    similarity: Tensor


def match_descriptors(
    field: LatentField, support: Tensor, estimate: Tensor, settings: MatchSettings, chunk: int = 64
) -> Match:
    """Soft-argmax of descriptor similarity and distance prior over the cells around each estimate.

    Args:
        field: of the fine network.
        support: (L, E, D) descriptors of the examples, not normalized; their similarities are
            averaged.
        estimate: (L, 3) LPS mm, where the search begins.
        settings: radius, temperature and prior of the search.
        chunk: points handled at once (memory).
    """
    wanted = F.normalize(support, dim=-1).mean(1)
    window = _window(settings.radius_mm, field.cell_mm, estimate.device)

    parts = [
        _match(field, w, e, window, settings)
        for w, e in zip(wanted.split(chunk), estimate.split(chunk), strict=True)
    ]

    return Match(
        torch.cat([p.position for p in parts]),
        torch.cat([p.spread for p in parts]),
        torch.cat([p.similarity for p in parts]),
    )


def _window(radius_mm: float, cell_mm: float, device: torch.device) -> Tensor:
    """(W, 3) integer cell offsets z, y, x within the radius."""
    reach = int(radius_mm // cell_mm) + 1
    axis = torch.arange(-reach, reach + 1, device=device)
    offsets = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    return offsets[offsets.float().norm(dim=1) * cell_mm <= radius_mm + cell_mm]


def _match(
    field: LatentField, wanted: Tensor, estimate: Tensor, window: Tensor, settings: MatchSettings
) -> Match:
    described = field.unit_descriptors
    size = torch.tensor(described.shape[:3], device=estimate.device)
    middle = field.to_index(estimate).round().long()
    index = middle[:, None] + window[None]
    inside = ((index >= 0) & (index < size)).all(-1)
    index = index.clamp_min(0).minimum(size - 1)

    found = described[index[..., 0], index[..., 1], index[..., 2]]
    similarity = torch.einsum("lwd,ld->lw", found, wanted)

    position = index.flip(-1).float() * field.cell_mm + field.origin
    distance = (position - estimate[:, None]).square().sum(-1)
    score = similarity / settings.temperature - 0.5 * distance / settings.prior_mm**2
    score = score.masked_fill(~inside, float("-inf"))

    # Of cells that are all outside, softmax would make NaN: there the estimate is kept.
    nowhere = ~inside.any(1)
    weight = torch.softmax(score.masked_fill(nowhere[:, None], 0.0), dim=1)

    best = (weight[..., None] * position).sum(1)
    spread = (weight * (position - best[:, None]).square().sum(-1)).sum(1).sqrt()

    return Match(
        torch.where(nowhere[:, None], estimate, best),
        spread.masked_fill(nowhere, settings.radius_mm),
        (weight * similarity).sum(1).masked_fill(nowhere, 0.0),
    )
