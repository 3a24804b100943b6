"""Pair error on held-out CTs, beside that of a predictor that always answers with the mean offset."""

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
from .losses import predicted_offsets
from .step import embed


@dataclass(frozen=True)
class Validation:
    """Means over held-out view pairs, in mm.

    Attributes:
        pair_mm, near_mm: error of Eq. 2 over all pairs, and over those nearer than 40 mm.
        mean_offset_mm: error of always predicting the mean offset, on the same pairs.
        match_mm: distance from a point to where its descriptor fits best in the other view, among
            the sampled points (0 for a perfect match); None without descriptors.
    """

    pair_mm: float
    near_mm: float
    mean_offset_mm: float
    match_mm: float | None

    def to_json(self) -> dict[str, float | None]:
        """A JSON object, rounded to 0.001 mm; None also where held-out views showed too little to tell."""
        return {
            k: None if v is None or math.isnan(v) else round(v, 3) for k, v in asdict(self).items()
        }


@torch.no_grad()
def validate(
    net: nn.Module, volumes: list[TrainingVolume], stage: StageConfig, pairs: int = 16
) -> Validation:
    """Mean errors over ``pairs`` view pairs of held-out volumes, the same pairs at every call."""
    rows: list[list[float]] = []
    matches: list[float] = []
    for n in range(pairs):
        volume = volumes[n % len(volumes)]
        row = _one_pair(net, volume, stage, RandomStream("validation", volume.name, n))
        if row is not None:
            rows.append(row[0])
            if row[1] is not None:
                matches.append(row[1])
    if not rows:
        return Validation(float("nan"), float("nan"), float("nan"), None)
    pair, near, mean = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    return Validation(pair, near, mean, sum(matches) / len(matches) if matches else None)


def _one_pair(
    net: nn.Module, volume: TrainingVolume, stage: StageConfig, dice: RandomStream
) -> tuple[list[float], float | None] | None:
    scene = make_view_pair(volume, None, stage, dice)
    first, second = scene.views
    points = draw_points(volume, 600, scene.focus, max(stage.crop) / 2.0, dice)
    places = first.from_source(points)
    points, places = points[first.contains(places)], places[first.contains(places)]
    support, query = embed(net, first, stage), embed(net, second, stage)
    cells = query.body_cells()
    cells = cells[dice.choose(len(cells), 600).to(cells.device)]
    if len(points) < 16 or len(cells) < 16:
        return None
    offsets = cross_offsets(points, second, cells, stage.spacing)
    error = (
        predicted_offsets(support.at(places)[:, :3], query.at(cells)[:, :3], stage.range_mm)
        - offsets
    ).norm(dim=-1)
    distance = offsets.norm(dim=-1)
    counts = distance < stage.reach_mm
    near = error[distance < 40.0]
    guess = (offsets - offsets[counts].mean(0)).norm(dim=-1)[counts]
    row = [float(error[counts].mean()), float(near.mean()), float(guess.mean())]
    match = None
    if stage.net.descriptor:
        targets = second.from_source(points)
        seen = second.contains(targets)
        match = _match_error(
            support.at(places[seen])[:, 3:],
            query.at(targets[seen])[:, 3:],
            points[seen] * stage.spacing,
        )
    return row, match


def _match_error(first: Tensor, second: Tensor, positions_mm: Tensor) -> float:
    best = (F.normalize(first, dim=1) @ F.normalize(second, dim=1).T).argmax(1)
    return float((positions_mm[best] - positions_mm).norm(dim=-1).mean())
