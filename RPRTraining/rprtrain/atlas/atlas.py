"""The atlas: where every training CT lies in one common space, found without labels.

Eq. 3 of the paper ties latents inside one CT only. The atlas says what corresponds in different
patients, so that pairs across them can be trained on as well; ``rprtrain.atlas.building`` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rprloc.errors import InputError

from ..checkpoint import load_checkpoint, save_checkpoint
from .placement import Lattice, Placement

# Distances of the points at which displacements and the mean CT are given.
CONTROL_MM, MEAN_MM = 12.0, 4.0


@dataclass(frozen=True)
class Atlas:
    """The placements of CTs in atlas space.

    Attributes:
        placements: by CT name.
        mean: (1, 1, D, H, W) the mean CT (windowed, 0 to 1).
        lattice: where it is given.
    """

    placements: dict[str, Placement]
    mean: Tensor
    lattice: Lattice

    def map_points(self, source: str, target: str, mm: Tensor) -> Tensor:
        """(n, 3) mm in the CT ``source`` -> the same anatomy in the CT ``target``, (n, 3) mm."""
        return self.placements[target].to_patient(self.placements[source].to_atlas(mm))

    def save(self, path: Path) -> None:
        """Write it atomically (tensors and names only); raises OutputError."""
        placements = self.placements.values()
        state = {
            "names": list(self.placements),
            "matrix": torch.stack([p.matrix for p in placements]).cpu(),
            "shift": torch.stack([p.shift for p in placements]).cpu(),
            "displacement": [p.displacement.half().cpu() for p in placements],
            "corner": torch.stack([p.lattice.origin for p in placements]).cpu(),
            "frame": self.mean.half().cpu(),
            "origin": self.lattice.origin.cpu(),
        }
        save_checkpoint(path, state)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> Atlas:
        """Read what ``save`` wrote onto a device; raises InputError if it is missing or damaged."""
        state = load_checkpoint(path, device, required=())
        try:
            depth, height, width = (int(n) for n in state["frame"].shape[2:])
            lattice = Lattice(state["origin"], MEAN_MM, (depth, height, width))
            parts = (state[key] for key in ("matrix", "shift", "displacement", "corner"))
            placements = {
                name: _placement(*part)
                for name, part in zip(state["names"], zip(*parts, strict=True), strict=True)
            }
            return cls(placements, state["frame"].float(), lattice)
        except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise InputError(
                f"{path}: this is not an atlas of rprloc train ({type(error).__name__})"
            ) from error


def _placement(matrix: Tensor, shift: Tensor, displacement: Tensor, corner: Tensor) -> Placement:
    depth, height, width = (int(n) for n in displacement.shape[2:])
    control = Lattice(corner, CONTROL_MM, (depth, height, width))
    return Placement(matrix, shift, displacement.float(), control)
