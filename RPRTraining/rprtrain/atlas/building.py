"""Making the atlas: the CTs are registered to their own mean, round by round.

They begin where affine maps put them (``votes``, ``chaining``), and are then bent by smooth
displacements. The errors of single registrations average out over many pairs, so that a network
trained on these pairs can be better than its teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rprloc.errors import InputError

from ..data.dataset import TrainingVolume
from .atlas import CONTROL_MM, MEAN_MM, Atlas
from .placement import Affine, Lattice, Placement
from .registration import Level, agreement, field_of_view_mask, placed, register, windowed

# The block's edges are multiples of this, which all lattices divide; and its margin around the CTs.
BLOCK_MM, PAD_MM = 24.0, 24.0
# Fewer CTs have no mean.
LEAST_CTS = 4
# Correlation with the mean below which a CT is left out: then it shows something else.
LEAST_AGREEMENT = 0.6

COARSE_LEVEL = Level(8.0, 25, 1.5, 0.3)
FINE_LEVEL = Level(6.0, 20, 1.0, 0.3)
ROUNDS: tuple[tuple[Level, ...], ...] = ((COARSE_LEVEL,), (COARSE_LEVEL, FINE_LEVEL))

Report = Callable[[str], None]


def build_atlas(
    volumes: Sequence[TrainingVolume],
    affine: Mapping[str, Affine],
    report: Report = print,
    beyond: float = 0.0,
) -> Atlas:
    """Register CTs to their mean.

    Args:
        volumes: the CTs. Those that do not come to agree with the mean are left out.
        affine: where they begin, by name; those without a place are left out.
        report: gets lines of progress.
        beyond: the share of the CTs, at either end, that need not lie in the atlas as a whole.

    Raises:
        InputError: if fewer than ``LEAST_CTS`` remain.
    """
    members = [v for v in volumes if v.name in affine]
    if len(members) < LEAST_CTS:
        raise InputError(
            f"only {len(members)} CTs show the same part of the body:"
            f" at least {LEAST_CTS} are needed"
        )

    boxes = {v.name: _box(v, affine[v.name]) for v in members}
    lattice = _block(list(boxes.values()), beyond)
    placements = {n: _start(affine[n], _own_block(box, lattice)) for n, box in boxes.items()}

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
    moved = _recentred(moved, lattice.with_cells(CONTROL_MM))
    return moved, {v.name: agreement(mean, lattice, v, moved[v.name]) for v in members}


def mean_image(
    volumes: Sequence[TrainingVolume], placements: Mapping[str, Placement], lattice: Lattice
) -> Tensor:
    """Mean of the placed CTs (windowed) where they were scanned: (1, 1, D, H, W)."""
    total = torch.zeros((1, 1, *lattice.shape), device=lattice.origin.device)
    count = torch.zeros_like(total)

    for volume in volumes:
        placement = placements[volume.name]
        own = placement.lattice.with_cells(lattice.cell_mm)
        patient = placement.to_patient(own.points().reshape(-1, 3)).reshape(*own.shape, 3)
        scanned = field_of_view_mask(volume, patient)
        part = (slice(None), slice(None), *lattice.part(own))
        total[part] += scanned * placed(windowed(volume.hu)[None, None], volume, patient)
        count[part] += scanned
    return total / count.clamp_min(1.0)


def _box(volume: TrainingVolume, affine: Affine) -> tuple[Tensor, Tensor]:
    """Lower and upper corner (3,) of a CT's body in atlas space, mm."""
    matrix, shift = affine
    body = (volume.to_mm(volume.body.float()) - shift) @ torch.linalg.inv(matrix).T
    return body.amin(0), body.amax(0)


def _block(boxes: Sequence[tuple[Tensor, Tensor]], beyond: float) -> Lattice:
    """The block of atlas space that the CTs reach, with a margin."""
    start = torch.stack([low for low, _ in boxes]).quantile(beyond, dim=0) - PAD_MM
    end = torch.stack([high for _, high in boxes]).quantile(1.0 - beyond, dim=0) + PAD_MM
    cells = [-(-int(e) // int(BLOCK_MM)) for e in (end - start).flip(0).tolist()]
    depth, height, width = (round(c * BLOCK_MM / MEAN_MM) + 1 for c in cells)
    return Lattice(start, MEAN_MM, (depth, height, width))


def _own_block(box: tuple[Tensor, Tensor], lattice: Lattice) -> Lattice:
    """The points of the atlas around one CT, those of displacements."""
    whole = lattice.with_cells(BLOCK_MM)
    last = torch.tensor(whole.shape, device=lattice.origin.device) - 1
    margin = PAD_MM / BLOCK_MM
    low = (whole.to_index(box[0]) - margin).floor().long().clamp_min(0).minimum(last - 1)
    high = (whole.to_index(box[1]) + margin).ceil().long().minimum(last).maximum(low + 1)
    depth, height, width = (int(n) + 1 for n in high - low)
    origin = lattice.origin + low.flip(0) * BLOCK_MM
    return Lattice(origin, BLOCK_MM, (depth, height, width)).with_cells(CONTROL_MM)


def _start(affine: Affine, lattice: Lattice) -> Placement:
    """A place without a bend."""
    still = torch.zeros((1, 3, *lattice.shape), device=lattice.origin.device)
    return Placement(*affine, still, lattice)


def _recentred(placements: Mapping[str, Placement], whole: Lattice) -> dict[str, Placement]:
    """Take the mean displacement away: atlas space keeps the mean shape (to first order)."""
    total = torch.zeros((1, 3, *whole.shape), device=whole.origin.device)
    count = torch.zeros((1, 1, *whole.shape), device=whole.origin.device)
    parts = {
        name: (slice(None), slice(None), *whole.part(p.lattice)) for name, p in placements.items()
    }
    for name, placement in placements.items():
        total[parts[name]] += placement.displacement
        count[parts[name]] += 1.0
    mean = total / count.clamp_min(1.0)
    return {
        name: replace(p, displacement=p.displacement - mean[parts[name]])
        for name, p in placements.items()
    }
