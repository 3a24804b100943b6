"""Dense maps: where they carry points, and that they do not fold unnoticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rprloc.contour.displacement import DisplacementField, lattice

ORIGIN = torch.tensor([-30.0, 10.0, 5.0])


def field_of(matrix: torch.Tensor, counts: tuple[int, int, int] = (6, 7, 8)) -> DisplacementField:
    """The linear map ``matrix`` about the origin, on a lattice of 10 mm."""
    upper = ORIGIN + 10.0 * (torch.tensor(counts).flip(0) - 1)
    nodes, shape = lattice(ORIGIN, upper, 10.0)
    return DisplacementField((nodes @ matrix.T - nodes).reshape(*shape, 3), ORIGIN, 10.0)


@given(st.lists(st.floats(-0.2, 0.2), min_size=9, max_size=9))
def test_linear_maps_are_carried_and_their_determinant_is_told(entries: list[float]) -> None:
    matrix = torch.eye(3) + torch.tensor(entries).reshape(3, 3)
    field = field_of(matrix)
    inside = ORIGIN + torch.tensor([[1.0, 2.0, 3.0], [55.0, 31.0, 44.0], [20.0, 20.0, 20.0]])
    torch.testing.assert_close(field.carry(inside), inside @ matrix.T, atol=1e-3, rtol=0)
    assert field.least_jacobian() == pytest.approx(float(torch.linalg.det(matrix)), abs=1e-3)
    assert field.unfolded() is field


def test_a_fold_is_noticed_and_smoothed_away() -> None:
    field = field_of(torch.eye(3), (8, 8, 8))
    field.values[4, 4, 4] = torch.tensor([25.0, 0.0, 0.0])
    assert field.least_jacobian() < 0
    assert 0 < field.folded_share() < 0.05

    mended = field.unfolded()
    assert mended.least_jacobian() > 0
    assert mended.folded_share() == 0
    assert mended.smoothings > 0
    torch.testing.assert_close(mended.values[0], field.values[0])


def test_a_fold_that_stays_is_told() -> None:
    mirrored = field_of(torch.diag(torch.tensor([-1.0, 1.0, 1.0])))
    assert mirrored.unfolded().folded_share() > 0


def test_lattice_fills_the_box_with_x_fastest() -> None:
    nodes, counts = lattice(ORIGIN, ORIGIN + torch.tensor([25.0, 10.0, 41.0]), 10.0)
    assert counts == (6, 2, 4)
    np.testing.assert_allclose(nodes[1] - nodes[0], [10, 0, 0])
    assert (nodes.amax(0) >= ORIGIN + torch.tensor([25.0, 10.0, 41.0])).all()
