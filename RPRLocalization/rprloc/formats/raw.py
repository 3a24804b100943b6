"""What a reader hands over: voxels, their lattice, the header's texts, and what had to be said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from ..geometry import Geometry


@dataclass(frozen=True, eq=False)
class RawImage:
    """An image as its file holds it, before anyone judges whether it is a CT or a label map.

    Attributes:
        array: voxels (k, j, i), or (k, j, i, layer) for several numbers per voxel.
        geometry: its lattice, LPS mm.
        fields: texts of the header.
        notes: what the user should know although the file was accepted, one sentence each: what
            the file does not tell and what was taken instead.
    """

    array: npt.NDArray[Any]
    geometry: Geometry
    fields: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
