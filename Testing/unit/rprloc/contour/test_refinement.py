"""Tissue is moved onto tissue."""

from __future__ import annotations

import numpy as np
import torch
from support.phantoms import body_volume
from support.samples import phantom_geometry
from torch.nn import functional as F

from rprloc.contour.displacement import DisplacementField
from rprloc.contour.refinement import (
    NODE_MM,
    SAMPLE_MM,
    SMOOTHINGS,
    _applied,
    _between,
    _smoothing,
    refined,
)
from rprloc.image.resampling import to_grid
from rprloc.model.relative_offset import sample_trilinear

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


def test_steps_along_the_axes_are_averages_and_trilinear_samples() -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 5, 4, 6))).float()
    expected = values[None]
    for _ in range(SMOOTHINGS):
        padded = F.pad(expected, (1, 1, 1, 1, 1, 1), mode="replicate")
        expected = F.avg_pool3d(padded, 3, 1)
    smooth = _applied([_smoothing(n) for n in (5, 4, 6)], values)
    torch.testing.assert_close(smooth, expected[0])

    axes = [torch.arange(n) * SAMPLE_MM / NODE_MM for n in (7, 6, 8)]
    at = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    between = [_between(len(axis), n) for axis, n in zip(axes, (5, 4, 6), strict=True)]
    torch.testing.assert_close(_applied(between, values), sample_trilinear(values[None], at)[0])
