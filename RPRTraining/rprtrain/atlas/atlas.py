"""The atlas: where every training CT lies in one common frame, found without labels; pairs across patients.

Eq. 3 of the paper ties latents inside one CT only. Here the CTs are registered to their own mean,
round by round: first affinely, by votes of the coarse network trained so far, then by smooth
displacements. The errors of single registrations average out over many pairs, so that a network
trained on these pairs can be better than its teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from rprloc.errors import InputError
from rprloc.localization.robust_affine import transform_points
from rprloc.localization.voting import dense_consensus
from rprloc.model.field import LatentField, aligned, field_of_tensor

from ..checkpoint import load_checkpoint, save_checkpoint
from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from .placement import Lattice, Placement
from .registration import Level, agreement, field_of_view_mask, placed, register, windowed

CONTROL_MM, FRAME_MM, BLOCK_MM, PAD_MM = 12.0, 4.0, 24.0, 24.0
ANCHORS, LEAST_ANCHORS, SEEN_MARGIN_MM = 400, 40, 12.0
EXTENT_MM, RIDGE = 80.0, 0.05
MOST_CTS, LEAST_CTS, LEAST_AGREEMENT = 120, 4, 0.6
COARSE_LEVEL = Level(8.0, 25, 1.5, 0.3)
FINE_LEVEL = Level(6.0, 20, 1.0, 0.3)
ROUNDS: tuple[tuple[Level, ...], ...] = ((COARSE_LEVEL,), (COARSE_LEVEL, FINE_LEVEL))

Report = Callable[[str], None]


@dataclass(frozen=True)
class Atlas:
    """Placements by CT name; ``frame`` (1, 1, D, H, W) is the mean CT (windowed, 0 to 1) on ``lattice``."""

    placements: dict[str, Placement]
    frame: Tensor
    lattice: Lattice

    def carry(self, source: str, target: str, mm: Tensor) -> Tensor:
        """(n, 3) mm in the CT ``source`` -> the same anatomy in the CT ``target``, (n, 3) mm."""
        return self.placements[target].to_patient(self.placements[source].to_frame(mm))

    def save(self, path: Path) -> None:
        """Write it atomically (tensors only)."""
        names = list(self.placements)
        rows = [self.placements[name] for name in names]
        state = {
            "step": 0,
            "names": names,
            "matrix": torch.stack([r.matrix for r in rows]).cpu(),
            "shift": torch.stack([r.shift for r in rows]).cpu(),
            "displacement": torch.cat([r.displacement for r in rows]).half().cpu(),
            "frame": self.frame.half().cpu(),
            "origin": self.lattice.origin.cpu(),
        }
        save_checkpoint(path, state)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> Atlas:
        """Read what ``save`` wrote onto a device; raises InputError if it is missing or damaged."""
        state = load_checkpoint(path, device)
        try:
            shape = tuple(int(n) for n in state["frame"].shape[2:])
            lattice = Lattice(state["origin"], FRAME_MM, (shape[0], shape[1], shape[2]))
            control = lattice.with_cells(CONTROL_MM)
            rows = zip(
                state["names"], state["matrix"], state["shift"], state["displacement"], strict=True
            )
            placements = {n: Placement(m, t, d[None].float(), control) for n, m, t, d in rows}
            return cls(placements, state["frame"].float(), lattice)
        except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise InputError(
                f"{path}: this is not an atlas of rprloc train ({type(error).__name__})"
            ) from error


def build_atlas(
    volumes: Sequence[TrainingVolume], net: nn.Module, stage: StageConfig, report: Report = print
) -> Atlas:
    """Register ``volumes`` to their mean; ``net`` is the coarse network of ``stage`` trained so far.

    At most ``MOST_CTS``, the longest, are used; those that do not come to agree with the mean are
    left out. Raises InputError if fewer than four remain.
    """
    volumes = sorted(volumes, key=lambda v: (-v.hu.shape[0], v.name))[:MOST_CTS]
    straight = _affine_placements(volumes, net, stage)
    report(
        f"atlas: {len(straight)} of {len(volumes)} CTs placed by votes of the {stage.name} network"
    )
    if len(straight) < LEAST_CTS:
        raise InputError(
            f"only {len(straight)} CTs show the same part of the body: at least {LEAST_CTS} are needed"
        )
    members = [v for v in volumes if v.name in straight]
    lattice = _block(members, straight)
    control = lattice.with_cells(CONTROL_MM)
    still = torch.zeros((1, 3, *control.shape), device=lattice.origin.device)
    placements = {n: Placement(m, t, still, control) for n, (m, t) in straight.items()}
    for number, levels in enumerate(ROUNDS):
        frame = mean_image(members, placements, lattice)
        for volume in members:
            for level in levels:
                placements[volume.name] = register(
                    frame, lattice, volume, placements[volume.name], level
                )
        placements = _recentred(placements)
        agreements = {v.name: agreement(frame, lattice, v, placements[v.name]) for v in members}
        members = [v for v in members if number == 0 or agreements[v.name] >= LEAST_AGREEMENT]
        middle = sorted(agreements.values())[len(agreements) // 2]
        report(
            f"atlas: round {number + 1} of {len(ROUNDS)}, {len(members)} CTs, median correlation {middle:.3f}"
        )
        if len(members) < LEAST_CTS:
            raise InputError(
                "the CTs do not agree with each other: is this one body region, and are they CTs?"
            )
    kept = {v.name: placements[v.name] for v in members}
    return Atlas(kept, mean_image(members, kept, lattice), lattice)


def mean_image(
    volumes: Sequence[TrainingVolume], placements: dict[str, Placement], lattice: Lattice
) -> Tensor:
    """Mean of the placed CTs (windowed) where they were scanned: (1, 1, D, H, W)."""
    total = torch.zeros((1, 1, *lattice.shape), device=lattice.origin.device)
    count = torch.zeros_like(total)
    points = lattice.points().reshape(-1, 3)
    for volume in volumes:
        patient = placements[volume.name].to_patient(points).reshape(*lattice.shape, 3)
        seen = field_of_view_mask(volume, patient)
        total += seen * placed(windowed(volume.hu)[None, None], volume, patient)
        count += seen
    return total / count.clamp_min(1.0)


def _field(net: nn.Module, stage: StageConfig, volume: TrainingVolume) -> LatentField:
    hu = aligned(volume.hu, stage.net.alignment)
    return field_of_tensor(net, stage.net, hu, volume.origin, stage.spacing, torch.bfloat16)


def _anchors(volume: TrainingVolume) -> Tensor:
    """Fixed body points of a CT, (n, 3) mm."""
    chosen = (
        RandomStream("anchors", volume.name)
        .choose(len(volume.body), ANCHORS)
        .to(volume.body.device)
    )
    return volume.to_mm(volume.body[chosen].float())


@torch.no_grad()
def _affine_placements(
    volumes: Sequence[TrainingVolume], net: nn.Module, stage: StageConfig
) -> dict[str, tuple[Tensor, Tensor]]:
    """Affine maps from the frame, which is the mean position and shape of all CTs, to each CT that shows enough."""
    longest = max(volumes, key=lambda v: v.hu.shape[0])
    points = _anchors(longest)
    latents = _field(net, stage, longest).at(points)[:, :3]
    found = {}
    for volume in volumes:
        field = _field(net, stage, volume)
        fit = _fit(points, latents, field, volume, stage)
        if fit is not None:
            found[volume.name] = fit
    matrix = torch.stack([m for m, _ in found.values()]).mean(0)
    shift = torch.stack([t for _, t in found.values()]).mean(0)
    inverse = torch.linalg.inv(matrix)
    return {name: (m @ inverse, t - m @ inverse @ shift) for name, (m, t) in found.items()}


def _fit(
    points: Tensor, latents: Tensor, field: LatentField, volume: TrainingVolume, stage: StageConfig
) -> tuple[Tensor, Tensor] | None:
    """Robust affine map (matrix, shift) from points (n, 3) mm to where they are voted; None if few are seen."""
    voted = dense_consensus(field, latents, stage.range_mm).position
    voxels = volume.to_voxels(voted)
    last = torch.tensor(volume.hu.shape, dtype=torch.float32, device=voxels.device) - 1.0
    margin = SEEN_MARGIN_MM / volume.spacing
    seen = ((voxels > margin) & (voxels < last - margin)).all(-1)
    if int(seen.sum()) < LEAST_ANCHORS:
        return None
    corners = torch.cat([torch.zeros(1, 3), torch.eye(3)]).to(points) * 100.0
    extent = torch.full((3,), EXTENT_MM, device=points.device)
    weight = torch.ones(int(seen.sum()), device=points.device)
    moved = transform_points(corners, points[seen], voted[seen], weight, extent, RIDGE)
    return ((moved[1:] - moved[0]) / 100.0).T.contiguous(), moved[0]


def _block(
    members: Sequence[TrainingVolume], straight: dict[str, tuple[Tensor, Tensor]]
) -> Lattice:
    """The block of the frame that most CTs reach: 5th to 95th percentile of their ends, with a margin."""
    low, high = [], []
    for volume in members:
        matrix, shift = straight[volume.name]
        body = (volume.to_mm(volume.body.float()) - shift) @ torch.linalg.inv(matrix).T
        low.append(body.amin(0))
        high.append(body.amax(0))
    start = torch.stack(low).quantile(0.05, dim=0) - PAD_MM
    edge = torch.stack(high).quantile(0.95, dim=0) + PAD_MM - start
    cells = [-(-int(e) // int(BLOCK_MM)) for e in edge.flip(0).tolist()]
    shape = [round(c * BLOCK_MM / FRAME_MM) + 1 for c in cells]
    return Lattice(start, FRAME_MM, (shape[0], shape[1], shape[2]))


def _recentred(placements: dict[str, Placement]) -> dict[str, Placement]:
    """Take the mean displacement away, so that the frame keeps the mean shape (to first order)."""
    mean = torch.cat([p.displacement for p in placements.values()]).mean(0, keepdim=True)
    return {name: replace(p, displacement=p.displacement - mean) for name, p in placements.items()}
