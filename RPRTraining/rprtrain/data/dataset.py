"""The training CTs in memory: int16 HU on isotropic grids, with body points to draw from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rprloc.errors import InputError, RprLocError
from rprloc.formats.reading import stem_of
from rprloc.image.hounsfield import TISSUE_HU
from rprloc.image.resampling import IsotropicVolume, to_grid

from ..random_stream import RandomStream
from .sources import ImageSource, held_out

# Enough that points are rarely drawn twice in a training; more would only cost memory.
BODY_POINTS = 20_000
# Fewer voxels of tissue than this are no body.
LEAST_BODY_VOXELS = 100
LEAST_CTS = 2
HELD_OUT_SHARE = 0.05


@dataclass(frozen=True)
class TrainingVolume:
    """One CT.

    Attributes:
        name: unique among the CTs of a training.
        hu: (D, H, W) int16 on an isotropic grid.
        body: (n, 3) int16 voxels (z, y, x) that hold tissue.
        origin: (3,) x, y, z LPS mm of the centre of voxel 0, 0, 0.
        spacing: mm along every axis.
        group: equal for CTs of one patient, empty where the CT is its only one.
    """

    name: str
    hu: Tensor
    body: Tensor
    origin: Tensor
    spacing: float
    group: str = ""

    @classmethod
    def from_grid(cls, name: str, grid: IsotropicVolume) -> TrainingVolume:
        """Draw the body points of a grid, always the same for a name and grid.

        Raises:
            InputError: if it holds no body.
        """
        hu = torch.from_numpy(np.round(grid.hu).astype(np.int16))
        voxels = torch.nonzero(hu > TISSUE_HU)
        if len(voxels) < LEAST_BODY_VOXELS:
            raise InputError(f"{name}: there is no body in this volume")
        picked = voxels[RandomStream("body", name).choose(len(voxels), BODY_POINTS)]
        origin = torch.tensor(grid.origin, dtype=torch.float32)
        return cls(name, hu, picked.to(torch.int16), origin, grid.spacing)

    def to(self, device: torch.device) -> TrainingVolume:
        """The same volume on a device."""
        return replace(
            self, hu=self.hu.to(device), body=self.body.to(device), origin=self.origin.to(device)
        )

    def to_voxels(self, mm: Tensor) -> Tensor:
        """(..., 3) x, y, z LPS mm -> (..., 3) voxels z, y, x."""
        return ((mm - self.origin) / self.spacing).flip(-1)

    def to_mm(self, voxels: Tensor) -> Tensor:
        """(..., 3) voxels z, y, x -> (..., 3) x, y, z LPS mm."""
        return voxels.flip(-1) * self.spacing + self.origin


def load_volumes(
    sources: Sequence[ImageSource | Path],
    spacing: float,
    report: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[TrainingVolume]:
    """Read and resample CTs.

    Args:
        sources: the CTs; those that cannot be used are left out.
        spacing: mm of the isotropic grids.
        report: gets a line for each that is left out.
        progress: gets (done, total) before each.

    Raises:
        InputError: if fewer than two remain.
    """
    volumes = []
    for number, item in enumerate(sources):
        progress(number, len(sources))
        source = ImageSource(item, name=stem_of(item)) if isinstance(item, Path) else item
        try:
            grid = to_grid(source.read(), spacing)
            volumes.append(replace(TrainingVolume.from_grid(source.name, grid), group=source.group))
        except RprLocError as error:
            report(f"left out: {error}")

    if len(volumes) < LEAST_CTS:
        raise InputError(f"{len(volumes)} usable CTs: at least {LEAST_CTS} are needed to train")
    return volumes


def split_held_out(
    volumes: list[TrainingVolume], fraction: float = HELD_OUT_SHARE
) -> tuple[list[TrainingVolume], list[TrainingVolume]]:
    """Split into (training, held out) by patient; see ``rprtrain.data.sources.held_out``."""
    is_held_out = held_out([(v.group, v.name) for v in volumes], fraction)
    pairs = list(zip(volumes, is_held_out, strict=True))
    return [v for v, out in pairs if not out], [v for v, out in pairs if out]
