"""The latent field.

The network's answer for every cell of a volume, with the cells' positions in LPS mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ..image.hounsfield import AIR_HU, TISSUE_HU
from ..image.resampling import IsotropicVolume
from .dense_pass import DensePass
from .devices import fast_dtype
from .network_config import PnetConfig
from .relative_offset import sample_points

#: A cell votes if more than this share of its voxels is tissue.
TISSUE_FRACTION = 0.2


@dataclass(frozen=True, eq=False)
class LatentField:
    """Latents and descriptors of all cells of one volume.

    Attributes:
        values: (1, 3 + descriptor, d, h, w) float32; channels 0-2 are the latent ``p`` (Eq. 2), x,
            y, z.
        origin: (3,) x, y, z LPS mm of the centre of cell (0, 0, 0); cells run along +S, +P, +L (z,
            y, x).
        cell_mm: distance of neighbouring cells.
        body: (d, h, w) bool, the cells that hold tissue: the starts of the multi-run ensemble.
    """

    values: Tensor
    origin: Tensor
    cell_mm: float
    body: Tensor

    def to_index(self, lps: Tensor) -> Tensor:
        """(n, 3) x, y, z LPS mm -> (n, 3) cell index z, y, x."""
        return ((lps - self.origin) / self.cell_mm).flip(-1)

    def at(self, lps: Tensor) -> Tensor:
        """Values (n, 3 + descriptor) at LPS positions (n, 3), trilinear.

        The border's value outside.
        """
        return sample_points(self.values, self.to_index(lps))

    def body_cells(self) -> tuple[Tensor, Tensor]:
        """LPS positions (n, 3) and values (n, 3 + descriptor) of the cells that hold tissue."""
        index = torch.nonzero(self.body)
        position = index.flip(-1).float() * self.cell_mm + self.origin
        return position, self.values[0][:, self.body].T

    @cached_property
    def unit_descriptors(self) -> Tensor:
        """(d, h, w, descriptor) of length 1, together for every cell.

        Made once, as every target reads them.
        """
        return F.normalize(self.values[0, 3:], dim=0).permute(1, 2, 3, 0).contiguous()


def aligned(hu: npt.NDArray[np.float32] | Tensor, alignment: int) -> Tensor:
    """Fill HU (D, H, W) up with air to multiples of ``alignment``: (1, 1, D', H', W') float32.

    It is filled at the far ends.
    """
    padding = [p for n in reversed(hu.shape) for p in (0, -n % alignment)]
    values = hu if isinstance(hu, Tensor) else torch.from_numpy(np.ascontiguousarray(hu))
    return F.pad(values.float()[None, None], padding, value=AIR_HU)


def tissue_cells(hu: Tensor, stride: int) -> Tensor:
    """Return which cells hold tissue, and so vote: HU (1, 1, D, H, W) -> (d, h, w) bool.

    The training draws its query cells by the same rule, so that the cells that vote are those that
    were trained.
    """
    return F.avg_pool3d((hu > TISSUE_HU).float(), stride)[0, 0] > TISSUE_FRACTION


@torch.no_grad()
def compute_field(
    network: torch.nn.Module | DensePass,
    config: PnetConfig,
    grid: IsotropicVolume,
    device: torch.device,
    dtype: torch.dtype | None = None,
) -> LatentField:
    """One dense pass over ``grid``.

    Args:
        network: Pnet, its TorchScript form, or its dense pass, on ``device``.
        config: its shape.
        grid: the CT at the network's spacing.
        device: where it is computed.
        dtype: bfloat16 or float32; the device's fast one if None.
    """
    hu = aligned(grid.hu, config.alignment).to(device)
    origin = torch.tensor(grid.origin, dtype=torch.float32, device=device)
    return field_of_tensor(
        network, config, hu, origin, grid.spacing, fast_dtype(device) if dtype is None else dtype
    )


@torch.no_grad()
def field_of_tensor(
    network: torch.nn.Module | DensePass,
    config: PnetConfig,
    hu: Tensor,
    origin: Tensor,
    spacing: float,
    dtype: torch.dtype,
) -> LatentField:
    """Make one dense pass over HU (1, 1, D, H, W) with aligned edges.

    Its voxel 0, 0, 0 lies at ``origin`` (x, y, z mm).
    """
    tissue = tissue_cells(hu, config.stride)
    values = _values(network, hu, dtype)
    return LatentField(
        values, origin + spacing * config.first_cell, spacing * config.stride, tissue
    )


def _values(network: torch.nn.Module | DensePass, hu: Tensor, dtype: torch.dtype) -> Tensor:
    if isinstance(network, DensePass):
        return network(hu, dtype)
    with torch.autocast(hu.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
        values: Tensor = network(hu.contiguous(memory_format=torch.channels_last_3d)).float()
    return values
