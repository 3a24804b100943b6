"""Two differently augmented views of one CT, or of two patients, and the points that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from .view import View, make_view


@dataclass(frozen=True)
class Partner:
    """Another patient: its CT, and the map of source voxels (n, 3) of the first CT to source voxels of this one."""

    volume: TrainingVolume
    carry: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ViewPair:
    """Two views (one per CT, or both of one) and the map from source voxels of the first to those of the second."""

    views: tuple[View, View]
    carry: Callable[[Tensor], Tensor]
    focus: Tensor

    def points(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The points (n, 3) of the first source in either source."""
        return source, self.carry(source)


def draw_points(
    volume: TrainingVolume, count: int, focus: Tensor, reach: float, dice: RandomStream
) -> Tensor:
    """(count, 3) source voxels in the body: half spread over everything near ``focus``, half in tight clusters."""
    body = volume.body.float()
    near = body[((body - focus).abs() < reach).all(-1)]
    if len(near) < 64:
        near = body
    spread = near[dice.choose(len(near), count // 2).to(near.device)]
    seeds = spread[dice.choose(len(spread), 16).to(near.device)]
    jitter = dice.normal(count - len(spread), 3).to(near.device) * 4.0
    owner = torch.arange(count - len(spread), device=near.device) % len(seeds)
    return torch.cat([spread, seeds[owner] + jitter])


def make_view_pair(
    volume: TrainingVolume, partner: Partner | None, stage: StageConfig, dice: RandomStream
) -> ViewPair:
    """Two views around one random body point: both of ``volume``, or the second of the partner's CT."""
    if partner is not None:
        candidates = volume.body[dice.choose(len(volume.body), 64).to(volume.body.device)].float()
        there = partner.carry(candidates)
        last = torch.tensor(partner.volume.hu.shape, dtype=torch.float32, device=there.device) - 1.0
        shown = torch.nonzero(((there >= 0) & (there <= last)).all(-1))[:, 0]
        if len(shown):
            focus, goal = candidates[shown[0]], there[shown[0]]
            first = make_view(volume.hu, focus.cpu(), stage, dice)
            return ViewPair(
                (first, make_view(partner.volume.hu, goal.cpu(), stage, dice)), partner.carry, focus
            )
    focus = volume.body[dice.integer(len(volume.body))].float().cpu()
    views = (make_view(volume.hu, focus, stage, dice), make_view(volume.hu, focus, stage, dice))
    return ViewPair(views, _same, focus.to(volume.hu.device))


def cross_offsets(points: Tensor, query: View, cells: Tensor, spacing: float) -> Tensor:
    """Eq. 1 across views: offsets (Q, S, 3) mm (x, y, z) from query cells to source points, in the query's frame."""
    target = query.from_source(points)
    return ((target[None] - cells[:, None]) * spacing).flip(-1)


def _same(points: Tensor) -> Tensor:
    return points
