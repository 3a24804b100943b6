"""Masks in few bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.phantoms import OBLIQUE

from rprloc.geometry import Geometry
from rprloc.targets.segment_mask import SegmentMask, occupied

SHAPES = st.tuples(*[st.integers(1, 5)] * 3)


@given(arrays(bool, SHAPES))
def test_every_mask_comes_back(voxels: np.ndarray) -> None:
    k, j, i = voxels.shape
    lattice = Geometry((i, j, k), OBLIQUE.spacing, OBLIQUE.origin, OBLIQUE.direction)
    mask = SegmentMask(voxels, lattice, {"Color": "1 0 0"})
    found = SegmentMask.from_json(json.loads(json.dumps(mask.to_json())))
    np.testing.assert_array_equal(found.voxels, voxels)
    np.testing.assert_allclose(found.geometry.ijk_to_lps, lattice.ijk_to_lps, atol=1e-5)
    assert found.look == {"Color": "1 0 0"}


def mask_json() -> dict[str, object]:
    """A small mask as JSON."""
    voxels = np.zeros(OBLIQUE.size[::-1], bool)
    voxels[3:5, 2:9, 1:4] = True
    return SegmentMask(voxels, OBLIQUE).to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"size": [1, 2, 3]},
        {"size": [0, 2, 3]},
        {"size": [10**5, 10**5, 10**5]},
        {"runs": "!"},
        {"runs": "AAAA"},
        {"runs": 3},
        {"look": ["red"]},
        {"ijk_to_lps": [[1, 2], [3, 4]]},
    ],
)
def test_damage_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        SegmentMask.from_json({**mask_json(), **change})


def test_a_mask_is_smaller_than_its_voxels() -> None:
    assert len(json.dumps(mask_json())) < 600


def test_occupied_range() -> None:
    voxels = np.zeros((6, 7, 8), bool)
    voxels[1, 2, 3] = voxels[4, 2, 7] = True
    assert occupied(voxels) == [(1, 4), (2, 2), (3, 7)]
