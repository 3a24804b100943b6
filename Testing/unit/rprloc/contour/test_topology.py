"""Thin organs stay in one piece."""

from __future__ import annotations

import numpy as np

from rprloc.contour.topology import in_one_piece, part_count, without_crumbs


def cord(gap: float) -> np.ndarray:
    """Shares of a thin cord whose middle has only the share ``gap``."""
    share = np.zeros((30, 12, 12), np.float32)
    share[2:28, 5:7, 5:7] = 0.9
    share[14:16, 5:7, 5:7] = gap
    return share


def test_a_torn_cord_is_bridged_and_not_thickened() -> None:
    mask, parts = in_one_piece(cord(0.15), 1)
    assert parts == 1
    assert mask.sum() == 26 * 4


def test_a_cord_that_cannot_be_bridged_is_told() -> None:
    assert in_one_piece(cord(0.0), 1)[1] == 2


def test_what_had_two_parts_keeps_them() -> None:
    mask, parts = in_one_piece(cord(0.3), 2)
    assert parts == 2
    assert not mask[14:16].any()


def test_crumbs_are_no_parts() -> None:
    share = cord(0.9)
    share[1, 0, 0] = 0.9
    mask, parts = in_one_piece(share, 1)
    assert parts == 1
    assert not mask[1, 0, 0]
    assert part_count(without_crumbs(np.zeros((3, 3, 3), bool))) == 0
