"""Masks carried onto the voxels of a query, in whatever order these are stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import OBLIQUE, ORDERS, stored

from rprloc.contour.carrying import carried_share, window_around
from rprloc.contour.displacement import DisplacementField
from rprloc.geometry import Geometry
from rprloc.image.volume import Volume
from rprloc.targets.segment_mask import SegmentMask

LATTICE = Geometry((24, 20, 18), np.array([2.0, 2.0, 3.0]), np.array([-20.0, 5.0, 30.0]), np.eye(3))


def shifting(shift: tuple[float, float, float]) -> DisplacementField:
    """The same displacement everywhere."""
    values = torch.tensor(shift).expand(2, 2, 2, 3).clone()
    return DisplacementField(values, torch.tensor([-20.0, 5.0, 30.0]), 50.0)


def block() -> SegmentMask:
    """A block that touches no border."""
    voxels = np.zeros(LATTICE.size[::-1], bool)
    voxels[5:11, 6:14, 7:15] = True
    return SegmentMask(voxels, LATTICE)


def test_the_identity_gives_the_mask_back() -> None:
    share = carried_share(block(), shifting((0.0, 0.0, 0.0)), LATTICE)
    np.testing.assert_array_equal(share >= 0.5, block().voxels)


def test_a_voxel_asks_where_it_comes_from() -> None:
    # The reference's block lies 4 mm (two voxels) to the left of where the query shows it.
    share = carried_share(block(), shifting((4.0, 0.0, -3.0)), LATTICE)
    expected = np.roll(block().voxels, (1, -2), axis=(0, 2))
    np.testing.assert_array_equal(share >= 0.5, expected)


@pytest.mark.parametrize(("axes", "flips"), ORDERS[::5])
def test_the_order_of_the_querys_axes_changes_nothing(
    axes: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    volume = Volume(np.zeros(LATTICE.size[::-1], np.int16), LATTICE, "query")
    turned = stored(volume, axes, flips).geometry
    share = carried_share(block(), shifting((1.0, -2.0, 0.5)), turned)
    straight = carried_share(block(), shifting((1.0, -2.0, 0.5)), LATTICE)
    inside = turned.index_to_lps(np.argwhere(share >= 0.5)[:, ::-1]).xyz
    expected = LATTICE.index_to_lps(np.argwhere(straight >= 0.5)[:, ::-1]).xyz
    assert sorted(map(tuple, np.round(inside, 3))) == sorted(map(tuple, np.round(expected, 3)))


def test_window_of_an_oblique_volume_holds_the_box() -> None:
    middle = OBLIQUE.bounds().center
    window = window_around(middle - 5, middle + 5, OBLIQUE)
    assert window is not None
    assert window.geometry.bounds().lower.min() <= (middle - 5).min()
    first = OBLIQUE.index_to_lps([window.first]).xyz[0]
    np.testing.assert_allclose(window.geometry.origin, first)
    assert max(window.geometry.size) < max(OBLIQUE.size)
    assert window_around(middle + 5000, middle + 5010, OBLIQUE) is None
