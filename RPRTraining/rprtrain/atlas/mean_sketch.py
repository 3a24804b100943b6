"""The mean of many CTs as a sketch: a reference for alignment that shows no single patient.

A template of several references, in different parts of the body, needs one place to which all of
them relate; and what is published may hold averages over patients, but nothing of one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rprloc.alignment.overlap import Overlap, find_overlap, fit_affine
from rprloc.alignment.sketch import CELL_MM, KINDS, Sketch
from rprloc.errors import InputError
from rprloc.model.relative_offset import sample_trilinear

from ..data.dataset import TrainingVolume
from .chaining import LEAST_SCORE, chain, sketch_of
from .placement import Affine

#: Rounds in which every CT is aligned to the mean of all, and the mean is taken again.
ROUNDS = 2
#: Slices that fewer CTs show are left off.
LEAST_CTS = 3
#: Size of the mean across, x and y; arms and couches at the sides are no use.
ACROSS_MM = (540.0, 420.0)
NAME = "mean"


@dataclass(frozen=True, eq=False)
class MeanBody:
    """The mean of the CTs that could be aligned.

    Attributes:
        sketch: of the mean, in a space of its own (LPS mm, its middle across near 0).
        maps: by name of the CT, the affine map from the mean to it.
        shown: (D,) how many CTs show each slice.
    """

    sketch: Sketch
    maps: Mapping[str, Overlap]
    shown: Tensor

    def from_ct(self, name: str, lps: Tensor) -> Tensor:
        """(n, 3) LPS mm in a CT -> (n, 3) in the mean; raises KeyError."""
        found = self.maps[name]
        moved: Tensor = torch.linalg.solve(found.matrix, (lps - found.shift).T).T
        return moved


def mean_of(volumes: Sequence[TrainingVolume], report: Callable[[str], None] = print) -> MeanBody:
    """Chain the CTs by what they have in common, and refine their mean.

    Raises InputError if too few hang together.
    """
    sketches = [sketch_of(volume) for volume in volumes]
    mean, shown = _averaged(sketches, chain(volumes, report))
    maps: dict[str, Overlap] = {}
    for number in range(ROUNDS):
        maps = _all_aligned(mean, sketches)
        mean, shown = _averaged(sketches, {n: (m.matrix, m.shift) for n, m in maps.items()})
        report(f"mean: round {number + 1}, {len(maps)} of {len(sketches)} CTs aligned")
    # The last round may have moved the mean a little.
    return MeanBody(mean, _all_aligned(mean, sketches), shown)


def _all_aligned(mean: Sketch, sketches: Sequence[Sketch]) -> dict[str, Overlap]:
    """Maps from the mean to every CT that is like it."""
    found = {sketch.name: _aligned(mean, sketch) for sketch in sketches}
    return {name: overlap for name, overlap in found.items() if overlap is not None}


def _aligned(mean: Sketch, sketch: Sketch) -> Overlap | None:
    overlap = find_overlap(mean, sketch)
    if overlap is None:
        return None
    found = fit_affine(mean, sketch, overlap)
    return found if found.score > LEAST_SCORE else None


def _averaged(sketches: Sequence[Sketch], maps: Mapping[str, Affine]) -> tuple[Sketch, Tensor]:
    """The mean of the sketches under maps from its space to each; and CTs per slice (D,)."""
    placed = [s for s in sketches if s.name in maps]
    if len(placed) < LEAST_CTS:
        raise InputError(f"only {len(placed)} CTs could be put together (needs {LEAST_CTS})")
    empty = _canvas(placed, maps)
    points = empty.to_mm(empty.cells())
    total, count = torch.zeros_like(empty.shares), torch.zeros(empty.shape)
    for sketch in placed:
        matrix, shift = maps[sketch.name]
        index = sketch.to_index(points @ matrix.T + shift)
        inside = ((index[..., 0] >= -0.5) & (index[..., 0] <= sketch.shape[0] - 0.5)).float()
        total += sample_trilinear(sketch.shares[None], index, "zeros")[0] * inside
        count += inside

    shown = count.amax((1, 2))
    kept = torch.nonzero(shown >= LEAST_CTS)[:, 0]
    if len(kept) == 0:
        raise InputError(f"no part of the body is shown by {LEAST_CTS} CTs")
    first, last = int(kept.min()), int(kept.max()) + 1
    shares = (total / count.clamp_min(1.0))[:, first:last]
    origin = empty.to_mm(torch.tensor([float(first), 0.0, 0.0]))
    return Sketch(NAME, shares, origin, empty.cell_mm), shown[first:last]


def _canvas(sketches: Sequence[Sketch], maps: Mapping[str, Affine]) -> Sketch:
    """An empty sketch that holds all of them along z, and their middles across."""
    corners = []
    for sketch in sketches:
        matrix, shift = maps[sketch.name]
        ends = torch.tensor([[0.0, 0.0, 0.0], [n - 1.0 for n in sketch.shape]])
        corners.append(torch.linalg.solve(matrix, (sketch.to_mm(ends) - shift).T).T)
    all_corners = torch.stack(corners)
    low, high = all_corners[..., 2].min(), all_corners[..., 2].max()
    middle = all_corners.mean(1).median(0).values
    columns, rows = (round(mm / CELL_MM) for mm in ACROSS_MM)
    shape = (int((high - low) // CELL_MM) + 1, rows, columns)
    half = torch.tensor([columns - 1.0, rows - 1.0]) * CELL_MM / 2
    origin = torch.stack([middle[0] - half[0], middle[1] - half[1], low])
    return Sketch(NAME, torch.zeros((KINDS, *shape)), origin, CELL_MM)
