"""Losses: zero where the prediction is right, weighted and limited as documented."""

from __future__ import annotations

import math

import pytest
import torch

from rprtrain.optimization.losses import contrast_loss, pair_loss, predicted_offsets


def latents(count: int) -> torch.Tensor:
    """Random latents (count, 3), always the same for a count."""
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(count))


def test_eq_2_is_antisymmetric_and_bounded() -> None:
    a, b = latents(5), latents(7)
    forth, back = predicted_offsets(a, b, 300.0), predicted_offsets(b, a, 300.0)
    assert forth.shape == (7, 5, 3)
    assert torch.allclose(forth, -back.transpose(0, 1), atol=1e-4)
    assert forth.abs().max() <= 300.0


def test_a_right_prediction_has_no_error_and_a_wrong_one_its_length() -> None:
    support, query = 0.1 * latents(4), 0.1 * latents(6)
    truth = predicted_offsets(support, query, 300.0)
    right = pair_loss(support, query, truth, 300.0, 6.0, 0.15, 400.0)
    wrong = pair_loss(
        support, query, truth + torch.tensor([3.0, 0.0, 4.0]), 300.0, 6.0, 0.15, 400.0
    )
    assert right.mean_mm == pytest.approx(0.0, abs=1e-3)
    assert wrong.mean_mm == pytest.approx(5.0, abs=1e-3)
    assert wrong.loss > right.loss


def test_pairs_out_of_reach_and_a_cell_with_itself_do_not_count() -> None:
    support = torch.zeros(1, 3)
    truth = torch.tensor([[[500.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]], [[30.0, 0.0, 0.0]]])
    errors = pair_loss(support, torch.zeros(3, 3), truth, 600.0, 6.0, 0.15, 400.0)
    assert errors.mean_mm == pytest.approx(30.0)
    assert float(errors.loss) == pytest.approx(math.sqrt(901.0) / (6.0 + 4.5), rel=1e-4)


def test_contrast_prefers_the_same_point_and_ignores_its_neighbours() -> None:
    positions = torch.tensor([[0.0, 0, 0], [3.0, 0, 0], [50.0, 0, 0], [90.0, 0, 0]])
    values = torch.eye(4, 8)
    same = contrast_loss(values, values, positions, 0.07)
    mixed = contrast_loss(values, values[[2, 3, 0, 1]], positions, 0.07)
    near = contrast_loss(values, values[[1, 0, 2, 3]], positions, 0.07)
    assert same < 0.01
    assert mixed > near > same
    assert torch.isfinite(mixed)
