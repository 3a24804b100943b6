"""The walls of a box in words, as a DICOM structure carries them beside its contours.

With the walls stands how many contours there are, and from where to where: walls rarely lie on
slices, and a box may reach beyond the scan, but contours that were edited are told by that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..geometry import Box

_NUMBER = r"(-?\d{1,6}(?:\.\d{1,6})?)"
_PATTERN = re.compile(
    rf"RPRLoc box, LPS mm: {' '.join([_NUMBER] * 6)}; (\d{{1,6}}) contours, "
    rf"z {_NUMBER} to {_NUMBER}(?![\d.])"
)


@dataclass(frozen=True, eq=False)
class DescribedBox:
    """A box, and the contours that were drawn of it: their number, and the first and last z, mm."""

    box: Box
    contours: int
    first: float
    last: float


def describe_box(box: Box, heights: Sequence[float]) -> str:
    """Return a box as a text; ``heights``: z of its contours, mm."""
    numbers = " ".join(f"{value:.3f}" for value in (*box.lower, *box.upper))
    where = f"{len(heights)} contours, z {min(heights):.3f} to {max(heights):.3f}"
    return f"RPRLoc box, LPS mm: {numbers}; {where}"


def described_box(text: str) -> DescribedBox | None:
    """Return the box of a text that ``describe_box`` wrote; None for any other."""
    found = _PATTERN.search(text)
    if found is None:
        return None
    *walls, count, first, last = found.groups()
    numbers = np.array([float(number) for number in walls])
    try:
        box = Box(numbers[:3], numbers[3:])
    except InputError:
        return None
    return DescribedBox(box, int(count), float(first), float(last))
