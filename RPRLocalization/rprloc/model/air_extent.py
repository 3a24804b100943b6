"""Where a lattice can hold something else than air: a rectangle per slab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..image.hounsfield import AIR_HU

#: Planes, rows and columns of a part of a lattice.
Window = tuple[slice, slice, slice]
#: Networks see no difference between HU up to this and air (see ``pnet.window``).
_STILL_AIR_HU = AIR_HU + 24.0


@dataclass(frozen=True, eq=False)
class AirExtent:
    """The shadows that what is not air throws on two sides of a lattice (D, H, W).

    Attributes:
        rows: (D, H) bool. columns: (D, W) bool.
    """

    rows: Tensor
    columns: Tensor

    @classmethod
    def of_voxels(cls, hu: Tensor) -> AirExtent:
        """Of HU (D, H, W)."""
        return cls(hu.amax(2) > _STILL_AIR_HU, hu.amax(1) > _STILL_AIR_HU)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, rows and columns of the lattice."""
        return len(self.rows), self.rows.shape[1], self.columns.shape[1]

    def grown(self, cells: int) -> AirExtent:
        """With all cells that are at most so far away along every axis."""
        return self._each(lambda s: F.max_pool2d(s, 2 * cells + 1, 1, cells))

    def pooled(self) -> AirExtent:
        """On the lattice of half the resolution."""
        return self._each(lambda s: F.max_pool2d(s, 2))

    def doubled(self) -> AirExtent:
        """On the lattice of twice the resolution."""
        return self._each(lambda s: F.interpolate(s, scale_factor=2.0))

    def padded(self, cells: int) -> AirExtent:
        """With so many more cells of air on all sides; fewer if negative."""
        return self._each(lambda s: F.pad(s, [cells] * 4))

    def slabs(self, cells: int) -> Iterator[Window]:
        """The parts that are not air, in slabs of about so many cells of the lattice.

        They begin and end between pairs of cells along every axis, as the lattices of networks
        have even edges.
        """
        depth, height, width = self.shape
        thickness = 2 * max(1, round(cells / (2 * height * width)))
        for start in range(0, depth, thickness):
            planes = slice(start, min(start + thickness, depth))
            rows, columns = (
                torch.nonzero(shadow[planes].any(0)) for shadow in (self.rows, self.columns)
            )
            if len(rows) and len(columns):
                yield planes, _span(rows), _span(columns)

    def _each(self, change: Callable[[Tensor], Tensor]) -> AirExtent:
        rows, columns = (change(s.float()[None, None])[0, 0] > 0 for s in (self.rows, self.columns))
        return AirExtent(rows, columns)


def _span(index: Tensor) -> slice:
    return slice(int(index[0]) // 2 * 2, (int(index[-1]) + 2) // 2 * 2)
