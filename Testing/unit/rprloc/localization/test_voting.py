"""Votes and their consensus on fields that are right by construction."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rprloc.localization.voting import dense_consensus, multi_run_ensemble, vote
from rprloc.model.field import LatentField

RANGE_MM = 400.0


def exact_field(noise: float = 0.0, size: tuple[int, int, int] = (6, 7, 8)) -> LatentField:
    """Latents that are ``position / r``: Eq. 2 is almost exact as long as ``tanh(x)`` is ``x``."""
    origin, cell = torch.tensor([-80.0, -60.0, -50.0]), 20.0
    index = torch.stack(torch.meshgrid(*[torch.arange(n).float() for n in size], indexing="ij"), -1)
    latent = latents_of(index.flip(-1) * cell + origin)
    latent = latent + noise * torch.randn(latent.shape, generator=torch.Generator().manual_seed(0))
    return LatentField(
        latent.permute(3, 0, 1, 2)[None], origin, cell, torch.ones(size, dtype=torch.bool)
    )


def latents_of(position: Tensor) -> Tensor:
    return position / RANGE_MM


def test_votes_point_from_the_cell_to_the_support() -> None:
    support, query, cells = (
        torch.tensor([[0.2, 0.0, 0.0]]),
        torch.zeros(2, 3),
        torch.tensor([[1.0, 2, 3], [4, 5, 6]]),
    )
    found = vote(support, query, cells, 100.0)
    assert found.shape == (1, 2, 3)
    expected = cells + torch.tensor([100.0 * torch.tanh(torch.tensor(0.2)), 0.0, 0.0])
    assert torch.allclose(found[0], expected)


def test_all_cells_agree_on_an_exact_field() -> None:
    target = torch.tensor([[10.0, -20.0, 5.0], [-31.0, 7.0, 22.0]])
    found = dense_consensus(exact_field(), latents_of(target), RANGE_MM)
    assert torch.allclose(found.position, target, atol=1.0)


def test_nearness_rounds_bring_the_estimate_closer() -> None:
    target = torch.tensor([[40.0, 20.0, 30.0]])
    errors = []
    for rounds in ((1e6,), (1e6, 60.0), (1e6, 60.0, 30.0)):
        found = dense_consensus(exact_field(), latents_of(target), RANGE_MM, rounds)
        errors.append(float((found.position - target).norm()))
    assert errors[2] < errors[0]


def test_noise_raises_the_spread_and_chunks_do_not_matter() -> None:
    support = latents_of(torch.tensor([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0], [0.0, 30.0, 0.0]]))
    quiet, loud = (
        dense_consensus(exact_field(), support, RANGE_MM),
        dense_consensus(exact_field(0.05), support, RANGE_MM),
    )
    assert (loud.spread > 2 * quiet.spread).all()
    again = dense_consensus(exact_field(0.05), support, RANGE_MM, chunk=1)
    assert torch.allclose(again.position, loud.position, atol=1e-4)


def test_random_starts_depend_on_the_seed_only() -> None:
    field, support = exact_field(0.02), latents_of(torch.tensor([[5.0, 5.0, 5.0]]))

    def run(seed: int, starts: int = 5) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return multi_run_ensemble([(field, support, RANGE_MM)], starts, generator).position

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_a_second_step_moves_an_agent_closer() -> None:
    field, target = exact_field(), torch.tensor([[60.0, 40.0, 40.0]])
    support = latents_of(target)
    steps = [(field, support, RANGE_MM)]
    one = multi_run_ensemble(steps, 3, torch.Generator().manual_seed(0)).position
    two = multi_run_ensemble(steps * 2, 3, torch.Generator().manual_seed(0)).position
    assert (two - target).norm() < (one - target).norm()


@pytest.mark.parametrize("starts", [1, 1000])
def test_any_number_of_starts_works(starts: int) -> None:
    found = multi_run_ensemble(
        [(exact_field(), torch.zeros(2, 3), RANGE_MM)], starts, torch.Generator().manual_seed(0)
    )
    assert found.position.shape == (2, 3)
    assert torch.isfinite(found.spread).all()
