"""The dense map through pairs that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rprloc.contour.correspondence import Correspondence

TURNS = st.lists(st.floats(-0.08, 0.08), min_size=9, max_size=9)
SHIFTS = st.lists(st.floats(-40, 40), min_size=3, max_size=3)


def pairs_of(matrix: torch.Tensor, shift: torch.Tensor) -> Correspondence:
    """A lattice of 12 mm in the reference and its images in the query."""
    axis = torch.arange(-60.0, 61.0, 12.0)
    reference = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    ones = torch.ones(len(reference))
    return Correspondence(reference, reference @ matrix.T + shift, ones, ones)


@settings(max_examples=20, deadline=None)
@given(TURNS, SHIFTS)
def test_the_map_leads_from_query_to_reference_and_back(
    entries: list[float], shift: list[float]
) -> None:
    matrix, moved = torch.eye(3) + torch.tensor(entries).reshape(3, 3), torch.tensor(shift)
    pairs = pairs_of(matrix, moved)
    places = torch.tensor([[0.0, 0.0, 0.0], [25.0, -10.0, 30.0], [-40.0, 5.0, 12.0]])
    there = pairs.onto_query(places)
    assert (there - (places @ matrix.T + moved)).norm(dim=1).max() < 2.0

    field = pairs.dense_map(there.amin(0) - 20, there.amax(0) + 20)
    assert (field.carry(there) - places).norm(dim=1).max() < 3.0
    assert field.least_jacobian() > 0
    assert field.smoothings == 0


def test_pairs_that_contradict_each_other_do_not_fold_the_map() -> None:
    pairs = pairs_of(torch.eye(3), torch.zeros(3))
    noise = np.random.default_rng(0).normal(0, 12.0, pairs.query.shape)
    noisy = Correspondence(
        pairs.reference,
        pairs.query + torch.from_numpy(noise).float(),
        *(pairs.weight, pairs.similarity),
    )
    field = noisy.dense_map(torch.full((3,), -50.0), torch.full((3,), 50.0))
    assert field.smoothings > 0
    assert field.least_jacobian() > 0
    assert field.folded_share() == pytest.approx(0.0)
