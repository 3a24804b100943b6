"""One training step: two random views of a CT, their latent fields, and the losses between all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import StageConfig
from .dataset import TrainingVolume
from .dice import Dice
from .losses import contrast_loss, pair_loss
from .views import BODY_HU, View, make_view, sample_field


@dataclass(frozen=True)
class StepResult:
    """Loss (scalar, differentiable) and mean errors in mm of the pairs across the two views."""

    loss: Tensor
    near_mm: float
    mean_mm: float


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


def pair_of_views(volume: TrainingVolume, stage: StageConfig, dice: Dice) -> tuple[View, View, Tensor]:
    """Two views around one random body point, and that point (source voxels)."""
    focus = volume.body[dice.integer(len(volume.body))].float().cpu()
    first = make_view(volume.hu, focus, stage, dice)
    second = make_view(volume.hu, focus, stage, dice)
    return first, second, focus.to(volume.hu.device)


def cross_offsets(points: Tensor, query: View, cells: Tensor, spacing: float) -> Tensor:
    """Eq. 1 across views: offsets (Q, S, 3) in mm (x, y, z) from query cells to the source points, in the query's frame."""
    target = query.from_source(points)
    return ((target[None] - cells[:, None]) * spacing).flip(-1)


def run_step(net: nn.Module, volume: TrainingVolume, stage: StageConfig, dice: Dice) -> StepResult | None:
    """Losses of one volume, or None where the two views hold too little of the body."""
    first, second, focus = pair_of_views(volume, stage, dice)
    points = draw_points(volume, 2 * stage.supports, focus, max(stage.crop) / 2.0, dice)
    fields = [embed(net, view, stage) for view in (first, second)]
    places = [view.from_source(points) for view in (first, second)]
    inside = [view.contains(u) for view, u in zip((first, second), places, strict=True)]
    cells = [field.body_cells() for field in fields]
    cells = [c[dice.choose(len(c), stage.queries).to(c.device)] for c in cells]
    if min(int(i.sum()) for i in inside) < 16 or min(len(c) for c in cells) < 16:
        return None
    loss = torch.zeros((), device=points.device)
    near, mean = [], []
    for s in (0, 1):
        keep = torch.nonzero(inside[s])[:, 0]
        keep = keep[dice.choose(len(keep), stage.supports).to(keep.device)]
        support = fields[s].at(places[s][keep])[:, :3]
        for q in (0, 1):
            if q == s and fields[s].view.cut:
                continue
            offsets = cross_offsets(points[keep], fields[q].view, cells[q], stage.spacing)
            latents = fields[q].at(cells[q])[:, :3]
            errors = pair_loss(
                support,
                latents,
                offsets,
                stage.range_mm,
                stage.loss_floor_mm,
                stage.loss_slope,
                stage.reach_mm,
            )
            loss = loss + (errors.loss if q != s else 0.5 * errors.loss)
            if q != s:
                near.append(errors.near_mm)
                mean.append(errors.mean_mm)
    if stage.net.descriptor:
        both = inside[0] & inside[1]
        if int(both.sum()) >= 16:
            values = [f.at(u[both])[:, 3:] for f, u in zip(fields, places, strict=True)]
            contrast = contrast_loss(values[0], values[1], points[both] * stage.spacing, stage.temperature)
            loss = loss + stage.descriptor_weight * contrast
    return StepResult(loss, sum(near) / 2, sum(mean) / 2)
