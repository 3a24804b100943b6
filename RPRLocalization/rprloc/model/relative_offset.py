"""The one home of Eq. 2, and of reading a lattice between its cells."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def relative_offset(support: Tensor, query: Tensor, range_mm: float) -> Tensor:
    """Return where the support lies, seen from the query: Eq. 2 of the paper.

    ``d = r * tanh(p_s - p_q)``: ``tanh`` keeps every component within the range ``r`` that the
    network was trained for, and is steepest where both are the same place.

    Args:
        support: latents ``p_s`` (..., 3), x, y, z.
        query: latents ``p_q``, of a shape that broadcasts with it.
        range_mm: ``r``.

    Returns:
        Offset in mm from query to support (..., 3), x, y, z, LPS.
    """
    return range_mm * torch.tanh(support - query)


def sample_trilinear(volume: Tensor, index: Tensor, padding: str = "border") -> Tensor:
    """Return the values of a lattice between its cells.

    Args:
        volume: (1, C, D, H, W).
        index: (d, h, w, 3) cell coordinates in the order z, y, x.
        padding: ``border`` (the border's value goes on outside) or ``zeros``.

    Returns:
        (1, C, d, h, w).
    """
    last = torch.tensor(volume.shape[2:], dtype=index.dtype, device=index.device) - 1.0
    # grid_sample counts from -1 to 1 between the outermost cells, in the order x, y, z; an axis of
    # one cell has no extent to divide by.
    grid = (2.0 * index / last.clamp_min(1.0) - 1.0).flip(-1)[None]
    return F.grid_sample(
        volume, grid.to(volume.dtype), mode="bilinear", padding_mode=padding, align_corners=True
    )


def sample_points(volume: Tensor, index: Tensor, padding: str = "border") -> Tensor:
    """Return ``sample_trilinear`` at single points: index (n, 3) z, y, x -> (n, C)."""
    return sample_trilinear(volume, index[None, None], padding)[0, :, 0, 0].T
