"""A dense map from a query to a reference: one displacement per node of a lattice."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..model.relative_offset import sample_points

#: A map that folds is smoothed so often at most.
MOST_SMOOTHINGS = 20
#: The Jacobian of a map that does not fold is above this everywhere.
LEAST_JACOBIAN = 0.0


@dataclass(frozen=True, eq=False)
class DisplacementField:
    """``y = x + u(x)``: from points of the query to points of the reference.

    Attributes:
        values: (D, H, W, 3) the displacement x, y, z in mm (LPS) at every node; linear in between.
        origin: (3,) x, y, z LPS mm of node 0, 0, 0; nodes run along +S, +P, +L (z, y, x).
        spacing_mm: distance of neighbouring nodes.
        smoothings: how often it had to be smoothed so that it does not fold.
    """

    values: Tensor
    origin: Tensor
    spacing_mm: float
    smoothings: int = 0

    def carry(self, lps: Tensor) -> Tensor:
        """Where points (n, 3) of the query lie in the reference, LPS mm.

        Beyond the lattice its border's displacement goes on.
        """
        index = ((lps - self.origin) / self.spacing_mm).flip(-1)
        return lps + sample_points(self.values.permute(3, 0, 1, 2)[None], index)

    def least_jacobian(self) -> float:
        """The smallest determinant of the map's derivative over all corners of all cells."""
        return float(_jacobians(self.values, self.spacing_mm).min())

    def folded_share(self) -> float:
        """Share of the cells' corners where the map folds."""
        folded = _jacobians(self.values, self.spacing_mm) <= LEAST_JACOBIAN
        return float(folded.float().mean())

    def unfolded(self) -> DisplacementField:
        """The same map, smoothed around its folds as often as needed, but not for ever."""
        current = self
        while current.least_jacobian() <= LEAST_JACOBIAN and current.smoothings < MOST_SMOOTHINGS:
            current = replace(
                current, values=_smoothed_at_folds(current), smoothings=current.smoothings + 1
            )
        return current

    def to_json(self) -> dict[str, Any]:
        """JSON object; displacements as float32."""
        packed = self.values.cpu().numpy().astype("<f4").tobytes()
        return {
            "shape": list(self.values.shape[:3]),
            "origin": [float(v) for v in self.origin],
            "spacing_mm": self.spacing_mm,
            "values": base64.b64encode(packed).decode("ascii"),
        }


def _jacobians(values: Tensor, spacing_mm: float) -> Tensor:
    """Determinants at the eight corners of every cell, (8, D - 1, H - 1, W - 1).

    The map is linear along every edge, so that the edges that meet in a corner are its derivative
    there.
    """
    steps = [values.diff(dim=axis) / spacing_mm for axis in (2, 1, 0)]
    unit = torch.eye(3, device=values.device)
    found = []
    for corner in range(8):
        z, y, x = (corner >> 2) & 1, (corner >> 1) & 1, corner & 1
        along_x = _cells(steps[0], (z, y, None))
        along_y = _cells(steps[1], (z, None, x))
        along_z = _cells(steps[2], (None, y, x))
        found.append(_determinant(along_x + unit[0], along_y + unit[1], along_z + unit[2]))
    return torch.stack(found)


def _determinant(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Of the matrices with these columns (..., 3); much faster than a decomposition of each."""
    found: Tensor = (a * torch.linalg.cross(b, c)).sum(-1)
    return found


def _cells(step: Tensor, corner: tuple[int | None, int | None, int | None]) -> Tensor:
    """The steps that begin or end in one corner of each cell; None along the step itself."""
    for axis, side in enumerate(corner):
        if side is not None:
            step = step.narrow(axis, side, step.shape[axis] - 1)
    return step


def _smoothed_at_folds(field: DisplacementField) -> Tensor:
    """Displacements averaged over neighbours where a cell near them folds."""
    folded = (_jacobians(field.values, field.spacing_mm) <= LEAST_JACOBIAN).any(0).float()
    near = F.max_pool3d(F.pad(folded[None, None], (2, 2, 2, 2, 2, 2)), 4, 1)[0, 0]
    channels = field.values.permute(3, 0, 1, 2)[None]
    padded = F.pad(channels, (1, 1, 1, 1, 1, 1), mode="replicate")
    smooth = F.avg_pool3d(padded, 3, 1)[0].permute(1, 2, 3, 0)
    return torch.where(near[..., None] > 0, smooth, field.values)


def lattice(lower: Tensor, upper: Tensor, spacing_mm: float) -> tuple[Tensor, tuple[int, ...]]:
    """Nodes that fill a box: positions (n, 3) LPS mm, x fastest, and their counts z, y, x."""
    counts = [max(2, int(n) + 1) for n in torch.ceil((upper - lower) / spacing_mm)]
    axes = [torch.arange(n, dtype=torch.float32, device=lower.device) for n in reversed(counts)]
    index = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    return index.flip(-1) * spacing_mm + lower, tuple(reversed(counts))


def as_array(field: DisplacementField) -> np.ndarray:
    """The displacements (D, H, W, 3) float64, x, y, z LPS mm."""
    values: np.ndarray = field.values.cpu().numpy().astype(np.float64)
    return values
