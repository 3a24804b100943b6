"""A mask of the reference on the voxels of the query: every voxel asks the map where it comes from.

So no hole can open where the map stretches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import Geometry, Points
from ..model.relative_offset import sample_trilinear
from ..targets.segment_mask import SegmentMask
from .displacement import DisplacementField

#: Voxels handled at once (memory).
_CHUNK = 2_000_000


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a volume's lattice: ``first`` voxel (i, j, k) and the part's own geometry."""

    first: tuple[int, int, int]
    geometry: Geometry

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Where the part lies in an array (k, j, i) of the whole volume."""
        pairs = zip(self.first[::-1], self.geometry.size[::-1], strict=True)
        k, j, i = (slice(low, low + count) for low, count in pairs)
        return k, j, i


def window_around(
    lower: NDArray[np.float64], upper: NDArray[np.float64], volume: Geometry
) -> Window | None:
    """The voxels of a volume that a box (LPS mm) touches; None if it touches none."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    index = volume.lps_to_index(Points(lower + corners * (upper - lower)))
    last = np.array(volume.size) - 1
    first = np.maximum(np.floor(index.min(0)), 0).astype(int)
    end = np.minimum(np.ceil(index.max(0)), last).astype(int)
    if (end < first).any():
        return None
    size = (int(end[0] - first[0]) + 1, int(end[1] - first[1]) + 1, int(end[2] - first[2]) + 1)
    origin = volume.index_to_lps([first]).xyz[0]
    part = Geometry(size, volume.spacing, origin, volume.direction)
    return Window((int(first[0]), int(first[1]), int(first[2])), part)


@torch.no_grad()
def carried_share(
    mask: SegmentMask, field: DisplacementField, window: Geometry
) -> NDArray[np.float32]:
    """How much of every voxel (k, j, i) of a window belongs to the mask, 0 to 1."""
    device = field.values.device
    moving = torch.as_tensor(mask.voxels, device=device).float()[None, None]
    to_lps = torch.as_tensor(window.ijk_to_lps, dtype=torch.float32, device=device)
    inverse = np.linalg.inv(mask.geometry.ijk_to_lps)
    to_index = torch.as_tensor(inverse, dtype=torch.float32, device=device)

    i, j, k = window.size
    rows = max(1, _CHUNK // (i * j))
    parts = []
    for begin in range(0, k, rows):
        places = _voxels((i, j, min(rows, k - begin)), begin, device)
        lps = places @ to_lps[:3, :3].T + to_lps[:3, 3]
        index = field.carry(lps) @ to_index[:3, :3].T + to_index[:3, 3]
        index = index.reshape(-1, j, i, 3).flip(-1)
        parts.append(sample_trilinear(moving, index, "zeros")[0, 0])
    share: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
    return share


def _voxels(size: tuple[int, int, int], first_k: int, device: torch.device) -> Tensor:
    """Indices i, j, k of a slab of voxels, (n, 3), i fastest."""
    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in reversed(size)]
    axes[0] = axes[0] + first_k
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).flip(-1)
