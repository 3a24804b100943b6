"""The voxels of one segment, cut to its extent, and how it looks; as JSON in few bytes."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import Geometry

#: A mask of more voxels than this is refused: a file of few bytes must not fill the memory.
MOST_VOXELS = 500_000_000

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SegmentMask:
    """A segment as drawn or carried.

    Attributes:
        voxels: (k, j, i).
        geometry: their lattice, LPS mm.
        look: what a segmentation file says of it beside its voxels (``Color``, ``Tags``, ...),
            text by key as in a .seg.nrrd without the ``SegmentN_``.
    """

    voxels: Mask
    geometry: Geometry
    look: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON object; the voxels as run lengths, the first run outside."""
        flat = self.voxels.ravel()
        ends = np.flatnonzero(np.diff(flat)) + 1
        starts_inside = [0] if len(flat) and flat[0] else []
        edges = np.concatenate([[0], starts_inside, ends, [len(flat)]])
        runs = np.diff(edges).astype("<u4")
        data: dict[str, Any] = {
            "size": list(self.geometry.size),
            "ijk_to_lps": np.round(self.geometry.ijk_to_lps, 6).tolist(),
            "runs": base64.b64encode(zlib.compress(runs.tobytes(), 9)).decode("ascii"),
        }
        return {**data, "look": dict(self.look)} if self.look else data

    @classmethod
    def from_json(cls, data: Any) -> SegmentMask:
        """Inverse of ``to_json``; raises ValueError, KeyError, TypeError for anything else."""
        i, j, k = (int(n) for n in data["size"])
        if min(i, j, k) < 1 or i * j * k > MOST_VOXELS:
            raise ValueError("a mask of an impossible size")
        try:
            packed = base64.b64decode(data["runs"], validate=True)
            # A run takes four bytes and holds at least one voxel, but for the first.
            raw = zlib.decompressobj().decompress(packed, 4 * (i * j * k + 1))
            geometry = Geometry.from_matrix(data["ijk_to_lps"], (i, j, k))
        except (binascii.Error, zlib.error, InputError) as error:
            raise ValueError(f"a mask cannot be read: {error}") from error
        runs = np.frombuffer(raw[: len(raw) // 4 * 4], "<u4").astype(np.int64)
        if runs.sum() != i * j * k:
            raise ValueError("the runs of a mask do not fill it")
        inside = np.arange(len(runs)) % 2 == 1
        look = data.get("look", {})
        if not isinstance(look, dict) or not all(isinstance(v, str) for v in look.values()):
            raise TypeError("the look of a mask is no object of texts")
        return cls(np.repeat(inside, runs).reshape(k, j, i), geometry, look)


def occupied(mask: Mask) -> list[tuple[int, int]]:
    """First and last index along k, j, i of a mask that is not empty."""
    used = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    return [(int(indices[0]), int(indices[-1])) for indices in used]
