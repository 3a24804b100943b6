"""Deformable registration of a CT to the mean of many CTs.

Local correlation is maximized by Adam under a bending penalty.
The displacement lives on a control lattice of atlas space (``Placement``); images are compared on a
lattice of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from rprloc.model.relative_offset import sample_trilinear

from ..data.dataset import TrainingVolume
from .placement import Lattice, Placement

# The soft tissue window, in which images are compared as 0 to 1.
WINDOW_HU = (-300.0, 300.0)
TISSUE = 0.05
# Voxels along each edge of the moving window of the local correlation, and the variance below which
# it says nothing: there, noise would correlate.
CORRELATION_WINDOW = 7
FLAT_VARIANCE = 2e-3
# Squared differences next to the correlation, which does not see the level of flat tissue.
SQUARES_WEIGHT = 2.0
ADAM_BETAS = (0.9, 0.99)
# The step shrinks by so much from the first to the last iteration.
STEP_DECAY = 0.8
# Fewer common voxels say nothing of an agreement.
LEAST_COMMON = 100


@dataclass(frozen=True)
class Level:
    """One level of a registration.

    Attributes:
        mm: distance of the points at which the images are compared.
        iterations: of Adam.
        step_mm: its first step.
        bending: weight of the bending penalty.
    """

    mm: float
    iterations: int
    step_mm: float
    bending: float


def windowed(hu: Tensor) -> Tensor:
    """HU -> 0 to 1 over the soft tissue window."""
    low, high = WINDOW_HU
    return ((hu.float() - low) / (high - low)).clamp(0.0, 1.0)


def placed(image: Tensor, volume: TrainingVolume, patient_mm: Tensor) -> Tensor:
    """Read an image at points of the patient.

    Args:
        image: (1, 1, D, H, W) on the grid of ``volume``.
        volume: the CT.
        patient_mm: (d, h, w, 3) x, y, z LPS mm.

    Returns:
        (1, 1, d, h, w); 0 beyond the CT.
    """
    return sample_trilinear(image, volume.to_voxels(patient_mm), "zeros")


def field_of_view_mask(volume: TrainingVolume, patient_mm: Tensor) -> Tensor:
    """1 where points (d, h, w, 3) mm lie between the CT's first and last slice: (1, 1, d, h, w)."""
    z = volume.to_voxels(patient_mm)[..., 0]
    return ((z >= 0) & (z <= volume.hu.shape[0] - 1)).float()[None, None]


def local_correlation(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Squared correlation in a moving window, 0 where both images are flat: (1, 1, d, h, w)."""
    a, b = a * mask, b * mask
    sums = _box_sum(torch.cat([mask, a, b, a * a, b * b, a * b], 1))
    ma, mb, aa, bb, ab = (sums[:, 1:] / sums[:, :1].clamp_min(1.0)).split(1, dim=1)

    # Rounding can make a variance negative.
    aa, bb, ab = (aa - ma * ma).clamp_min(0), (bb - mb * mb).clamp_min(0), ab - ma * mb
    correlation: Tensor = (ab * ab) / ((aa + FLAT_VARIANCE) * (bb + FLAT_VARIANCE))
    return correlation


def _box_sum(values: Tensor) -> Tensor:
    """Sums of (1, C, d, h, w) over a moving cube: differences of running sums, axis by axis."""
    half = CORRELATION_WINDOW // 2
    for axis in (2, 3, 4):
        padding = [0, 0, 0, 0, 0, 0]
        padding[2 * (4 - axis)], padding[2 * (4 - axis) + 1] = half + 1, half
        running = F.pad(values, padding).cumsum(axis)
        n = values.shape[axis]
        values = running.narrow(axis, CORRELATION_WINDOW, n) - running.narrow(axis, 0, n)
    return values


def bending(displacement: Tensor, cell_mm: float) -> Tensor:
    """Mean squared second derivative of a displacement (1, 3, d, h, w) mm, scale-free."""
    second = [displacement.diff(n=2, dim=axis).square().mean() for axis in (2, 3, 4)]
    mixed = [
        displacement.diff(dim=i).diff(dim=j).square().mean() for i, j in ((2, 3), (2, 4), (3, 4))
    ]
    return (torch.stack(second).sum() + 2.0 * torch.stack(mixed).sum()) / cell_mm**2


def register(
    mean: Tensor, lattice: Lattice, volume: TrainingVolume, start: Placement, level: Level
) -> Placement:
    """Improve a placement so that the CT agrees with the mean of all.

    Args:
        mean: (1, 1, D, H, W) windowed mean CT on ``lattice``.
        lattice: where it is given.
        volume: the CT.
        start: where it lies so far.
        level: density and effort.

    Returns:
        ``start`` with another displacement.
    """
    fixed = start.lattice.with_cells(level.mm)
    points = fixed.points()
    goal = sample_trilinear(mean, lattice.to_index(points))
    image = _smoothed(windowed(volume.hu)[None, None], level.mm / volume.spacing)
    control = start.displacement.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([control], lr=level.step_mm, betas=ADAM_BETAS)

    for number in range(level.iterations):
        done = number / level.iterations
        optimizer.param_groups[0]["lr"] = level.step_mm * (1.0 - STEP_DECAY * done)
        optimizer.zero_grad()

        dense = F.interpolate(control, size=fixed.shape, mode="trilinear", align_corners=True)
        patient = (points + dense[0].permute(1, 2, 3, 0)) @ start.matrix.T + start.shift
        moved, mask = placed(image, volume, patient), field_of_view_mask(volume, patient)
        penalty = level.bending * bending(control, start.lattice.cell_mm)
        loss = _dissimilarity(goal, moved, mask) + penalty
        loss.backward()
        optimizer.step()
    return replace(start, displacement=control.detach())


def _smoothed(image: Tensor, voxels: float) -> Tensor:
    """Average an image over about ``voxels`` along every axis: reading it then does not alias."""
    scale = max(1, round(voxels))
    if scale == 1:
        return image
    half = scale // 2
    return F.avg_pool3d(image, 2 * half + 1, 1, half, count_include_pad=False)


def _dissimilarity(goal: Tensor, moved: Tensor, mask: Tensor) -> Tensor:
    """What the images (1, 1, d, h, w) lack of local correlation, and their squared difference."""
    alike = local_correlation(goal, moved, mask)
    tissue = mask * ((goal > TISSUE) | (moved > TISSUE)).float()
    count = tissue.sum().clamp_min(1.0)
    unlike = ((1.0 - alike) * tissue).sum() / count
    squares = ((goal - moved).square() * tissue).sum() / count
    return unlike + SQUARES_WEIGHT * squares


def agreement(
    mean: Tensor, lattice: Lattice, volume: TrainingVolume, placement: Placement
) -> float:
    """Correlation of the placed CT with the mean over the tissue that both show, -1 to 1."""
    own = placement.lattice.with_cells(lattice.cell_mm)
    points = own.points()
    patient = placement.to_patient(points.reshape(-1, 3)).reshape(*own.shape, 3)
    moved = placed(windowed(volume.hu)[None, None], volume, patient)
    goal = sample_trilinear(mean, lattice.to_index(points))
    both = (field_of_view_mask(volume, patient) > 0) & ((goal > TISSUE) | (moved > TISSUE))
    if int(both.sum()) < LEAST_COMMON:
        return 0.0
    return float(torch.corrcoef(torch.stack([goal[both], moved[both]]))[0, 1])
