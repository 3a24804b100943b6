"""Losses: relative position regression (Eq. 1-3 of the paper, robust and distance-weighted) and point contrast."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class PairErrors:
    """Loss of a set of pairs and what to report of it.

    Attributes:
        loss: scalar, differentiable.
        near_mm, mean_mm: mean length of the error over pairs nearer than 40 mm, and over all pairs
            that count.
    """

    loss: Tensor
    near_mm: float
    mean_mm: float


def predicted_offsets(support: Tensor, query: Tensor, range_mm: float) -> Tensor:
    """Eq. 2: latents (S, 3) and (Q, 3) -> offsets from query to support (Q, S, 3) in mm, x, y, z."""
    return range_mm * torch.tanh(support[None] - query[:, None])


def pair_loss(
    support: Tensor,
    query: Tensor,
    true_offset: Tensor,
    range_mm: float,
    floor_mm: float,
    slope: float,
    reach_mm: float,
) -> PairErrors:
    """Eq. 3 over all pairs, made robust: ``sqrt(|error|^2 + 1) / (floor + slope * distance)``.

    Args:
        support: (S, 3) latents. query: (Q, 3) latents.
        true_offset: (Q, S, 3) mm, Eq. 1, in the frame of the query's view.
        reach_mm: pairs farther apart, or nearer than 1 um (a cell with itself), do not count.
    """
    error = predicted_offsets(support, query, range_mm) - true_offset
    squared = error.square().sum(-1)
    distance = true_offset.norm(dim=-1)
    counts = ((distance > 1e-3) & (distance < reach_mm)).float()
    weighted = counts * torch.sqrt(squared + 1.0) / (floor_mm + slope * distance)
    loss = weighted.sum() / counts.sum().clamp_min(1.0)
    with torch.no_grad():
        length = squared.sqrt()
        near = counts * (distance < 40.0)
        near_mm = float((length * near).sum() / near.sum().clamp_min(1.0))
        mean_mm = float((length * counts).sum() / counts.sum().clamp_min(1.0))
    return PairErrors(loss, near_mm, mean_mm)


def contrast_loss(
    first: Tensor, second: Tensor, positions_mm: Tensor, temperature: float, ignore_mm: float = 8.0
) -> Tensor:
    """InfoNCE between the descriptors of the same points in two views.

    Args:
        first, second: (N, C) raw descriptors of point n in either view.
        positions_mm: (N, 3) where the points are; those within ``ignore_mm`` of each other are not
            told apart.
    """
    a, b = F.normalize(first, dim=1), F.normalize(second, dim=1)
    logits = a @ b.T / temperature
    distance = torch.cdist(positions_mm, positions_mm)
    same = torch.eye(len(a), dtype=torch.bool, device=a.device)
    logits = logits.masked_fill((distance < ignore_mm) & ~same, -1e4)
    target = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
