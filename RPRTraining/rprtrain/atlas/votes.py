"""Affine places of CTs of one body region, by votes of the coarse network trained so far."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rprloc.localization.robust_affine import transform_points
from rprloc.localization.voting import dense_consensus
from rprloc.model.devices import fast_dtype
from rprloc.model.field import LatentField, aligned, field_of_tensor

from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from .placement import Affine

# Body points that the coarse network seeks in every CT; how many must be shown, and how deep.
ANCHORS, LEAST_ANCHORS, SEEN_MARGIN_MM = 400, 40, 12.0
# How much holds the affine map to the identity: see ``rprloc.localization.robust_affine``.
EXTENT_MM, RIDGE = 80.0, 0.05
# Corners from which the affine map is read off again.
CORNER_MM = 100.0


@torch.no_grad()
def places_by_votes(
    volumes: Sequence[TrainingVolume], net: nn.Module, stage: StageConfig
) -> dict[str, Affine]:
    """Affine maps from atlas space to each CT that shows enough.

    Points of the longest CT are sought in all others; atlas space is then moved from that CT to the
    mean position and shape of all.
    """
    longest = max(volumes, key=lambda v: v.hu.shape[0])
    points = _anchors(longest)
    latents = _field(net, stage, longest).at(points)[:, :3]

    fits: dict[str, Affine] = {}
    for volume in volumes:
        fit = _fit(points, latents, _field(net, stage, volume), volume, stage)
        if fit is not None:
            fits[volume.name] = fit

    matrix = torch.stack([m for m, _ in fits.values()]).mean(0)
    shift = torch.stack([t for _, t in fits.values()]).mean(0)
    inverse = torch.linalg.inv(matrix)
    return {name: (m @ inverse, t - m @ inverse @ shift) for name, (m, t) in fits.items()}


def _field(net: nn.Module, stage: StageConfig, volume: TrainingVolume) -> LatentField:
    hu = aligned(volume.hu, stage.net.alignment)
    dtype = fast_dtype(hu.device)
    return field_of_tensor(net, stage.net, hu, volume.origin, stage.spacing, dtype)


def _anchors(volume: TrainingVolume) -> Tensor:
    """Fixed body points of a CT, (n, 3) LPS mm."""
    chosen = RandomStream("anchors", volume.name).choose(len(volume.body), ANCHORS)
    return volume.to_mm(volume.body[chosen.to(volume.body.device)].float())


def _fit(
    points: Tensor, latents: Tensor, field: LatentField, volume: TrainingVolume, stage: StageConfig
) -> Affine | None:
    """Robust affine map from points (n, 3) mm to where they are voted; None if few are shown."""
    voted = dense_consensus(field, latents, stage.range_mm).position
    voxels = volume.to_voxels(voted)
    last = torch.tensor(volume.hu.shape, dtype=torch.float32, device=voxels.device) - 1.0
    margin = SEEN_MARGIN_MM / volume.spacing
    shown = ((voxels > margin) & (voxels < last - margin)).all(-1)
    if int(shown.sum()) < LEAST_ANCHORS:
        return None

    corners = torch.cat([torch.zeros(1, 3), torch.eye(3)]).to(points) * CORNER_MM
    extent = torch.full((3,), EXTENT_MM, device=points.device)
    weight = torch.ones(int(shown.sum()), device=points.device)
    moved = transform_points(corners, points[shown], voted[shown], weight, extent, RIDGE)
    return ((moved[1:] - moved[0]) / CORNER_MM).T.contiguous(), moved[0]
