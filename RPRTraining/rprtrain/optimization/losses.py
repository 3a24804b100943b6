"""Losses: relative position regression (Eq. 1 to 3 of the paper) and point contrast."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rprloc.model.relative_offset import relative_offset

# Pairs that are "near" in every report of the training: about the reach of the fine search.
NEAR_MM = 40.0
# A cell with itself has no direction: pairs nearer than 1 um do not count.
SAME_PLACE_MM = 1e-3
# Softens the error's root at 0, where its gradient would jump: errors below 1 mm count squared.
SMOOTH_MM2 = 1.0
# In place of -inf, of which a softmax can make NaN.
MASKED_LOGIT = -1e4


@dataclass(frozen=True)
class PairErrors:
    """Loss of a set of pairs and what to report of it.

    Attributes:
        loss: scalar, differentiable.
        near_mm, mean_mm: mean length of the error over pairs nearer than ``NEAR_MM``, and over all
            pairs that count.
    """

    loss: Tensor
    near_mm: float
    mean_mm: float


def predicted_offsets(support: Tensor, query: Tensor, range_mm: float) -> Tensor:
    """Eq. 2, ``d_qs = r * tanh(p_s - p_q)``, for all pairs.

    Args:
        support: (S, 3) latents.
        query: (Q, 3) latents.
        range_mm: ``r``.

    Returns:
        (Q, S, 3) mm from query to support, x, y, z (LPS).
    """
    return relative_offset(support[None], query[:, None], range_mm)


def pair_loss(
    support: Tensor,
    query: Tensor,
    true_offset: Tensor,
    range_mm: float,
    floor_mm: float,
    slope: float,
    reach_mm: float,
) -> PairErrors:
    """Eq. 3 over all pairs, made robust and weighted by distance.

    The paper's loss is ``|d_qs - d'_qs|^2`` (Eq. 3), with ``d_qs`` of Eq. 2 and the true offset
    ``d'_qs = (c_s - c_q) * e`` (Eq. 1: voxels c, voxel edge e). Its square would let the far pairs,
    which err by most, decide everything. Here it is ``sqrt(|d_qs - d'_qs|^2 + 1) / (floor + slope *
    |d'_qs|)``, averaged over the pairs that count.

    Args:
        support: (S, 3) latents.
        query: (Q, 3) latents.
        true_offset: (Q, S, 3) mm, Eq. 1, in the frame of the query's view.
        range_mm: ``r`` of Eq. 2.
        floor_mm: of the weight: the error expected of neighbours.
        slope: of the weight: the error expected per mm of distance.
        reach_mm: pairs farther apart do not count, nor does a cell with itself.
    """
    error = predicted_offsets(support, query, range_mm) - true_offset
    squared = error.square().sum(-1)
    distance = true_offset.norm(dim=-1)

    counts = ((distance > SAME_PLACE_MM) & (distance < reach_mm)).float()
    weighted = counts * torch.sqrt(squared + SMOOTH_MM2) / (floor_mm + slope * distance)
    loss = weighted.sum() / counts.sum().clamp_min(1.0)

    with torch.no_grad():
        length = squared.sqrt()
        near = counts * (distance < NEAR_MM)
        near_mm = float((length * near).sum() / near.sum().clamp_min(1.0))
        mean_mm = float((length * counts).sum() / counts.sum().clamp_min(1.0))
    return PairErrors(loss, near_mm, mean_mm)


def contrast_loss(
    first: Tensor, second: Tensor, positions_mm: Tensor, temperature: float, ignore_mm: float = 8.0
) -> Tensor:
    """InfoNCE between the descriptors of the same points in two views, both ways.

    Args:
        first: (N, C) raw descriptors of point n in one view.
        second: (N, C) the same in the other view.
        positions_mm: (N, 3) where the points are.
        temperature: divides the cosine similarities.
        ignore_mm: points within this distance of each other are not told apart.

    Returns:
        The loss, a differentiable scalar.
    """
    a, b = F.normalize(first, dim=1), F.normalize(second, dim=1)
    logits = a @ b.T / temperature

    distance = torch.cdist(positions_mm, positions_mm)
    same = torch.eye(len(a), dtype=torch.bool, device=a.device)
    logits = logits.masked_fill((distance < ignore_mm) & ~same, MASKED_LOGIT)

    target = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
