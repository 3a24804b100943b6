"""A robust affine map between corresponding points, held back towards a pure displacement."""

from __future__ import annotations

import torch
from torch import Tensor

#: Rounds of reweighting.
ROUNDS = 5
#: Tukey's constant (95 % efficiency for Gaussian errors), here in units of the median distance.
TUKEY = 4.685


def transform_points(
    keys: Tensor, source: Tensor, target: Tensor, weight: Tensor, extent: Tensor, ridge: float
) -> Tensor:
    """Move ``keys`` by the robust, regularized affine map that takes ``source`` to ``target``.

    Tukey weights leave out wrong matches. The linear part is held to the identity as if ``ridge``
    of the weight were on points at +-``extent`` that did not move: few or doubtful points give a
    displacement, many good ones a full map.

    Args:
        keys: (K, 3) mm.
        source: (N, 3) mm, points whose images are known.
        target: (..., N, 3) mm, their images; leading axes are problems of their own.
        weight: (..., N) > 0, how far each is trusted.
        extent: (3,) mm, half edges of the target's box.
        ridge: share of the weight that holds the linear part.

    Returns:
        (..., K, 3) mm.
    """
    prior = torch.diag(ridge * extent.square())
    trust = weight
    for _ in range(ROUNDS):
        share = (trust / trust.sum(-1, keepdim=True))[..., None]
        middle, place = ((share * points).sum(-2, keepdim=True) for points in (source, target))
        a, b = source - middle, target - place
        matrix = torch.linalg.solve((share * a).mT @ a + prior, (share * a).mT @ b + prior)

        trust = weight * (tukey_weights((b - a @ matrix).norm(dim=-1)) + 1e-9)

    moved: Tensor = (keys - middle) @ matrix + place
    return moved


def tukey_weights(error_mm: Tensor) -> Tensor:
    """(..., N) Tukey's weights of distances (..., N) mm: 1 for what fits, 0 for outliers."""
    # Not below 1 mm: where all fit to rounding, none is an outlier.
    limit = TUKEY * error_mm.median(-1, keepdim=True).values.clamp_min(1.0)
    weights: Tensor = (1.0 - (error_mm / limit).clamp(max=1.0) ** 2) ** 2
    return weights
