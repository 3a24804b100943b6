"""A smooth map through scattered pairs: at every place an affine fit of the pairs near it.

All places are solved in one batch: the sums that every fit needs are one matrix product.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: The linear part is held to the identity as if this share of the weight did not move.
RIDGE = 0.1
#: Places handled at once, times pairs: 64 MB of weights.
_CHUNK = 1 << 24
#: What keeps places far from every pair solvable; they take the map of the nearest pairs.
_LEAST = 1e-12


def moving_affine(
    places: Tensor, source: Tensor, target: Tensor, weight: Tensor, sigma_mm: float
) -> Tensor:
    """Carry ``places`` by the local affine fit of ``source`` to ``target``.

    Args:
        places: (M, 3) mm, in the space of ``source``.
        source: (N, 3) mm.
        target: (N, 3) mm, where each source point lies in the other space.
        weight: (N,) >= 0, how far each pair is trusted.
        sigma_mm: standard deviation of the Gaussian that weighs a pair by its distance.

    Returns:
        (M, 3) mm.
    """
    middle = source.mean(0)
    near, shift = source - middle, target - source
    products = near[:, :, None] * near[:, None, :]
    crossed = near[:, :, None] * shift[:, None, :]
    sums = torch.cat(
        [torch.ones_like(near[:, :1]), near, shift, products.flatten(1), crossed.flatten(1)], 1
    )
    log_weight = weight.clamp_min(_LEAST).log()
    step = max(1, _CHUNK // len(source))
    parts = [_solved(p - middle, near, sums, log_weight, sigma_mm) for p in places.split(step)]
    return places + torch.cat(parts)


def _solved(
    places: Tensor, near: Tensor, sums: Tensor, log_weight: Tensor, sigma_mm: float
) -> Tensor:
    """Displacement (m, 3) at places (m, 3)."""
    score = log_weight - 0.5 * torch.cdist(places, near).square() / sigma_mm**2
    moments = torch.softmax(score, dim=1) @ sums
    mean, shift = moments[:, 1:4], moments[:, 4:7]
    spread = moments[:, 7:16].unflatten(1, (3, 3)) - mean[:, :, None] * mean[:, None, :]
    crossed = moments[:, 16:25].unflatten(1, (3, 3)) - mean[:, :, None] * shift[:, None, :]

    prior = RIDGE * sigma_mm**2 * torch.eye(3, device=places.device)
    linear = torch.linalg.solve(spread + prior, crossed)
    moved: Tensor = shift + ((places - mean)[:, None] @ linear)[:, 0]
    return moved
