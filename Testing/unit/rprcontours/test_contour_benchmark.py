"""The benchmark of contours: its measures, and the cases that its table compares."""

from __future__ import annotations

import numpy as np
import pytest
from rprcontours.agreement import agreement
from rprcontours.report import tables

from rprloc.geometry import Geometry

LATTICE = Geometry((20, 20, 20), np.array([2.0, 2.0, 2.0]), np.zeros(3), np.eye(3))


def cube(first: int, size: int = 8) -> np.ndarray:
    """A cube that begins ``first`` voxels along i."""
    mask = np.zeros((20, 20, 20), bool)
    mask[5 : 5 + size, 5 : 5 + size, first : first + size] = True
    return mask


def test_the_same_mask_agrees_wholly() -> None:
    found = agreement(cube(5), cube(5), LATTICE)
    assert (found.dice, found.surface_mm, found.hd95_mm) == (100.0, 0.0, 0.0)


def test_a_shift_is_measured_in_mm() -> None:
    found = agreement(cube(7), cube(5), LATTICE)
    assert found.dice == pytest.approx(75.0)
    assert found.hd95_mm == pytest.approx(4.0)
    assert found.surface_mm is not None
    assert 0.5 < found.surface_mm < 2.5


def test_nothing_found_has_no_surface() -> None:
    found = agreement(np.zeros((20, 20, 20), bool), cube(5), LATTICE)
    assert (found.dice, found.surface_mm, found.hd95_mm) == (0.0, None, None)


def test_only_patients_that_all_methods_have_finished_are_compared() -> None:
    def row(method: str, query: str, dice: float) -> dict[str, object]:
        kept = {"method": method, "query": query, "organ": "liver", "dice": dice}
        return {**kept, "iou": 50.0, "seconds": 1.0, "surface_mm": None, "hd95_mm": 3.0}

    rows = [row("one", "a", 80.0), row("one", "b", 10.0), row("affine", "a", 60.0)]
    text = tables(rows)
    assert text.startswith("1 patients")
    assert "| **RPRLoc, one reference** | 1 | 80.0 |" in text
    assert "10.0" not in text
