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

PointMap = Callable[[Tensor], Tensor]

# Points are drawn near the views' focus, unless fewer than this lie there.
LEAST_NEAR = 64
# Half of the points lie in so many tight clusters: near pairs are rare among points that are drawn
# evenly, and they are what the fine network is used for.
CLUSTERS = 16
CLUSTER_VOXELS = 4.0
# Body points tried until one is found that the partner's CT shows too.
FOCUS_CANDIDATES = 64


@dataclass(frozen=True)
class Partner:
    """Another patient.

    Attributes:
        volume: its CT.
        map_points: source voxels (n, 3) of the first CT -> the same anatomy in this one, (n, 3).
    """

    volume: TrainingVolume
    map_points: PointMap


@dataclass(frozen=True)
class ViewPair:
    """Two views, one per CT or both of one.

    Attributes:
        views: the first and the second.
        map_points: source voxels (n, 3) of the first CT -> those of the second.
        focus: (3,) source voxel of the first CT around which both were made.
    """

    views: tuple[View, View]
    map_points: PointMap
    focus: Tensor

    def points(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The points (n, 3) of the first source in either source."""
        return source, self.map_points(source)


def draw_points(
    volume: TrainingVolume, count: int, focus: Tensor, reach: float, rng: RandomStream
) -> Tensor:
    """Draw points in the body: half spread over everything near a focus, half in tight clusters.

    Args:
        volume: the CT.
        count: how many.
        focus: (3,) source voxel.
        reach: voxels from the focus, along every axis.
        rng: where the random numbers come from.

    Returns:
        (count, 3) source voxels, z, y, x.
    """
    body = volume.body.float()
    near = body[((body - focus).abs() < reach).all(-1)]
    if len(near) < LEAST_NEAR:
        near = body

    spread = near[rng.choose(len(near), count // 2).to(near.device)]
    seeds = spread[rng.choose(len(spread), CLUSTERS).to(near.device)]
    clustered = count - len(spread)
    jitter = rng.normal(clustered, 3).to(near.device) * CLUSTER_VOXELS
    owner = torch.arange(clustered, device=near.device) % len(seeds)
    return torch.cat([spread, seeds[owner] + jitter])


def make_view_pair(
    volume: TrainingVolume, partner: Partner | None, stage: StageConfig, rng: RandomStream
) -> ViewPair:
    """Two views around one random body point: of ``volume``, or the second of the partner's CT.

    Where the partner's CT shows none of the points that are tried, both are of ``volume``.
    """
    if partner is not None:
        tried = rng.choose(len(volume.body), FOCUS_CANDIDATES).to(volume.body.device)
        candidates = volume.body[tried].float()
        mapped = partner.map_points(candidates)
        shown = torch.nonzero(_inside(mapped, partner.volume))[:, 0]
        if len(shown):
            focus, partner_focus = candidates[shown[0]], mapped[shown[0]]
            first = make_view(volume.hu, focus.cpu(), stage, rng)
            second = make_view(partner.volume.hu, partner_focus.cpu(), stage, rng)
            return ViewPair((first, second), partner.map_points, focus)

    focus = volume.body[rng.integer(len(volume.body))].float().cpu()
    views = (make_view(volume.hu, focus, stage, rng), make_view(volume.hu, focus, stage, rng))
    return ViewPair(views, _same, focus.to(volume.hu.device))


def cross_offsets(points: Tensor, query: View, cells: Tensor, spacing: float) -> Tensor:
    """Eq. 1 across views, ``d'_qs = (c_s - c_q) * e``, in the frame of the query's view.

    The support point is mapped into the query's view first, so that both are voxels of one image.

    Args:
        points: (S, 3) source voxels of the support points.
        query: the view that is read.
        cells: (Q, 3) its voxels at which it is read.
        spacing: mm per voxel.

    Returns:
        (Q, S, 3) mm from query cells to support points, x, y, z.
    """
    target = query.from_source(points)
    return ((target[None] - cells[:, None]) * spacing).flip(-1)


def _inside(voxels: Tensor, volume: TrainingVolume) -> Tensor:
    last = torch.tensor(volume.hu.shape, dtype=torch.float32, device=voxels.device) - 1.0
    return ((voxels >= 0) & (voxels <= last)).all(-1)


def _same(points: Tensor) -> Tensor:
    return points
