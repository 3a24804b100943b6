"""Where a patient lies in atlas space: an affine map and a smooth displacement."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rprloc.model.relative_offset import sample_points

# The displacement is smooth, so that each round of the inverse shrinks its error several times.
INVERSE_ROUNDS = 12

Affine = tuple[Tensor, Tensor]  # from atlas space: matrix (3, 3) and shift (3,) mm


@dataclass(frozen=True)
class Lattice:
    """Points of atlas space on an axis-parallel lattice.

    Attributes:
        origin: (3,) x, y, z mm of the first point; the others follow along +S, +P, +L.
        cell_mm: distance of neighbours.
        shape: points along z, y, x.
    """

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
        """The same block, whose edges must be multiples of ``cell_mm``, at another density."""
        shape = [round((n - 1) * self.cell_mm / cell_mm) + 1 for n in self.shape]
        return Lattice(self.origin, cell_mm, (shape[0], shape[1], shape[2]))

    def part(self, other: Lattice) -> tuple[slice, slice, slice]:
        """Where the points of ``other``, which are all points of this one too, lie in it."""
        z, y, x = (round(n) for n in self.to_index(other.origin).tolist())
        depth, height, width = other.shape
        return slice(z, z + depth), slice(y, y + height), slice(x, x + width)


@dataclass(frozen=True)
class Placement:
    """The map from atlas space to a patient, ``x -> (x + displacement(x)) matrix^T + shift``.

    All positions are x, y, z mm; those of the patient are LPS.

    Attributes:
        matrix: (3, 3).
        shift: (3,).
        displacement: (1, 3, d, h, w) x, y, z mm at the points of ``lattice``; trilinear between,
            its border beyond.
        lattice: where the displacement is given.
    """

    matrix: Tensor
    shift: Tensor
    displacement: Tensor
    lattice: Lattice

    def to_patient(self, atlas_mm: Tensor) -> Tensor:
        """(n, 3) mm in atlas space -> (n, 3) mm in the patient."""
        moved: Tensor = (atlas_mm + self._displacement_at(atlas_mm)) @ self.matrix.T + self.shift
        return moved

    def to_atlas(self, patient_mm: Tensor) -> Tensor:
        """(n, 3) mm in the patient -> (n, 3) mm in atlas space, by fixed-point iteration."""
        straight = (patient_mm - self.shift) @ torch.linalg.inv(self.matrix).T
        atlas_mm: Tensor = straight
        for _ in range(INVERSE_ROUNDS):
            atlas_mm = straight - self._displacement_at(atlas_mm)
        return atlas_mm

    def _displacement_at(self, atlas_mm: Tensor) -> Tensor:
        return sample_points(self.displacement, self.lattice.to_index(atlas_mm))
