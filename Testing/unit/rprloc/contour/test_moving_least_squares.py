"""The smooth map through scattered pairs."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from rprloc.contour.moving_least_squares import Neighbourhood, moving_affine

SHIFTS = st.tuples(*[st.floats(-50, 50)] * 3)


def scattered(count: int = 200) -> torch.Tensor:
    """Points in a cube of 100 mm, the same ones each time."""
    return torch.from_numpy(np.random.default_rng(0).uniform(-50, 50, (count, 3))).float()


@given(SHIFTS, st.floats(5, 40))
def test_a_shift_is_kept_everywhere_also_far_from_all_pairs(
    shift: tuple[float, float, float], sigma: float
) -> None:
    source, moved = scattered(), torch.tensor(shift)
    places = torch.cat([scattered(20), torch.tensor([[400.0, -300.0, 50.0]])])
    found = moving_affine(places, source, source + moved, torch.ones(len(source)), sigma)
    # Half a metre away float32 turns the least rotation into hundredths of a millimetre.
    torch.testing.assert_close(found, places + moved, atol=0.1, rtol=0)


def test_scaling_is_followed_between_the_pairs() -> None:
    source = scattered(2000)
    places = torch.tensor([[0.0, 0.0, 0.0], [20.0, -10.0, 5.0], [-30.0, 0.0, 15.0]])
    found = moving_affine(places, source, 1.2 * source, torch.ones(len(source)), 15.0)
    assert (found - 1.2 * places).norm(dim=1).max() < 1.0


def test_distrusted_pairs_say_nothing() -> None:
    source = scattered()
    target, weight = source.clone(), torch.ones(len(source))
    target[::2] += 80.0
    weight[::2] = 0.0
    found = Neighbourhood(source, source, 20.0).carry(target, weight)
    torch.testing.assert_close(found, source, atol=0.05, rtol=0)


def test_far_pairs_that_are_left_out_change_nothing() -> None:
    source = 4.0 * scattered(3000)
    target = source + 10.0 * torch.sin(source / 60.0)
    weight = torch.from_numpy(np.random.default_rng(1).uniform(0.01, 1.0, 3000)).float()
    places = 4.0 * scattered(500)

    def fitted(at: torch.Tensor) -> torch.Tensor:
        """The definition: one weighted fit of all pairs."""
        near = weight * torch.exp(-(source - at).square().sum(1).double() / 2 / 9.0**2)
        near = (near / near.sum())[:, None]
        mean, moved = (near * source).sum(0), (near * target).sum(0)
        a, b = source - mean, (target - source) - (moved - mean)
        spread = a.T.double() @ (near * a) + 0.1 * 81 * torch.eye(3)
        linear = torch.linalg.solve(spread, a.T.double() @ (near * b))
        return at + moved - mean + (at - mean) @ linear

    found = moving_affine(places, source, target, weight, 9.0)
    expected = torch.stack([fitted(place) for place in places]).float()
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)
