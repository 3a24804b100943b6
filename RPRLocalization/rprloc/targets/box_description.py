"""The walls of a box in words, as a DICOM structure carries them beside its contours."""

from __future__ import annotations

import re

import numpy as np

from ..errors import InputError
from ..geometry import Box

_NUMBER = r"(-?\d{1,6}(?:\.\d{1,6})?)"
_PATTERN = re.compile(rf"RPRLoc box, LPS mm: {' '.join([_NUMBER] * 6)}(?![\d.])")


def describe_box(box: Box) -> str:
    """Return the lower and upper corner of a box as a text."""
    numbers = " ".join(f"{value:.3f}" for value in (*box.lower, *box.upper))
    return f"RPRLoc box, LPS mm: {numbers}"


def described_box(text: str) -> Box | None:
    """Return the box of a text that ``describe_box`` wrote; None for any other."""
    found = _PATTERN.search(text)
    if found is None:
        return None
    numbers = np.array([float(number) for number in found.groups()])
    try:
        return Box(numbers[:3], numbers[3:])
    except InputError:
        return None
