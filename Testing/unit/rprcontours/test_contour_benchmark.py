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


def row(method: str, reference: str, query: str, dice: float) -> dict[str, object]:
    """One organ."""
    kept = {"method": method, "reference": reference, "query": query, "organ": "liver"}
    return {**kept, "dice": dice, "iou": 50.0, "cpu_seconds": 1.0, "hd95_mm": 3.0}


def test_only_pairs_that_all_methods_have_finished_are_compared() -> None:
    rows = [row("one", "r", "a", 80.0), row("one", "r", "b", 10.0), row("one", "s", "a", 20.0)]
    text = tables([*rows, row("affine", "r", "a", 60.0)])
    assert text.startswith("1 patients, 1 references")
    assert "| **RPRLoc, one reference** | 1 | 80.0 |" in text
    assert "10.0" not in text
    assert "+20.0 points" in text


def test_fused_references_are_compared_with_the_mean_of_single_ones() -> None:
    rows = [row("one", "r", "a", 80.0), row("one", "s", "a", 60.0)]
    text = tables([*rows, row("five", "5-references", "a", 75.0)])
    assert "| **RPRLoc, one reference** | 2 | 70.0 |" in text
    assert "-5.0 points" in text
