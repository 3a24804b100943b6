"""Votes: where the cells of a query say that a support latent lies (Eq. 2), and their consensus."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.field import LatentField
from ..model.relative_offset import relative_offset
from ..model.settings import SearchSettings


@dataclass(frozen=True)
class Consensus:
    """Agreed positions of L targets.

    Attributes:
        position: (L, 3) x, y, z LPS mm.
        spread: (L,) mm, weighted root mean square distance of the votes from the position.
    """

    position: Tensor
    spread: Tensor


def vote(support: Tensor, query: Tensor, cells: Tensor, range_mm: float) -> Tensor:
    """Return where every cell says that every support point lies: ``c + r * tanh(p_s - p_c)``.

    Eq. 2 of the paper for all pairs.

    Args:
        support: (L, 3) latents ``p_s`` of the points sought.
        query: (N, 3) latents ``p_c`` of the cells.
        cells: (N, 3) LPS mm, their positions ``c``.
        range_mm: ``r``.

    Returns:
        Voted positions (L, N, 3), LPS mm.
    """
    return cells[None] + relative_offset(support[:, None], query[None], range_mm)


def dense_consensus(
    field: LatentField,
    support: Tensor,
    range_mm: float,
    bandwidths_mm: tuple[float, ...] = SearchSettings().vote_bandwidths_mm,
    chunk: int = 256,
) -> Consensus:
    """Every body cell votes; cells near the last estimate count more in each round.

    The error of a vote grows with its distance, so a round weighs the cell ``c`` by
    ``exp(-|c - estimate|^2 / (2 n^2))`` with the round's bandwidth ``n``. The start is the
    componentwise median of all votes, which stray cells cannot move.

    Args:
        field: of the query.
        support: (L, 3) latents.
        range_mm: ``r`` of Eq. 2.
        bandwidths_mm: one round each.
        chunk: support latents handled at once (memory).
    """
    cells, values = field.body_cells()
    latents = values[:, :3].contiguous()
    parts = [_consensus(s, latents, cells, range_mm, bandwidths_mm) for s in support.split(chunk)]
    return Consensus(torch.cat([p.position for p in parts]), torch.cat([p.spread for p in parts]))


def _consensus(
    support: Tensor,
    latents: Tensor,
    cells: Tensor,
    range_mm: float,
    bandwidths_mm: tuple[float, ...],
) -> Consensus:
    voted = vote(support, latents, cells, range_mm)
    position = voted.median(dim=1).values

    weight = torch.full(voted.shape[:2], 1.0 / voted.shape[1], device=voted.device)
    for bandwidth in bandwidths_mm:
        distance = (cells[None] - position[:, None]).square().sum(-1)
        weight = torch.softmax(-0.5 * distance / bandwidth**2, dim=1)
        position = (weight[..., None] * voted).sum(1)

    spread = ((voted - position[:, None]).square().sum(-1) * weight).sum(1).sqrt()
    return Consensus(position, spread)


def multi_run_ensemble(
    steps: list[tuple[LatentField, Tensor, float]], starts: int, generator: torch.Generator
) -> Consensus:
    """Run the paper's multi-run ensemble (Sec. 2): the mean of K agents that start at random.

    Every agent starts at a cell of the body and is moved by the steps in turn, each by the offset
    of Eq. 2 that the network predicts where the agent is.

    Args:
        steps: per step the field to read, the support latents (L, 3), and ``r``.
        starts: K of the paper; the same starts serve all targets.
        generator: CPU generator, so that the starts do not depend on the device.
    """
    cells, _ = steps[0][0].body_cells()
    chosen = torch.randperm(len(cells), generator=generator)[:starts].to(cells.device)

    targets = len(steps[0][1])
    position = cells[chosen][None].expand(targets, -1, -1)
    for field, support, range_mm in steps:
        here = field.at(position.reshape(-1, 3))[:, :3].reshape(position.shape)
        position = position + relative_offset(support[:, None], here, range_mm)

    mean = position.mean(1)
    spread = (position - mean[:, None]).square().sum(-1).mean(1).sqrt()
    return Consensus(mean, spread)
