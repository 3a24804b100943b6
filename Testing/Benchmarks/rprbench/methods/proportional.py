"""Proportional mapping: every wall keeps its place relative to the bounding box of the body.

No image is looked at.

Who does not beat this has learned nothing of the anatomy. The body's box ends where the scan ends,
so the mapping is off along z as far as the fields of view of two patients differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rprloc.geometry import Box
from rprloc.image.hounsfield import AIR_HU
from rprloc.image.resampling import to_grid
from rprloc.image.volume import Volume

from ..core.cohort import Patient
from ..core.method import Answers, Detection, Method

SPACING_MM = 4.0


class Proportional(Method):
    """The walls of the reference's box as fractions of its body's box, applied to the query's."""

    name = "proportional"

    @property
    def variants(self) -> dict[str, str]:
        """The only variant."""
        return {"proportional": "Proportional mapping of the body's box"}

    def prepare(self, reference: Patient) -> dict[str, np.ndarray]:
        """Organ -> its walls in units of the body's box."""
        body = body_box(reference.volume)
        return {
            organ: fractions(target.box, body)
            for organ, target in reference.organs.items()
            if target.box
        }

    def encode(self, query: Volume) -> Box:
        """Bounding box of the body."""
        return body_box(query)

    def find(self, encoded: Box, prepared: dict[str, np.ndarray], organs: Sequence[str]) -> Answers:
        """Put every wall at the same place of the query's body."""
        walls = {organ: encoded.lower + prepared[organ] * encoded.size for organ in organs}
        return {"proportional": {organ: Detection(Box(*both)) for organ, both in walls.items()}}


def body_box(volume: Volume) -> Box:
    """Bounding box of the body, LPS mm, to 4 mm."""
    grid = to_grid(volume, SPACING_MM, body_only=True)
    used = np.argwhere(grid.hu > AIR_HU)
    ends = grid.zyx_to_lps(np.stack([used.min(0) - 0.5, used.max(0) + 0.5]))
    return Box(ends[0], ends[1])


def fractions(box: Box, body: Box) -> np.ndarray:
    """Lower and upper walls (2, 3) of a box in units of the body's box.

    0 is its lower wall, 1 its upper.
    """
    return (np.stack([box.lower, box.upper]) - body.lower) / body.size
