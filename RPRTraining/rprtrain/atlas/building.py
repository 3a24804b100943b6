"""Making the atlas: the CTs are registered to their own mean, round by round.

First affinely, by votes of the coarse network trained so far, then by smooth displacements. The
errors of single registrations average out over many pairs, so that a network trained on these pairs
can be better than its teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from rprloc.errors import InputError
from rprloc.localization.robust_affine import transform_points
from rprloc.localization.voting import dense_consensus
from rprloc.model.devices import fast_dtype
from rprloc.model.field import LatentField, aligned, field_of_tensor

from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from .atlas import CONTROL_MM, MEAN_MM, Atlas
from .placement import Lattice, Placement
from .registration import Level, agreement, field_of_view_mask, placed, register, windowed

# The block's edges are multiples of this, which all lattices divide; and its margin around the CTs.
BLOCK_MM, PAD_MM = 24.0, 24.0
# The share of the CTs, at either end, that need not lie in the block as a whole.
BEYOND_BLOCK = 0.05

# Body points that the coarse network seeks in every CT; how many must be shown, and how deep.
ANCHORS, LEAST_ANCHORS, SEEN_MARGIN_MM = 400, 40, 12.0
# How much holds the affine map to the identity: see ``rprloc.localization.robust_affine``.
EXTENT_MM, RIDGE = 80.0, 0.05
# Corners from which the affine map is read off again.
CORNER_MM = 100.0

# Enough for a mean, as the cost grows with every CT; fewer than the least have none.
MOST_CTS, LEAST_CTS = 120, 4
# Correlation with the mean below which a CT is left out: then it shows something else.
LEAST_AGREEMENT = 0.6

COARSE_LEVEL = Level(8.0, 25, 1.5, 0.3)
FINE_LEVEL = Level(6.0, 20, 1.0, 0.3)
ROUNDS: tuple[tuple[Level, ...], ...] = ((COARSE_LEVEL,), (COARSE_LEVEL, FINE_LEVEL))

Report = Callable[[str], None]
Affine = tuple[Tensor, Tensor]  # matrix (3, 3) and shift (3,) mm


def build_atlas(
    volumes: Sequence[TrainingVolume], net: nn.Module, stage: StageConfig, report: Report = print
) -> Atlas:
    """Register CTs to their mean.

    Args:
        volumes: the CTs; at most ``MOST_CTS``, the longest, are used. Those that do not come to
            agree with the mean are left out.
        net: the coarse network trained so far.
        stage: its settings.
        report: gets lines of progress.

    Raises:
        InputError: if fewer than ``LEAST_CTS`` remain.
    """
    volumes = sorted(volumes, key=lambda v: (-v.hu.shape[0], v.name))[:MOST_CTS]
    affine = _affine_placements(volumes, net, stage)
    report(
        f"atlas: {len(affine)} of {len(volumes)} CTs placed by votes of the {stage.name} network"
    )
    if len(affine) < LEAST_CTS:
        raise InputError(
            f"only {len(affine)} CTs show the same part of the body:"
            f" at least {LEAST_CTS} are needed"
        )

    members = [v for v in volumes if v.name in affine]
    lattice = _block(members, affine)
    control = lattice.with_cells(CONTROL_MM)
    still = torch.zeros((1, 3, *control.shape), device=lattice.origin.device)
    placements = {n: Placement(m, t, still, control) for n, (m, t) in affine.items()}

    for number, levels in enumerate(ROUNDS):
        placements, agreements = _round(members, placements, lattice, levels)
        # The first round is too coarse to judge by.
        members = [v for v in members if number == 0 or agreements[v.name] >= LEAST_AGREEMENT]
        middle = sorted(agreements.values())[len(agreements) // 2]
        report(
            f"atlas: round {number + 1} of {len(ROUNDS)}, {len(members)} CTs,"
            f" median correlation {middle:.3f}"
        )
        if len(members) < LEAST_CTS:
            raise InputError(
                "the CTs do not agree with each other: is this one body region, and are they CTs?"
            )

    placements = {v.name: placements[v.name] for v in members}
    return Atlas(placements, mean_image(members, placements, lattice), lattice)


def _round(
    members: Sequence[TrainingVolume],
    placements: dict[str, Placement],
    lattice: Lattice,
    levels: Sequence[Level],
) -> tuple[dict[str, Placement], dict[str, float]]:
    """Register every CT to the mean of all as they lie now; their new placements and agreements."""
    mean = mean_image(members, placements, lattice)
    moved = dict(placements)
    for volume in members:
        for level in levels:
            moved[volume.name] = register(mean, lattice, volume, moved[volume.name], level)
    moved = _recentred(moved)
    return moved, {v.name: agreement(mean, lattice, v, moved[v.name]) for v in members}


def mean_image(
    volumes: Sequence[TrainingVolume], placements: dict[str, Placement], lattice: Lattice
) -> Tensor:
    """Mean of the placed CTs (windowed) where they were scanned: (1, 1, D, H, W)."""
    total = torch.zeros((1, 1, *lattice.shape), device=lattice.origin.device)
    count = torch.zeros_like(total)
    points = lattice.points().reshape(-1, 3)

    for volume in volumes:
        patient = placements[volume.name].to_patient(points).reshape(*lattice.shape, 3)
        scanned = field_of_view_mask(volume, patient)
        total += scanned * placed(windowed(volume.hu)[None, None], volume, patient)
        count += scanned
    return total / count.clamp_min(1.0)


def _field(net: nn.Module, stage: StageConfig, volume: TrainingVolume) -> LatentField:
    hu = aligned(volume.hu, stage.net.alignment)
    dtype = fast_dtype(hu.device)
    return field_of_tensor(net, stage.net, hu, volume.origin, stage.spacing, dtype)


def _anchors(volume: TrainingVolume) -> Tensor:
    """Fixed body points of a CT, (n, 3) LPS mm."""
    chosen = RandomStream("anchors", volume.name).choose(len(volume.body), ANCHORS)
    return volume.to_mm(volume.body[chosen.to(volume.body.device)].float())


@torch.no_grad()
def _affine_placements(
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


def _block(members: Sequence[TrainingVolume], affine: dict[str, Affine]) -> Lattice:
    """The block of atlas space that most CTs reach, with a margin."""
    low, high = [], []
    for volume in members:
        matrix, shift = affine[volume.name]
        body = (volume.to_mm(volume.body.float()) - shift) @ torch.linalg.inv(matrix).T
        low.append(body.amin(0))
        high.append(body.amax(0))

    start = torch.stack(low).quantile(BEYOND_BLOCK, dim=0) - PAD_MM
    edge = torch.stack(high).quantile(1.0 - BEYOND_BLOCK, dim=0) + PAD_MM - start
    cells = [-(-int(e) // int(BLOCK_MM)) for e in edge.flip(0).tolist()]
    depth, height, width = (round(c * BLOCK_MM / MEAN_MM) + 1 for c in cells)
    return Lattice(start, MEAN_MM, (depth, height, width))


def _recentred(placements: dict[str, Placement]) -> dict[str, Placement]:
    """Take the mean displacement away: atlas space keeps the mean shape (to first order)."""
    mean = torch.cat([p.displacement for p in placements.values()]).mean(0, keepdim=True)
    return {name: replace(p, displacement=p.displacement - mean) for name, p in placements.items()}
