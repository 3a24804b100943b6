"""One training step: two random views, of one CT or of two, their latent fields, and the losses between all pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import StageConfig
from .dataset import TrainingVolume
from .dice import Dice
from .losses import PairErrors, contrast_loss, pair_loss
from .views import BODY_HU, View, make_view, sample_field

LEAST_POINTS = 16
WITHIN_WEIGHT = 0.5


@dataclass(frozen=True)
class StepResult:
    """Loss (scalar, differentiable), mean errors in mm of the pairs across the two views, and cells of both fields."""

    loss: Tensor
    near_mm: float
    mean_mm: float
    cells: int


@dataclass(frozen=True)
class Embedded:
    """A view and its field (1, 3 + descriptor, d, h, w)."""

    view: View
    field: Tensor
    stage: StageConfig

    def at(self, u: Tensor) -> Tensor:
        """Field values (n, 3 + descriptor) at view voxels (n, 3), trilinear."""
        net = self.stage.net
        return sample_field(self.field, (u - net.first_cell) / net.stride)

    def body_cells(self) -> Tensor:
        """(n, 3) view voxels of the centres of the cells that hold tissue."""
        net = self.stage.net
        full = F.avg_pool3d((self.view.hu > BODY_HU).float(), net.stride)[0, 0] > 0.2
        return torch.nonzero(full).float() * net.stride + net.first_cell


def embed(net: nn.Module, view: View, stage: StageConfig) -> Embedded:
    """Run the network on a view: bfloat16 where the device is fast at it, latents in float32."""
    device = view.hu.device
    with torch.autocast(device.type, torch.bfloat16):
        field = net(view.hu)
    return Embedded(view, field.float(), stage)


@dataclass(frozen=True)
class Partner:
    """Another patient: its CT, and the map of source voxels (n, 3) of the first CT to source voxels of this one."""

    volume: TrainingVolume
    carry: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scene:
    """Two views (one per CT, or both of one) and the map from source voxels of the first to those of the second."""

    views: tuple[View, View]
    carry: Callable[[Tensor], Tensor]
    focus: Tensor

    def points(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The points (n, 3) of the first source in either source."""
        return source, self.carry(source)


def _same(points: Tensor) -> Tensor:
    return points


def draw_points(volume: TrainingVolume, count: int, focus: Tensor, reach: float, dice: Dice) -> Tensor:
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


def make_scene(volume: TrainingVolume, partner: Partner | None, stage: StageConfig, dice: Dice) -> Scene:
    """Two views around one random body point: both of ``volume``, or the second of the partner's CT."""
    if partner is not None:
        candidates = volume.body[dice.choose(len(volume.body), 64).to(volume.body.device)].float()
        there = partner.carry(candidates)
        last = torch.tensor(partner.volume.hu.shape, dtype=torch.float32, device=there.device) - 1.0
        shown = torch.nonzero(((there >= 0) & (there <= last)).all(-1))[:, 0]
        if len(shown):
            focus, goal = candidates[shown[0]], there[shown[0]]
            first = make_view(volume.hu, focus.cpu(), stage, dice)
            return Scene((first, make_view(partner.volume.hu, goal.cpu(), stage, dice)), partner.carry, focus)
    focus = volume.body[dice.integer(len(volume.body))].float().cpu()
    views = (make_view(volume.hu, focus, stage, dice), make_view(volume.hu, focus, stage, dice))
    return Scene(views, _same, focus.to(volume.hu.device))


def cross_offsets(points: Tensor, query: View, cells: Tensor, spacing: float) -> Tensor:
    """Eq. 1 across views: offsets (Q, S, 3) mm (x, y, z) from query cells to source points, in the query's frame."""
    target = query.from_source(points)
    return ((target[None] - cells[:, None]) * spacing).flip(-1)


def run_step(
    net: nn.Module, volume: TrainingVolume, stage: StageConfig, dice: Dice, partner: Partner | None = None
) -> StepResult | None:
    """Losses of one CT (and, with a partner, of pairs across the two), or None where the views hold too little."""
    scene = make_scene(volume, partner, stage, dice)
    points = scene.points(draw_points(volume, 2 * stage.supports, scene.focus, max(stage.crop) / 2.0, dice))
    fields = [embed(net, view, stage) for view in scene.views]
    places = [view.from_source(p) for view, p in zip(scene.views, points, strict=True)]
    inside = [view.contains(u) for view, u in zip(scene.views, places, strict=True)]
    cells = [field.body_cells() for field in fields]
    cells = [c[dice.choose(len(c), stage.queries).to(c.device)] for c in cells]
    if min(int(i.sum()) for i in inside) < LEAST_POINTS or min(len(c) for c in cells) < LEAST_POINTS:
        return None
    loss = torch.zeros((), device=volume.hu.device)
    across = []
    for s in (0, 1):
        keep = torch.nonzero(inside[s])[:, 0]
        keep = keep[dice.choose(len(keep), stage.supports).to(keep.device)]
        support = fields[s].at(places[s][keep])[:, :3]
        for q in (0, 1):
            if q == s and fields[s].view.cut:
                continue
            errors = _pairs(support, points[q][keep], fields[q], cells[q])
            loss = loss + (errors.loss if q != s else WITHIN_WEIGHT * errors.loss)
            if q != s:
                across.append(errors)
    if stage.net.descriptor:
        loss = loss + stage.descriptor_weight * _contrast(fields, places, inside, points[0])
    seen = sum(field.field[0, 0].numel() for field in fields)
    return StepResult(loss, sum(e.near_mm for e in across) / 2, sum(e.mean_mm for e in across) / 2, seen)


def _pairs(support: Tensor, points: Tensor, query: Embedded, cells: Tensor) -> PairErrors:
    """Loss of all pairs of support latents (S, 3) at source points (S, 3) and query cells (Q, 3)."""
    stage = query.stage
    offsets = cross_offsets(points, query.view, cells, stage.spacing)
    latents = query.at(cells)[:, :3]
    weights = (stage.loss_floor_mm, stage.loss_slope, stage.reach_mm)
    return pair_loss(support, latents, offsets, stage.range_mm, *weights)


def _contrast(fields: list[Embedded], places: list[Tensor], inside: list[Tensor], points: Tensor) -> Tensor:
    """Contrastive loss of the points that both views show; zero where there are too few."""
    both = inside[0] & inside[1]
    if int(both.sum()) < LEAST_POINTS:
        return torch.zeros((), device=points.device)
    values = [f.at(u[both])[:, 3:] for f, u in zip(fields, places, strict=True)]
    stage = fields[0].stage
    return contrast_loss(values[0], values[1], points[both] * stage.spacing, stage.temperature)
