"""A smooth map through scattered pairs: at every place an affine fit of the pairs near it.

The sums that the fits need are matrix products of places that lie together and the pairs near them;
all fits are solved in one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

#: The linear part is held to the identity as if this share of the weight did not move.
RIDGE = 0.1
#: Places handled at once, times pairs: 64 MB of weights.
_CHUNK = 1 << 24
#: Places within so many sigmas are handled together; and pairs are left out that weigh less than
#: exp(-CUT) of the nearest one (trust differs by 1e6 at most).
_BLOCK_SIGMAS, _CUT = 5.0, 20.0
#: What keeps places solvable whose pairs are all distrusted.
_LEAST = 1e-12
#: Places (m,), source points near them (n,), and how near every pair is, (m, n).
_Block = tuple[Tensor, Tensor, Tensor]


class Neighbourhood:
    """How near every place is to every source point; made once for several fits."""

    def __init__(self, places: Tensor, source: Tensor, sigma_mm: float) -> None:
        """Weigh each pair of a place and a source point by a Gaussian of their distance.

        Args:
            places: (M, 3) mm, where the map is wanted, in the space of ``source``.
            source: (N, 3) mm.
            sigma_mm: standard deviation of the Gaussian.
        """
        self.places, self.source, self.sigma_mm = places, source, sigma_mm
        self._blocks = list(_blocks(places, source, sigma_mm))

    def carry(self, target: Tensor, weight: Tensor) -> Tensor:
        """Carry the places by the local affine fits of the source points to ``target``.

        Args:
            target: (N, 3) mm, where each source point lies in the other space.
            weight: (N,) >= 0, how far each pair is trusted.

        Returns:
            (M, 3) mm.
        """
        return _carried(self._blocks, self.places, self.source, target, weight, self.sigma_mm)


def moving_affine(
    places: Tensor, source: Tensor, target: Tensor, weight: Tensor, sigma_mm: float
) -> Tensor:
    """Carry ``places`` (M, 3) once, block after block (memory); see ``Neighbourhood``."""
    blocks = _blocks(places, source, sigma_mm)
    return _carried(blocks, places, source, target, weight, sigma_mm)


def _carried(
    blocks: Iterable[_Block],
    places: Tensor,
    source: Tensor,
    target: Tensor,
    weight: Tensor,
    sigma_mm: float,
) -> Tensor:
    """See ``Neighbourhood.carry``."""
    # Centred, so that the squares below keep their digits.
    middle = source.mean(0)
    near, at, shift = source - middle, places - middle, target - source
    products = (near[:, :, None] * near[:, None, :]).flatten(1)
    crossed = (near[:, :, None] * shift[:, None, :]).flatten(1)
    sums = torch.cat([torch.ones_like(near[:, :1]), near, shift, products, crossed], 1)
    sums = sums * weight.clamp_min(_LEAST)[:, None]

    moments = sums.new_empty((len(places), sums.shape[1]))
    for part, those, kernel in blocks:
        moments[part] = kernel @ sums[those]
    moments = moments[:, 1:] / moments[:, :1].clamp_min(_LEAST**2)
    mean, moved = moments[:, :3], moments[:, 3:6]
    spread = moments[:, 6:15].unflatten(1, (3, 3)) - mean[:, :, None] * mean[:, None, :]
    mixed = moments[:, 15:].unflatten(1, (3, 3)) - mean[:, :, None] * moved[:, None, :]

    prior = RIDGE * sigma_mm**2 * torch.eye(3, device=near.device)
    linear = torch.linalg.solve(spread + prior, mixed)
    found: Tensor = places + moved + ((at - mean)[:, None] @ linear)[:, 0]
    return found


def _blocks(places: Tensor, source: Tensor, sigma_mm: float) -> Iterator[_Block]:
    """The places in each cube of space that holds any, with the source points that count there."""
    cubes = torch.div(
        places - places.amin(0), _BLOCK_SIGMAS * sigma_mm, rounding_mode="floor"
    ).long()
    size = cubes.amax(0) + 1
    key = (cubes[:, 0] * size[1] + cubes[:, 1]) * size[2] + cubes[:, 2]
    order = key.argsort(stable=True)
    counts = key[order].unique_consecutive(return_counts=True)[1].tolist()
    for block in order.split(counts):
        those = _that_count(places[block], source, sigma_mm)
        for part in block.split(max(1, _CHUNK // len(those))):
            yield part, those, _gaussian(places[part], source[those], sigma_mm)


def _that_count(places: Tensor, source: Tensor, sigma_mm: float) -> Tensor:
    """Indices of the source points that weigh anything at some of the places."""
    lower, upper = places.amin(0), places.amax(0)
    nearest = (lower - source).maximum(source - upper).clamp_min(0.0).square().sum(1)
    farthest = (upper - source).maximum(source - lower).square().sum(1)
    # Every place has a point within the least of the farthest distances.
    return torch.nonzero(nearest <= farthest.min() + 2.0 * _CUT * sigma_mm**2)[:, 0]


def _gaussian(places: Tensor, source: Tensor, sigma_mm: float) -> Tensor:
    """(M, N) weights whose rows sum to 1, so that places far from all points have some too."""
    # -d^2 / 2 but for the place's own square, which no row notices: one product, no distances.
    middle = source.mean(0)
    scaled, other = (places - middle) / sigma_mm, (source - middle) / sigma_mm
    score = torch.addmm(-0.5 * other.square().sum(1)[None], scaled, other.T)
    return torch.softmax(score, dim=1)
