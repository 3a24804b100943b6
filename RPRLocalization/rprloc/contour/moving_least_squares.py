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
#: What keeps places solvable whose pairs are all distrusted.
_LEAST = 1e-12


class Neighbourhood:
    """How near every place is to every source point; made once for several fits."""

    def __init__(self, places: Tensor, source: Tensor, sigma_mm: float) -> None:
        """Weigh each pair of a place and a source point by a Gaussian of their distance.

        Args:
            places: (M, 3) mm, where the map is wanted, in the space of ``source``.
            source: (N, 3) mm.
            sigma_mm: standard deviation of the Gaussian.
        """
        self.sigma_mm = sigma_mm
        # Centred, so that the squares below keep their digits.
        middle = source.mean(0)
        self.places, self.source = places, source
        self._near, self._at = source - middle, places - middle
        self._kernel = _gaussian(self._at, self._near, sigma_mm)

    def carry(self, target: Tensor, weight: Tensor) -> Tensor:
        """Carry the places by the local affine fits of the source points to ``target``.

        Args:
            target: (N, 3) mm, where each source point lies in the other space.
            weight: (N,) >= 0, how far each pair is trusted.

        Returns:
            (M, 3) mm.
        """
        near, shift = self._near, target - self.source
        products = (near[:, :, None] * near[:, None, :]).flatten(1)
        crossed = (near[:, :, None] * shift[:, None, :]).flatten(1)
        sums = torch.cat([torch.ones_like(near[:, :1]), near, shift, products, crossed], 1)

        moments = self._kernel @ (sums * weight.clamp_min(_LEAST)[:, None])
        moments = moments[:, 1:] / moments[:, :1].clamp_min(_LEAST**2)
        mean, moved = moments[:, :3], moments[:, 3:6]
        spread = moments[:, 6:15].unflatten(1, (3, 3)) - mean[:, :, None] * mean[:, None, :]
        mixed = moments[:, 15:].unflatten(1, (3, 3)) - mean[:, :, None] * moved[:, None, :]

        prior = RIDGE * self.sigma_mm**2 * torch.eye(3, device=near.device)
        linear = torch.linalg.solve(spread + prior, mixed)
        found: Tensor = self.places + moved + ((self._at - mean)[:, None] @ linear)[:, 0]
        return found


def moving_affine(
    places: Tensor, source: Tensor, target: Tensor, weight: Tensor, sigma_mm: float
) -> Tensor:
    """Carry ``places`` (M, 3) once, a part after the other (memory); see ``Neighbourhood``."""
    step = max(1, _CHUNK // len(source))
    parts = [Neighbourhood(p, source, sigma_mm).carry(target, weight) for p in places.split(step)]
    return torch.cat(parts)


def _gaussian(places: Tensor, source: Tensor, sigma_mm: float) -> Tensor:
    """(M, N) weights whose rows sum to 1, so that places far from all points have some too."""
    # -d^2 / 2 but for the place's own square, which no row notices: one product, no distances.
    scaled, other = places / sigma_mm, source / sigma_mm
    score = torch.addmm(-0.5 * other.square().sum(1)[None], scaled, other.T)
    return torch.softmax(score, dim=1)
