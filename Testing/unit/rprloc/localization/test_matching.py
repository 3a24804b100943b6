"""Descriptor matching.

Finds the cell that looks alike, to sub-cell precision, and only where there are cells.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rprloc.localization.matching import match_descriptors
from rprloc.model.field import LatentField
from rprloc.model.settings import MatchSettings

CELL_MM = 6.0
SETTINGS = MatchSettings(radius_mm=24.0, temperature=0.02, prior_mm=30.0)


def smooth_field(size: int = 16) -> LatentField:
    """Descriptors that vary smoothly in space: random values on a coarse lattice, interpolated."""
    coarse = torch.randn(1, 24, 6, 6, 6, generator=torch.Generator().manual_seed(4))
    descriptors = F.interpolate(coarse, size=(size,) * 3, mode="trilinear", align_corners=True)
    values = torch.cat([torch.zeros(1, 3, size, size, size), descriptors], dim=1)
    return LatentField(
        values,
        torch.tensor([10.0, -20.0, 30.0]),
        CELL_MM,
        torch.ones((size,) * 3, dtype=torch.bool),
    )


def place(*cells: float) -> Tensor:
    """LPS position of a cell coordinate x, y, z."""
    return torch.tensor([[10.0, -20.0, 30.0]]) + CELL_MM * torch.tensor([cells])


def test_the_true_place_is_found_from_an_estimate_that_is_off() -> None:
    field, truth = smooth_field(), place(7.4, 8.0, 6.7)
    support = field.at(truth)[:, None, 3:]
    found = match_descriptors(field, support, truth + torch.tensor([[9.0, -8.0, 7.0]]), SETTINGS)
    assert float((found.position - truth).norm()) < 3.0
    assert float(found.similarity) > 0.8


def test_several_examples_are_averaged_in_similarity() -> None:
    field, truth = smooth_field(), place(7.0, 8.0, 7.0)
    right = field.at(truth)[:, 3:]
    support = torch.stack(
        [right, right, torch.randn(1, 24, generator=torch.Generator().manual_seed(0))], dim=1
    )
    found = match_descriptors(field, support, truth + 4.0, SETTINGS)
    assert float((found.position - truth).norm()) < 4.0


def test_the_descriptors_of_a_field_are_normalized_once_for_all_targets() -> None:
    """Copies of the whole field for every target once took gigabytes and a third of the time."""
    field, truth = smooth_field(), place(7.0, 8.0, 7.0)
    support = field.at(truth)[:, None, 3:]
    match_descriptors(field, support, truth, SETTINGS)
    once = field.unit_descriptors
    match_descriptors(field, support, truth + 4.0, SETTINGS)
    assert field.unit_descriptors is once
    torch.testing.assert_close(once.norm(dim=-1), torch.ones(16, 16, 16))
    torch.testing.assert_close(once[3, 4, 5], F.normalize(field.values[0, 3:, 3, 4, 5], dim=0))


def test_a_strong_prior_keeps_the_estimate() -> None:
    field, estimate = smooth_field(), place(8.0, 8.0, 8.0)
    support = torch.randn(1, 1, 24, generator=torch.Generator().manual_seed(2))
    found = match_descriptors(field, support, estimate, MatchSettings(24.0, 1.0, 1.0))
    assert torch.allclose(found.position, estimate, atol=1.0)


def test_an_estimate_beyond_all_cells_is_kept_with_no_similarity() -> None:
    field, far = smooth_field(), place(100.0, 8.0, 8.0)
    support = torch.randn(1, 1, 24, generator=torch.Generator().manual_seed(3))
    found = match_descriptors(field, support, far, SETTINGS)
    assert torch.equal(found.position, far)
    assert float(found.similarity) == 0.0


def test_chunks_do_not_matter() -> None:
    field = smooth_field()
    where = torch.cat([place(5.0, 6.0, 7.0), place(9.0, 9.0, 4.0), place(0.0, 0.0, 0.0)])
    support = field.at(where + 3.0)[:, None, 3:]
    a, b = (match_descriptors(field, support, where, SETTINGS, chunk=n) for n in (1, 64))
    assert torch.allclose(a.position, b.position, atol=1e-4)
