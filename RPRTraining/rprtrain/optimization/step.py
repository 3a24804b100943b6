"""One training step: two random views, of one CT or of two, their latent fields, and the losses between all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rprloc.model.field import TISSUE_HU

from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from ..views.view import View, sample_field
from ..views.view_pair import Partner, cross_offsets, draw_points, make_view_pair
from .losses import PairErrors, contrast_loss, pair_loss

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
class ViewField:
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
        full = F.avg_pool3d((self.view.hu > TISSUE_HU).float(), net.stride)[0, 0] > 0.2
        return torch.nonzero(full).float() * net.stride + net.first_cell


def embed(net: nn.Module, view: View, stage: StageConfig) -> ViewField:
    """Run the network on a view: bfloat16 where the device is fast at it, latents in float32."""
    device = view.hu.device
    with torch.autocast(device.type, torch.bfloat16):
        field = net(view.hu)
    return ViewField(view, field.float(), stage)


def run_step(
    net: nn.Module,
    volume: TrainingVolume,
    stage: StageConfig,
    dice: RandomStream,
    partner: Partner | None = None,
) -> StepResult | None:
    """Losses of one CT (and, with a partner, of pairs across the two), or None where the views hold too little."""
    scene = make_view_pair(volume, partner, stage, dice)
    points = scene.points(
        draw_points(volume, 2 * stage.supports, scene.focus, max(stage.crop) / 2.0, dice)
    )
    fields = [embed(net, view, stage) for view in scene.views]
    places = [view.from_source(p) for view, p in zip(scene.views, points, strict=True)]
    inside = [view.contains(u) for view, u in zip(scene.views, places, strict=True)]
    cells = [field.body_cells() for field in fields]
    cells = [c[dice.choose(len(c), stage.queries).to(c.device)] for c in cells]
    if (
        min(int(i.sum()) for i in inside) < LEAST_POINTS
        or min(len(c) for c in cells) < LEAST_POINTS
    ):
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
    return StepResult(
        loss, sum(e.near_mm for e in across) / 2, sum(e.mean_mm for e in across) / 2, seen
    )


def _pairs(support: Tensor, points: Tensor, query: ViewField, cells: Tensor) -> PairErrors:
    """Loss of all pairs of support latents (S, 3) at source points (S, 3) and query cells (Q, 3)."""
    stage = query.stage
    offsets = cross_offsets(points, query.view, cells, stage.spacing)
    latents = query.at(cells)[:, :3]
    weights = (stage.loss_floor_mm, stage.loss_slope, stage.reach_mm)
    return pair_loss(support, latents, offsets, stage.range_mm, *weights)


def _contrast(
    fields: list[ViewField], places: list[Tensor], inside: list[Tensor], points: Tensor
) -> Tensor:
    """Contrastive loss of the points that both views show; zero where there are too few."""
    both = inside[0] & inside[1]
    if int(both.sum()) < LEAST_POINTS:
        return torch.zeros((), device=points.device)
    values = [f.at(u[both])[:, 3:] for f, u in zip(fields, places, strict=True)]
    stage = fields[0].stage
    return contrast_loss(values[0], values[1], points[both] * stage.spacing, stage.temperature)
