"""Far parts of a mask: left out, told of, or quietly kept."""

from __future__ import annotations

import numpy as np
import pytest

from rprloc.geometry import Geometry
from rprloc.targets.parts import without_slips
from rprloc.targets.target import target_from_mask

SPACING = np.array([1.0, 2.0, 3.0])


def lattice(mask: np.ndarray) -> Geometry:
    k, j, i = mask.shape
    return Geometry((i, j, k), SPACING, np.zeros(3), np.eye(3))


def organ(shape: tuple[int, int, int] = (40, 60, 90)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[5:15, 5:20, 5:20] = True
    return mask


def test_a_stray_voxel_is_left_out_and_told() -> None:
    mask = organ()
    mask[35, 50, 80] = True
    target = target_from_mask("Liver", mask, lattice(mask))
    clean = target_from_mask("Liver", organ(), lattice(mask))
    assert target.box == clean.box
    (note,) = target.notes
    assert "a part of 1 voxel" in note
    assert "Left out" in note
    # From the last voxel of the organ's box to the stray one, edge to edge.
    away = np.linalg.norm(np.array([60, 30, 20]) * SPACING)
    assert abs(float(note.split("voxel ")[1].split(" mm")[0]) - away) < 3


def test_a_small_far_part_is_kept_and_told() -> None:
    mask = organ()
    mask[30:35, 40:50, 70:75] = True
    kept, notes = without_slips(mask, lattice(mask))
    assert np.array_equal(kept, mask)
    assert "a part of 250 voxels" in notes[0]
    assert "counts" in notes[0]


def test_both_are_told_of() -> None:
    mask = organ()
    mask[30:35, 40:50, 70:75] = True
    mask[0, 0, 89] = mask[0, 59, 0] = True
    target = target_from_mask("Liver", mask, lattice(mask))
    assert len(target.notes) == 2
    assert "2 parts of 2 voxels" in target.notes[0]


@pytest.mark.parametrize("near", [(16, 21, 21), (6, 6, 24)])
def test_what_is_near_belongs_to_it(near: tuple[int, int, int]) -> None:
    mask = organ()
    mask[near] = True
    kept, notes = without_slips(mask, lattice(mask))
    assert notes == ()
    assert np.array_equal(kept, mask)


def test_two_parts_of_like_size_are_one_organ() -> None:
    mask = organ()
    mask[5:15, 5:20, 60:72] = True
    assert without_slips(mask, lattice(mask))[1] == ()


def test_a_large_mask_is_judged_in_blocks() -> None:
    mask = organ((300, 310, 320))
    mask[299, 309, 319] = True
    kept, notes = without_slips(mask, lattice(mask))
    assert not kept[299, 309, 319]
    assert kept.sum() == organ().sum()
    assert len(notes) == 1
