"""The training CTs in memory: int16 HU on isotropic grids, cropped to the body, with points to draw from."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rprloc.errors import InputError, RprLocError
from rprloc.resample import Grid, to_grid
from rprloc.volume import read_volume, stem_of

from .dice import Dice
from .views import BODY_HU

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
BODY_POINTS = 20_000


@dataclass(frozen=True)
class TrainingVolume:
    """One CT: ``hu`` int16 (D, H, W) on an isotropic grid, ``body`` (n, 3) int16 voxels (z, y, x) that hold tissue.

    ``origin``: (3,) x, y, z LPS mm of the centre of voxel 0, 0, 0; ``spacing``: mm along every axis.
    """

    name: str
    hu: Tensor
    body: Tensor
    origin: Tensor
    spacing: float

    @classmethod
    def from_grid(cls, name: str, grid: Grid) -> TrainingVolume:
        """Draw the body points of a grid; the same grid gives the same points."""
        hu = torch.from_numpy(np.round(grid.hu).astype(np.int16))
        voxels = torch.nonzero(hu > BODY_HU)
        if len(voxels) < 100:
            raise InputError(f"{name}: there is no body in this volume")
        picked = voxels[Dice("body", name).choose(len(voxels), BODY_POINTS)]
        origin = torch.tensor(grid.origin, dtype=torch.float32)
        return cls(name, hu, picked.to(torch.int16), origin, grid.spacing)

    def to(self, device: torch.device) -> TrainingVolume:
        """The same volume on a device."""
        return replace(self, hu=self.hu.to(device), body=self.body.to(device), origin=self.origin.to(device))

    def to_voxels(self, mm: Tensor) -> Tensor:
        """(..., 3) x, y, z LPS mm -> (..., 3) voxels z, y, x."""
        return ((mm - self.origin) / self.spacing).flip(-1)

    def to_mm(self, voxels: Tensor) -> Tensor:
        """(..., 3) voxels z, y, x -> (..., 3) x, y, z LPS mm."""
        return voxels.flip(-1) * self.spacing + self.origin


def find_images(folder: Path) -> list[Path]:
    """CT files and DICOM series folders (that hold .dcm files) under ``folder``, sorted; label maps are left out."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    files = [
        p
        for p in folder.rglob("*")
        if p.is_file() and p.name.lower().endswith(IMAGE_SUFFIXES) and not _is_label_map(p.name.lower())
    ]
    series = {p.parent for p in folder.rglob("*.dcm") if p.is_file()}
    return sorted([*files, *series])


def _is_label_map(name: str) -> bool:
    stem = name.split(".", 1)
    return ".labels." in name or ".seg." in name or "label" in stem[0].split("_")


def load_volumes(
    paths: Sequence[Path], spacing: float, report: Callable[[str], None] = lambda text: None
) -> list[TrainingVolume]:
    """Read and resample CTs to ``spacing`` mm; those that cannot be used are reported and left out.

    Raises InputError if fewer than two remain.
    """
    volumes = []
    for path in paths:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                grid = to_grid(read_volume(path), spacing)
            volumes.append(TrainingVolume.from_grid(stem_of(path), grid))
        except RprLocError as error:
            report(f"left out: {error}")
    if len(volumes) < 2:
        raise InputError(f"{len(volumes)} usable CTs: at least 2 are needed to train")
    return volumes


def split_held_out(
    volumes: list[TrainingVolume], fraction: float = 0.05
) -> tuple[list[TrainingVolume], list[TrainingVolume]]:
    """(training, held out) by a hash of the name: the same CT is always on the same side; at least 1 is held out."""
    ranked = sorted(volumes, key=lambda v: hashlib.sha256(v.name.encode()).hexdigest())
    count = min(len(volumes) - 1, max(1, round(fraction * len(volumes))))
    held = {id(v) for v in ranked[:count]}
    return [v for v in volumes if id(v) not in held], [v for v in volumes if id(v) in held]
