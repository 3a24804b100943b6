"""One training step: two random views, their latent fields, and the losses between all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rprloc.model.devices import fast_dtype
from rprloc.model.field import tissue_cells
from rprloc.model.relative_offset import sample_points

from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from ..views.view import View
from ..views.view_pair import Partner, ViewPair, cross_offsets, draw_points, make_view_pair
from .losses import PairErrors, contrast_loss, pair_loss

# Fewer points or cells than this say too little: the step is left out.
LEAST_POINTS = 16
# Pairs within one view are the easier half: both latents come from the same augmented image.
WITHIN_WEIGHT = 0.5


@dataclass(frozen=True)
class StepResult:
    """What one volume contributes to a step.

    Attributes:
        loss: scalar, differentiable.
        near_mm, mean_mm: mean errors of the pairs across the two views.
        cells: of both latent fields.
    """

    loss: Tensor
    near_mm: float
    mean_mm: float
    cells: int

    def figures(self) -> StepFigures:
        """The numbers to report, without the graph behind the loss."""
        return StepFigures(float(self.loss.detach()), self.near_mm, self.mean_mm, self.cells)


@dataclass(frozen=True)
class StepFigures:
    """What to report of one step: loss, errors in mm, and latent cells seen."""

    loss: float
    near_mm: float
    mean_mm: float
    cells: int


@dataclass(frozen=True)
class ViewField:
    """A view and its latent field, read at voxels of the view.

    As ``rprloc.model.field.LatentField`` is read in LPS mm. Which cells hold tissue is decided as
    there, so that the cells that are trained are those that vote.

    Attributes:
        view: the view.
        values: (1, 3 + descriptor, d, h, w) float32.
        stage: the settings that made it.
    """

    view: View
    values: Tensor
    stage: StageConfig

    def at(self, u: Tensor) -> Tensor:
        """Field values (n, 3 + descriptor) at view voxels (n, 3), trilinear."""
        net = self.stage.net
        return sample_points(self.values, (u - net.first_cell) / net.stride)

    def latents(self, u: Tensor) -> Tensor:
        """The latents ``p`` of Eq. 2, (n, 3), at view voxels (n, 3)."""
        return self.at(u)[:, :3]

    def descriptors(self, u: Tensor) -> Tensor:
        """The raw descriptors (n, descriptor) at view voxels (n, 3)."""
        return self.at(u)[:, 3:]

    def body_cells(self) -> Tensor:
        """(n, 3) view voxels of the centres of the cells that hold tissue."""
        net = self.stage.net
        index = torch.nonzero(tissue_cells(self.view.hu, net.stride))
        return index.float() * net.stride + net.first_cell


def embed(net: nn.Module, view: View, stage: StageConfig) -> ViewField:
    """Run the network on a view: in bfloat16 where the device is fast at it, latents in float32."""
    device = view.hu.device
    bfloat16 = fast_dtype(device) == torch.bfloat16
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        values = net(view.hu)
    return ViewField(view, values.float(), stage)


@dataclass(frozen=True)
class _Sample:
    """The points and cells of one view that enter the loss.

    Attributes:
        field: the view and its field.
        source: (n, 3) source voxels of the points in this view's own CT.
        places: (n, 3) the same points in the view. inside: (n,) whether the view shows them.
        cells: (Q, 3) view voxels.
    """

    field: ViewField
    source: Tensor
    places: Tensor
    inside: Tensor
    cells: Tensor

    @property
    def is_enough(self) -> bool:
        return min(int(self.inside.sum()), len(self.cells)) >= LEAST_POINTS


def run_step(
    net: nn.Module,
    volume: TrainingVolume,
    stage: StageConfig,
    rng: RandomStream,
    partner: Partner | None = None,
) -> StepResult | None:
    """Losses of one CT and, with a partner, of pairs across the two.

    Every point of either view is a support, every cell of either view a query: pairs across the
    views (Eq. 1 to 3 with an augmentation between), and pairs within a view that is not cut.

    Returns:
        None where the views hold too little.
    """
    pair = make_view_pair(volume, partner, stage, rng)
    samples = _samples(net, volume, pair, stage, rng)
    if not all(sample.is_enough for sample in samples):
        return None

    loss = torch.zeros((), device=volume.hu.device)
    across = []
    for s, support in enumerate(samples):
        keep = torch.nonzero(support.inside)[:, 0]
        keep = keep[rng.choose(len(keep), stage.supports).to(keep.device)]
        latents = support.field.latents(support.places[keep])

        for q, query in enumerate(samples):
            # Within one cut view, the cut itself would tell where a cell is.
            if q == s and support.field.view.cut:
                continue
            errors = _all_pairs(latents, query.source[keep], query)
            loss = loss + (errors.loss if q != s else WITHIN_WEIGHT * errors.loss)
            if q != s:
                across.append(errors)

    if stage.net.descriptor:
        loss = loss + stage.descriptor_weight * _contrast(*samples)
    near_mm, mean_mm = sum(e.near_mm for e in across) / 2, sum(e.mean_mm for e in across) / 2
    cells = sum(sample.field.values[0, 0].numel() for sample in samples)
    return StepResult(loss, near_mm, mean_mm, cells)


def _samples(
    net: nn.Module, volume: TrainingVolume, pair: ViewPair, stage: StageConfig, rng: RandomStream
) -> tuple[_Sample, _Sample]:
    """Points of the first CT in both views, and random cells that hold tissue of either."""
    drawn = draw_points(volume, 2 * stage.supports, pair.focus, stage.view_radius, rng)
    first, second = (
        _sample(embed(net, view, stage), points, rng)
        for view, points in zip(pair.views, pair.points(drawn), strict=True)
    )
    return first, second


def _sample(field: ViewField, points: Tensor, rng: RandomStream) -> _Sample:
    places = field.view.from_source(points)
    cells = field.body_cells()
    cells = cells[rng.choose(len(cells), field.stage.queries).to(cells.device)]
    return _Sample(field, points, places, field.view.contains(places), cells)


def _all_pairs(latents: Tensor, points: Tensor, query: _Sample) -> PairErrors:
    """Loss of all pairs of supports (latents and points of the query's CT, (S, 3)) and cells."""
    stage = query.field.stage
    offsets = cross_offsets(points, query.field.view, query.cells, stage.spacing)
    weights = (stage.loss_floor_mm, stage.loss_slope, stage.reach_mm)
    return pair_loss(latents, query.field.latents(query.cells), offsets, stage.range_mm, *weights)


def _contrast(first: _Sample, second: _Sample) -> Tensor:
    """Contrastive loss of the points that both views show; zero where there are too few."""
    both = first.inside & second.inside
    if int(both.sum()) < LEAST_POINTS:
        return torch.zeros((), device=both.device)
    stage = first.field.stage
    return contrast_loss(
        first.field.descriptors(first.places[both]),
        second.field.descriptors(second.places[both]),
        first.source[both] * stage.spacing,
        stage.temperature,
    )
