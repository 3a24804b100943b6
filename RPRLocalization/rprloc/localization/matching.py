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
    inside = _inside(middle, window, size)
    # One flat index, several times faster than one per axis; outside it reads anything.
    steps = torch.stack([size[1] * size[2], size[2], torch.ones_like(size[2])])
    flat = (middle * steps).sum(1)[:, None] + (window * steps).sum(1)[None]
    flat = flat.clamp(0, int(size.prod()) - 1)
    found = described.flatten(0, 2).index_select(0, flat.flatten()).view(*flat.shape, -1)
    similarity = torch.bmm(found, wanted[..., None])[..., 0]

    # All places below are relative to the cell in the middle of the search.
    start = middle.flip(-1).float() * field.cell_mm + field.origin
    offset = window.flip(-1).float() * field.cell_mm
    squares = offset.square().sum(1)
    off = estimate - start
    distance = squares[None] - 2.0 * off @ offset.T + off.square().sum(1)[:, None]
    score = similarity / settings.temperature - 0.5 * distance / settings.prior_mm**2
    score = score.masked_fill(~inside, float("-inf"))

    # Of cells that are all outside, softmax would make NaN: there the estimate is kept.
    nowhere = ~inside.any(1)
    weight = torch.softmax(score.masked_fill(nowhere[:, None], 0.0), dim=1)

    best = weight @ offset
    # The squares are at most some 1000 mm^2, so that their difference keeps its digits.
    spread = (weight @ squares - best.square().sum(1)).clamp_min(0.0).sqrt()

    return Match(
        torch.where(nowhere[:, None], estimate, start + best),
        spread.masked_fill(nowhere, settings.radius_mm),
        (weight * similarity).sum(1).masked_fill(nowhere, 0.0),
    )


def _inside(middle: Tensor, window: Tensor, size: Tensor) -> Tensor:
    """Which cells (L, W) of a window around ``middle`` (L, 3) a field of a size (3,) has."""
    inside = torch.ones((len(middle), len(window)), dtype=torch.bool, device=middle.device)
    for axis in range(3):
        at = middle[:, axis, None] + window[None, :, axis]
        inside &= (at >= 0) & (at < size[axis])
    return inside
