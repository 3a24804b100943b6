"""Points of a reference that are sought again in queries: a lattice in the body, and latents there.

They are what a dense map needs of the reference; no image.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError
from ..localization.embedding import EmbeddedVolume
from ..localization.example import ReferenceFields

#: Distance of neighbouring points; and how far around the organs they lie.
STEP_MM = 12.0
MARGIN_MM = 45.0
#: Around large organs the lattice is wider, so that there are not more points than this (time, and
#: memory: every fit weighs all pairs of them).
MOST_POINTS = 5_000
LEAST_POINTS = 30
#: In a file: positions in 1/16 mm, and descriptors, of length 1, in steps of 1/127.
_PER_MM, _LEVELS = 16.0, 127.0


@dataclass(frozen=True, eq=False)
class ControlPoints:
    """The lattice of one reference.

    Attributes:
        position: (N, 3) x, y, z LPS mm.
        coarse: (N, 3) latents of the coarse network (Eq. 2).
        descriptors: (N, D) of the fine network, each of length 1.
        first: (N,) bool, every second one along each axis, which the widest search is made for.
        step_mm: distance of neighbouring points.
    """

    position: Tensor
    coarse: Tensor
    descriptors: Tensor
    first: Tensor
    step_mm: float = STEP_MM

    def to(self, device: torch.device) -> ControlPoints:
        """The same on a device."""
        position, coarse = self.position.to(device), self.coarse.to(device)
        described, first = self.descriptors.to(device), self.first.to(device)
        return ControlPoints(position, coarse, described, first, self.step_mm)

    def to_json(self) -> dict[str, Any]:
        """JSON object of about 60 bytes per point."""
        return {
            "count": len(self.position),
            "step_mm": self.step_mm,
            "position": _packed((self.position * _PER_MM).round(), "<i4"),
            "coarse": _packed(self.coarse, "<f2"),
            "descriptors": _packed((self.descriptors * _LEVELS).round().clamp(-127, 127), "i1"),
            "first": _packed(self.first.float(), "u1"),
        }

    @classmethod
    def from_json(cls, data: Any) -> ControlPoints:
        """Inverse of ``to_json``; raises ValueError, KeyError, TypeError for anything else."""
        count = int(data["count"])
        if not 1 <= count <= 10 * MOST_POINTS:
            raise ValueError("an impossible number of control points")
        descriptors = F.normalize(_unpacked(data["descriptors"], "i1", count), dim=1)
        position = _unpacked(data["position"], "<i4", count) / _PER_MM
        coarse = _unpacked(data["coarse"], "<f2", count)
        first = _unpacked(data["first"], "u1", count)[:, 0] > 0
        if position.shape[1] != 3 or coarse.shape[1] != 3 or not coarse.isfinite().all():
            raise ValueError("control points are no positions and latents")
        step_mm = float(data["step_mm"])
        if not 1.0 <= step_mm <= 1000.0:
            raise ValueError("control points lie impossibly far apart")
        return cls(position, coarse, descriptors, first, step_mm)


def _packed(values: Tensor, kind: str) -> str:
    array = values.detach().cpu().numpy().astype(kind)
    return base64.b64encode(array.tobytes()).decode("ascii")


def _unpacked(text: Any, kind: str, count: int) -> Tensor:
    try:
        array = np.frombuffer(base64.b64decode(text, validate=True), kind)
    except binascii.Error as error:
        raise ValueError("control points are damaged") from error
    if len(array) == 0 or len(array) % count:
        raise ValueError("control points do not have the numbers that they say")
    return torch.from_numpy(array.reshape(count, -1).astype(np.float32))


def control_points(
    embedding: EmbeddedVolume, fields: ReferenceFields, around: Tensor | None = None
) -> ControlPoints:
    """The control points of an embedded reference.

    Args:
        embedding: of the reference.
        fields: its fields at several sizes.
        around: (n, 3) LPS mm, points of the organs; None for the whole body.

    Raises:
        InputError: the model has no fine network, or there is too little body.
    """
    if not fields.fine:
        raise InputError("contours need a model with a fine network: choose another model")
    field = fields.fine[0]
    cells = torch.nonzero(field.body)
    if around is not None:
        place = cells.flip(-1).float() * field.cell_mm + field.origin
        cells = cells[_is_near(place, around.to(place))]
    step = max(1, round(STEP_MM / field.cell_mm))
    index = _every(cells, step)
    while len(index) > MOST_POINTS:
        step += 1
        index = _every(cells, step)
    if len(index) < LEAST_POINTS:
        raise InputError(f"{embedding.name}: too little body around the segments for contours")

    position = index.flip(-1).float() * field.cell_mm + field.origin
    first = ((index // step) % 2 == 0).all(1)
    # Of few points all are needed from the beginning.
    if int(first.sum()) < LEAST_POINTS:
        first = torch.ones_like(first)
    with torch.inference_mode():
        coarse, fine = fields.coarse_at(position), fields.fine_at(position)[:, 3:]
        described = F.normalize(fine, dim=1)
    return ControlPoints(position, coarse, described, first, step * field.cell_mm)


def _every(cells: Tensor, step: int) -> Tensor:
    """The cells (n, 3) on every ``step``-th plane along each axis."""
    return cells[(cells % step == 0).all(1)]


def _is_near(place: Tensor, around: Tensor) -> Tensor:
    """Which places (n, 3) lie within the margin of some point (m, 3); in parts (memory)."""
    parts = [torch.cdist(p, around).amin(1) < MARGIN_MM for p in place.split(20_000)]
    return torch.cat(parts)
