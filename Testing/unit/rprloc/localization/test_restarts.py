"""Searches that begin again: they come back to what is there, and part where nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rprloc.localization.estimate import (
    Estimate,
    StackedExamples,
    fewer_points,
    fine_estimate,
    searched,
)
from rprloc.localization.restarts import CONTEXT_POINTS, steadied_estimate
from rprloc.localization.robust_affine import transform_points
from rprloc.localization.voting import Consensus
from rprloc.model.field import LatentField
from rprloc.model.settings import SearchSettings

CELL_MM = 6.0
SIZE = 40
SEARCH = SearchSettings()
TRUTH = torch.tensor([118.0, 121.0, 116.0])


def smooth_field(seed: int = 4) -> LatentField:
    """Descriptors that change within some 40 mm, and are the same nowhere else."""
    coarse = torch.randn(1, 24, 7, 7, 7, generator=torch.Generator().manual_seed(seed))
    descriptors = F.interpolate(coarse, size=(SIZE,) * 3, mode="trilinear", align_corners=True)
    values = torch.cat([torch.zeros(1, 3, SIZE, SIZE, SIZE), descriptors], dim=1)
    return LatentField(values, torch.zeros(3), CELL_MM, torch.ones((SIZE,) * 3, dtype=torch.bool))


def landmark(field: LatentField, points: int = 60, examples: int = 1) -> StackedExamples:
    """A landmark at ``TRUTH`` and points around it, as the field itself shows them."""
    generator = torch.Generator().manual_seed(1)
    around = 20.0 * torch.randn(points, 3, generator=generator).clamp(-2.0, 2.0)
    offsets = torch.cat([torch.zeros(1, 3), around])
    count = len(offsets)
    slices = [slice(n * count, (n + 1) * count) for n in range(examples)]
    offsets = offsets.repeat(examples, 1)
    fine = field.at(TRUTH + offsets)
    return StackedExamples(1, slices, offsets, torch.zeros_like(offsets), fine)


def begun_at(rows: StackedExamples, place: Tensor) -> Consensus:
    return Consensus(place + rows.offsets, torch.full((len(rows.offsets),), 10.0))


def steady(field: LatentField, rows: StackedExamples, place: Tensor) -> Estimate:
    return steadied_estimate(field, rows, begun_at(rows, place), SEARCH, 0.3)


def test_what_is_there_is_found_again_from_everywhere() -> None:
    field = smooth_field()
    found = steady(field, landmark(field), TRUTH + torch.tensor([6.0, -5.0, 4.0]))
    assert float((found.points - TRUTH).norm()) < 2.0
    assert found.unsteady_mm < 2.0
    torch.testing.assert_close(found.coarse_points[0], TRUTH + torch.tensor([6.0, -5.0, 4.0]))


def test_where_nothing_is_alike_the_searches_part() -> None:
    there, elsewhere = smooth_field(), smooth_field(5)
    lost = steady(elsewhere, landmark(there), TRUTH)
    assert lost.unsteady_mm > 5.0 * steady(there, landmark(there), TRUTH).unsteady_mm
    assert lost.unsteady_mm > 5.0


def test_the_answer_is_that_of_the_first_search() -> None:
    field, off = smooth_field(), torch.tensor([0.0, 0.0, 30.0])
    rows = landmark(field)
    alone = fine_estimate(field, rows, begun_at(rows, TRUTH + off), SEARCH, 0.3)
    found = steady(field, rows, TRUTH + off)
    torch.testing.assert_close(found.points, alone.points)
    assert found.unsteady_mm > steady(field, rows, TRUTH).unsteady_mm


def test_searches_at_once_are_those_one_by_one() -> None:
    field = smooth_field()
    rows = landmark(field, 30, examples=2)
    places = [TRUTH, TRUTH + 9.0, TRUTH - torch.tensor([0.0, 15.0, 3.0])]
    starts = torch.stack([p + rows.offsets for p in places])
    for place, found in zip(places, searched(field, rows, starts, SEARCH, 0.3), strict=True):
        alone = fine_estimate(field, rows, begun_at(rows, place), SEARCH, 0.3)
        torch.testing.assert_close(found.points, alone.points, atol=1e-3, rtol=0.0)
        torch.testing.assert_close(found.each, alone.each, atol=1e-3, rtol=0.0)
        assert found.similarity == pytest.approx(alone.similarity, abs=1e-4)
        assert found.matched is not None and alone.matched is not None
        assert found.matched.apart_mm == pytest.approx(alone.matched.apart_mm, abs=1e-2)


@pytest.mark.parametrize("examples", [1, 3, 40])
def test_fewer_points_keep_the_key_points_of_every_example(examples: int) -> None:
    rows = landmark(smooth_field(), 100, examples)
    fewer, index = fewer_points(rows, CONTEXT_POINTS)
    assert len(fewer.slices) == examples and fewer.slices[-1].stop == len(index)
    assert len(index) <= max(CONTEXT_POINTS, 3 * examples) + examples
    torch.testing.assert_close(fewer.offsets, rows.offsets[index])
    for whole, part in zip(rows.slices, fewer.slices, strict=True):
        assert index[part][0] == whole.start
        assert (index[part] < whole.stop).all()


def test_without_descriptors_the_votes_stand() -> None:
    rows = replace(landmark(smooth_field()), fine=None)
    found = steady(smooth_field(), rows, TRUTH + 3.0)
    torch.testing.assert_close(found.points[0], TRUTH + 3.0)
    assert found.unsteady_mm == 0.0


def test_affine_maps_of_several_searches_do_not_mix() -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(40, 3, generator=generator) * 30.0
    targets = torch.stack([source * 1.1 + 20.0, source * 0.9 - 7.0])
    targets[0, :6] += 150.0
    weight = torch.rand(2, 40, generator=generator) + 0.5
    extent = torch.full((3,), 30.0)
    together = transform_points(source, source, targets, weight, extent, 1e-3)
    for moved, target, w in zip(together, targets, weight, strict=True):
        alone = transform_points(source, source, target, w, extent, 1e-3)
        torch.testing.assert_close(moved, alone, atol=1e-3, rtol=0.0)
