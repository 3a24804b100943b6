"""Where a patient lies in the common frame of all patients: an affine map and a smooth displacement."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..views.view import sample_field

INVERSE_ROUNDS = 12


@dataclass(frozen=True)
class Lattice:
    """``shape`` (z, y, x) points of the frame along +S, +P, +L, ``cell_mm`` apart, from ``origin`` (x, y, z mm)."""

    origin: Tensor
    cell_mm: float
    shape: tuple[int, int, int]

    def points(self) -> Tensor:
        """(D, H, W, 3) x, y, z mm of every point."""
        axes = [
            torch.arange(n, dtype=torch.float32, device=self.origin.device) * self.cell_mm
            for n in self.shape
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flip(-1) + self.origin

    def to_index(self, mm: Tensor) -> Tensor:
        """(n, 3) x, y, z mm -> (n, 3) fractional index z, y, x."""
        return ((mm - self.origin) / self.cell_mm).flip(-1)

    def with_cells(self, cell_mm: float) -> Lattice:
        """A lattice of other density over the same block, whose edges must be multiples of ``cell_mm``."""
        shape = [round((n - 1) * self.cell_mm / cell_mm) + 1 for n in self.shape]
        return Lattice(self.origin, cell_mm, (shape[0], shape[1], shape[2]))


@dataclass(frozen=True)
class Placement:
    """The map from the frame to a patient, ``x -> (x + displacement(x)) matrix^T + shift``, all x, y, z mm.

    Attributes:
        matrix: (3, 3). shift: (3,).
        displacement: (1, 3, d, h, w) x, y, z mm at the points of ``lattice``; trilinear between,
            its border beyond.
    """

    matrix: Tensor
    shift: Tensor
    displacement: Tensor
    lattice: Lattice

    def to_patient(self, frame: Tensor) -> Tensor:
        """(n, 3) mm in the frame -> (n, 3) mm in the patient."""
        moved: Tensor = (frame + self._displacement_at(frame)) @ self.matrix.T + self.shift
        return moved

    def to_frame(self, patient: Tensor) -> Tensor:
        """(n, 3) mm in the patient -> (n, 3) mm in the frame, by fixed-point iteration."""
        straight = (patient - self.shift) @ torch.linalg.inv(self.matrix).T
        frame: Tensor = straight
        for _ in range(INVERSE_ROUNDS):
            frame = straight - self._displacement_at(frame)
        return frame

    def _displacement_at(self, frame: Tensor) -> Tensor:
        return sample_field(self.displacement, self.lattice.to_index(frame))
