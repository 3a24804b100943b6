"""Tissue is moved onto tissue."""

from __future__ import annotations

import numpy as np
import torch
from support.phantoms import body_volume
from support.samples import phantom_geometry

from rprloc.contour.displacement import DisplacementField
from rprloc.contour.refinement import refined
from rprloc.image.resampling import to_grid

SHIFT = np.array([6.0, -5.0, 4.0])


def test_a_map_that_is_off_comes_closer() -> None:
    lattice = phantom_geometry()
    reference = to_grid(body_volume(lattice), 4.0)
    query = to_grid(body_volume(lattice, at=SHIFT), 4.0)
    start = DisplacementField(torch.zeros(6, 5, 5, 3), torch.tensor([-60.0, -70.0, 80.0]), 30.0)

    found = refined(start, reference, query)
    assert found.least_jacobian() > 0
    # The head's skin and the neck's bone show where the reference is; the middle follows them.
    moved = found.values.reshape(-1, 3).mean(0).numpy()
    assert np.linalg.norm(moved + SHIFT) < 0.5 * np.linalg.norm(SHIFT)
    again = refined(start, reference, query)
    torch.testing.assert_close(again.values, found.values)
