"""A CT in a few words: how much bone, lung, muscle and fat there is in every cell of about 12 mm.

Kinds of tissue are alike in all patients, contrast phases and kernels, where gray values are not,
and cells of this size make the comparison of two CTs at every shift a matter of milliseconds.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..image.hounsfield import AIR_HU

CELL_MM = 12.0
# Full shares are reached over some 50 HU, so that noise moves nothing from one kind to another.
BONE_HU = (120.0, 520.0)
LUNG_HU = (-700.0, -400.0)
MUSCLE_HU = ((-20.0, 20.0), (70.0, 130.0))
FAT_HU = ((-170.0, -130.0), (-60.0, -20.0))
KINDS = 4
# In a file a share is one of so many steps, and a sketch holds at most so many cells (2.4 m of
# a body as wide as any scanner's bore).
LEVELS = 15
MOST_CELLS = 1_000_000


@dataclass(frozen=True, eq=False)
class Sketch:
    """Shares of tissue.

    Attributes:
        name: of the CT.
        shares: (4, D, H, W) from 0 to 1: bone, lung and other gas in the body, muscle, fat.
        origin: (3,) x, y, z LPS mm of the centre of cell 0, 0, 0.
        cell_mm: edge of a cell, the same along all axes.
    """

    name: str
    shares: Tensor
    origin: Tensor
    cell_mm: float

    @classmethod
    def of(cls, name: str, hu: Tensor, origin: Tensor, spacing: float) -> Sketch:
        """The sketch of a CT; its topmost slices are left off where they do not fill a cell.

        Args:
            name: of the CT.
            hu: (D, H, W) HU on an isotropic grid, ``AIR_HU`` outside of the body.
            origin: (3,) x, y, z LPS mm of voxel 0, 0, 0.
            spacing: mm.
        """
        factor = max(1, round(CELL_MM / spacing))
        depth, height, width = hu.shape
        kinds = _kinds(hu[: max(factor, depth // factor * factor)].float())
        padding = (0, -width % factor, 0, -height % factor, 0, -len(kinds[0]) % factor)
        shares = F.avg_pool3d(F.pad(kinds, padding)[None], factor)[0]
        middle = origin.float() + (factor - 1) / 2 * spacing
        return cls(name, shares, middle, factor * spacing)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along z, y, x."""
        depth, height, width = self.shares.shape[1:]
        return depth, height, width

    @cached_property
    def smooth(self) -> Tensor:
        """The shares (4, D, H, W), each cell with its neighbours."""
        return F.avg_pool3d(self.shares[None], 3, 1, 1, count_include_pad=False)[0]

    def to_mm(self, index: Tensor) -> Tensor:
        """(..., 3) cell index z, y, x -> (..., 3) x, y, z LPS mm."""
        return index.flip(-1) * self.cell_mm + self.origin

    def to_index(self, mm: Tensor) -> Tensor:
        """(..., 3) x, y, z LPS mm -> (..., 3) cell index z, y, x."""
        return ((mm - self.origin) / self.cell_mm).flip(-1)

    def cells(self) -> Tensor:
        """(D, H, W, 3) index z, y, x of every cell."""
        axes = [torch.arange(n, dtype=torch.float32, device=self.origin.device) for n in self.shape]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)

    def to(self, device: torch.device) -> Sketch:
        """The same sketch on a device."""
        return Sketch(self.name, self.shares.to(device), self.origin.to(device), self.cell_mm)

    def to_json(self) -> dict[str, Any]:
        """JSON object: shares in steps of a fifteenth, compressed."""
        levels = (self.shares * LEVELS).round().to(torch.uint8).cpu().numpy()
        packed = zlib.compress(levels.tobytes(), 9)
        return {
            "cell_mm": self.cell_mm,
            "origin_mm": [round(float(n), 2) for n in self.origin],
            "shape": list(self.shape),
            "shares": base64.b64encode(packed).decode("ascii"),
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any]) -> Sketch:
        """Inverse of ``to_json``; raises ValueError, KeyError or TypeError for anything else."""
        shape = tuple(int(n) for n in data["shape"])
        count = KINDS * int(np.prod(shape, dtype=np.int64))
        if len(shape) != 3 or min(shape) < 1 or count > KINDS * MOST_CELLS:
            raise ValueError("a sketch has an impossible size")
        try:
            unpacker = zlib.decompressobj()
            raw = unpacker.decompress(base64.b64decode(data["shares"], validate=True), count + 1)
        except (binascii.Error, zlib.error) as error:
            raise ValueError(f"a sketch is damaged ({error})") from error
        levels = np.frombuffer(raw, dtype=np.uint8)
        if len(levels) != count or levels.max() > LEVELS:
            raise ValueError("a sketch does not hold what its size says")

        origin, cell = np.asarray(data["origin_mm"], dtype=np.float32), float(data["cell_mm"])
        if origin.shape != (3,) or not np.isfinite(origin).all() or not 0.5 < cell < 100.0:
            raise ValueError("a sketch has an impossible lattice")
        shares = torch.from_numpy(levels.reshape(KINDS, *shape).astype(np.float32)) / LEVELS
        return cls(name, shares, torch.from_numpy(origin), cell)


def _kinds(hu: Tensor) -> Tensor:
    """HU (D, H, W), ``AIR_HU`` outside of the body -> shares of each kind (4, D, H, W)."""
    in_body = (hu > AIR_HU).float()
    lung = (1.0 - _rising(hu, *LUNG_HU)) * in_body
    return torch.stack([_rising(hu, *BONE_HU), lung, _band(hu, *MUSCLE_HU), _band(hu, *FAT_HU)])


def _rising(hu: Tensor, low: float, high: float) -> Tensor:
    return ((hu - low) / (high - low)).clamp(0.0, 1.0)


def _band(hu: Tensor, low: tuple[float, float], high: tuple[float, float]) -> Tensor:
    return _rising(hu, *low) * (1.0 - _rising(hu, *high))
