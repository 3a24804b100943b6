"""Pair error on held-out CTs, beside that of a predictor that always answers the mean offset."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from ..views.view_pair import cross_offsets, draw_points, make_view_pair
from .losses import NEAR_MM, predicted_offsets
from .step import LEAST_POINTS, embed

# Enough that the means hardly depend on which were drawn; 16 pairs take about 2 % of the training.
VIEW_PAIRS = 16
POINTS, CELLS = 600, 600


@dataclass(frozen=True)
class Validation:
    """Means over held-out view pairs, in mm.

    Attributes:
        pair_mm: error of Eq. 2 over all pairs.
        near_mm: the same over pairs nearer than ``losses.NEAR_MM``.
        mean_offset_mm: error of always predicting the mean offset, on the same pairs.
        match_mm: distance from a point to where its descriptor fits best in the other view, among
            the sampled points (0 for a perfect match); None without descriptors.
    """

    pair_mm: float
    near_mm: float
    mean_offset_mm: float
    match_mm: float | None

    def to_json(self) -> dict[str, float | None]:
        """A JSON object, rounded to 0.001 mm; None where held-out views showed too little too."""
        return {
            name: None if value is None or math.isnan(value) else round(value, 3)
            for name, value in asdict(self).items()
        }


@torch.no_grad()
def validate(
    net: nn.Module, volumes: list[TrainingVolume], stage: StageConfig, pairs: int = VIEW_PAIRS
) -> Validation:
    """Mean errors over ``pairs`` view pairs of held-out volumes, the same pairs at every call."""
    errors: list[Validation] = []
    for n in range(pairs):
        volume = volumes[n % len(volumes)]
        error = _errors(net, volume, stage, RandomStream("validation", volume.name, n))
        if error is not None:
            errors.append(error)
    if not errors:
        return Validation(math.nan, math.nan, math.nan, None)

    count = len(errors)
    matches = [e.match_mm for e in errors if e.match_mm is not None]
    return Validation(
        sum(e.pair_mm for e in errors) / count,
        sum(e.near_mm for e in errors) / count,
        sum(e.mean_offset_mm for e in errors) / count,
        sum(matches) / len(matches) if matches else None,
    )


def _errors(
    net: nn.Module, volume: TrainingVolume, stage: StageConfig, rng: RandomStream
) -> Validation | None:
    """The errors of one view pair; None where its views hold too little."""
    pair = make_view_pair(volume, None, stage, rng)
    first, second = pair.views
    points = draw_points(volume, POINTS, pair.focus, stage.view_radius, rng)
    places = first.from_source(points)
    shown = first.contains(places)
    points, places = points[shown], places[shown]

    support, query = embed(net, first, stage), embed(net, second, stage)
    cells = query.body_cells()
    cells = cells[rng.choose(len(cells), CELLS).to(cells.device)]
    if len(points) < LEAST_POINTS or len(cells) < LEAST_POINTS:
        return None

    offsets = cross_offsets(points, second, cells, stage.spacing)
    predicted = predicted_offsets(support.latents(places), query.latents(cells), stage.range_mm)
    error = (predicted - offsets).norm(dim=-1)
    distance = offsets.norm(dim=-1)
    counts = distance < stage.reach_mm
    guess = (offsets - offsets[counts].mean(0)).norm(dim=-1)[counts]

    match = None
    if stage.net.descriptor:
        targets = second.from_source(points)
        both = second.contains(targets)
        match = _match_error(
            support.descriptors(places[both]),
            query.descriptors(targets[both]),
            points[both] * stage.spacing,
        )
    near = error[distance < NEAR_MM]
    return Validation(float(error[counts].mean()), float(near.mean()), float(guess.mean()), match)


def _match_error(first: Tensor, second: Tensor, positions_mm: Tensor) -> float:
    """Mean distance in mm from each point (n, 3) to the one whose descriptor is most alike."""
    similarity = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T
    best = similarity.argmax(1)
    return float((positions_mm[best] - positions_mm).norm(dim=-1).mean())
