"""The training CTs in memory: int16 HU on isotropic grids, cropped to the body, with points to draw from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rprloc.errors import InputError, RprLocError
from rprloc.image.hounsfield import TISSUE_HU
from rprloc.image.reading import stem_of
from rprloc.image.resampling import IsotropicVolume, to_grid

from ..random_stream import RandomStream
from .sources import ImageSource, held_out

BODY_POINTS = 20_000


@dataclass(frozen=True)
class TrainingVolume:
    """One CT: ``hu`` int16 (D, H, W) on an isotropic grid, ``body`` (n, 3) int16 voxels (z, y, x) that hold tissue.

    ``origin``: (3,) x, y, z LPS mm of the centre of voxel 0, 0, 0; ``spacing``: mm along every
    axis; ``group``: equal for CTs of one patient, empty where the CT is its only one.
    """

    name: str
    hu: Tensor
    body: Tensor
    origin: Tensor
    spacing: float
    group: str = ""

    @classmethod
    def from_grid(cls, name: str, grid: IsotropicVolume) -> TrainingVolume:
        """Draw the body points of a grid; the same grid gives the same points."""
        hu = torch.from_numpy(np.round(grid.hu).astype(np.int16))
        voxels = torch.nonzero(hu > TISSUE_HU)
        if len(voxels) < 100:
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
    """Read and resample CTs to ``spacing`` mm; those that cannot be used are reported and left out.

    ``progress`` gets (done, total) before each. Raises InputError if fewer than two remain.
    """
    volumes = []
    for number, given in enumerate(sources):
        progress(number, len(sources))
        source = ImageSource(given, name=stem_of(given)) if isinstance(given, Path) else given
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                grid = to_grid(source.read(), spacing)
            volumes.append(replace(TrainingVolume.from_grid(source.name, grid), group=source.group))
        except RprLocError as error:
            report(f"left out: {error}")
    if len(volumes) < 2:
        raise InputError(f"{len(volumes)} usable CTs: at least 2 are needed to train")
    return volumes


def split_held_out(
    volumes: list[TrainingVolume], fraction: float = 0.05
) -> tuple[list[TrainingVolume], list[TrainingVolume]]:
    """(training, held out); see ``rprtrain.data.sources.held_out``."""
    held = held_out([(v.group, v.name) for v in volumes], fraction)
    pairs = list(zip(volumes, held, strict=True))
    return [v for v, out in pairs if not out], [v for v, out in pairs if out]
