"""Deformable registration of a CT to the mean of many CTs: local correlation, Adam, a bending penalty.

The displacement lives on a control lattice of the frame (``Placement``); images are compared on the
frame's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.dataset import TrainingVolume
from .placement import Lattice, Placement

WINDOW_HU = (-300.0, 300.0)
CORRELATION_WINDOW = 7
FLAT_VARIANCE = 2e-3


@dataclass(frozen=True)
class Level:
    """One level: lattice of the comparison (mm), iterations, step (mm), weight of the bending penalty."""

    mm: float
    iterations: int
    step_mm: float
    bending: float


def windowed(hu: Tensor) -> Tensor:
    """HU -> 0 to 1 over the soft tissue window."""
    low, high = WINDOW_HU
    return ((hu.float() - low) / (high - low)).clamp(0.0, 1.0)


def placed(image: Tensor, volume: TrainingVolume, patient_mm: Tensor) -> Tensor:
    """``image`` (1, 1, D, H, W) on the grid of ``volume`` at points (d, h, w, 3) mm -> (1, 1, d, h, w); 0 beyond."""
    extent = torch.tensor(volume.hu.shape, dtype=torch.float32, device=patient_mm.device)
    normal = 2.0 * volume.to_voxels(patient_mm) / (extent - 1.0).clamp_min(1.0) - 1.0
    return F.grid_sample(
        image, normal.flip(-1)[None], mode="bilinear", padding_mode="zeros", align_corners=True
    )


def field_of_view_mask(volume: TrainingVolume, patient_mm: Tensor) -> Tensor:
    """(1, 1, d, h, w) 0 or 1: whether the point (d, h, w, 3) lies between the first and the last slice of the CT."""
    z = volume.to_voxels(patient_mm)[..., 0]
    return ((z >= 0) & (z <= volume.hu.shape[0] - 1)).float()[None, None]


def local_correlation(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Squared correlation of two images in a moving window, 0 where both are flat: (1, 1, d, h, w)."""
    a, b = a * mask, b * mask
    sums = _box_sum(torch.cat([mask, a, b, a * a, b * b, a * b], 1))
    ma, mb, aa, bb, ab = (sums[:, 1:] / sums[:, :1].clamp_min(1.0)).split(1, dim=1)
    aa, bb, ab = (aa - ma * ma).clamp_min(0), (bb - mb * mb).clamp_min(0), ab - ma * mb
    correlation: Tensor = (ab * ab) / ((aa + FLAT_VARIANCE) * (bb + FLAT_VARIANCE))
    return correlation


def _box_sum(values: Tensor) -> Tensor:
    """Sums over a moving cubic window, one axis after the other by differences of running sums: (1, C, d, h, w)."""
    half = CORRELATION_WINDOW // 2
    for axis in (2, 3, 4):
        padding = [0, 0, 0, 0, 0, 0]
        padding[2 * (4 - axis)], padding[2 * (4 - axis) + 1] = half + 1, half
        running = F.pad(values, padding).cumsum(axis)
        n = values.shape[axis]
        values = running.narrow(axis, CORRELATION_WINDOW, n) - running.narrow(axis, 0, n)
    return values


def bending(displacement: Tensor, cell_mm: float) -> Tensor:
    """Mean squared second derivative of a displacement (1, 3, d, h, w) mm, times mm (scale-free)."""
    second = [displacement.diff(n=2, dim=axis).square().mean() for axis in (2, 3, 4)]
    mixed = [
        displacement.diff(dim=i).diff(dim=j).square().mean() for i, j in ((2, 3), (2, 4), (3, 4))
    ]
    return (torch.stack(second).sum() + 2.0 * torch.stack(mixed).sum()) / cell_mm**2


def register(
    frame: Tensor, lattice: Lattice, volume: TrainingVolume, start: Placement, level: Level
) -> Placement:
    """Improve ``start`` so that ``volume`` agrees with ``frame`` (1, 1, D, H, W windowed, on ``lattice``)."""
    fixed = lattice.with_cells(level.mm)
    goal = F.interpolate(frame, size=fixed.shape, mode="trilinear", align_corners=True)
    scale = max(1, round(level.mm / volume.spacing))
    image = windowed(volume.hu)[None, None]
    if scale > 1:
        image = F.avg_pool3d(image, 2 * (scale // 2) + 1, 1, scale // 2, count_include_pad=False)
    points = fixed.points()
    control = start.displacement.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([control], lr=level.step_mm, betas=(0.9, 0.99))
    for number in range(level.iterations):
        optimizer.param_groups[0]["lr"] = level.step_mm * (1.0 - 0.8 * number / level.iterations)
        optimizer.zero_grad()
        dense = F.interpolate(control, size=fixed.shape, mode="trilinear", align_corners=True)
        patient = (points + dense[0].permute(1, 2, 3, 0)) @ start.matrix.T + start.shift
        moved, mask = placed(image, volume, patient), field_of_view_mask(volume, patient)
        alike = local_correlation(goal, moved, mask)
        tissue = mask * ((goal > 0.05) | (moved > 0.05)).float()
        unlike = ((1.0 - alike) * tissue).sum() / tissue.sum().clamp_min(1.0)
        squares = ((goal - moved).square() * tissue).sum() / tissue.sum().clamp_min(1.0)
        loss = unlike + 2.0 * squares + level.bending * bending(control, start.lattice.cell_mm)
        loss.backward()
        optimizer.step()
    return replace(start, displacement=control.detach())


def agreement(
    frame: Tensor, lattice: Lattice, volume: TrainingVolume, placement: Placement
) -> float:
    """Correlation of the placed CT with the frame over the tissue that both show, -1 to 1."""
    patient = placement.to_patient(lattice.points().reshape(-1, 3)).reshape(*lattice.shape, 3)
    moved = placed(windowed(volume.hu)[None, None], volume, patient)
    both = (field_of_view_mask(volume, patient) > 0) & ((frame > 0.05) | (moved > 0.05))
    if int(both.sum()) < 100:
        return 0.0
    return float(torch.corrcoef(torch.stack([frame[both], moved[both]]))[0, 1])
