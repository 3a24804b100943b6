"""Locating with a model of random weights.

Contracts, statuses and the parts whose answer is known.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.samples import Sample
from torch import Tensor

from rprloc.errors import InputError, TemplateError
from rprloc.geometry import Points
from rprloc.image.resampling import IsotropicVolume
from rprloc.image.volume import read_volume
from rprloc.localization.confidence import (
    Doubts,
    cycle_consistency_error,
    judge,
    missing_surroundings,
    overshoot,
)
from rprloc.localization.embedding import cropped
from rprloc.localization.estimate import StackedExamples, stack_examples
from rprloc.localization.example import AROUND_MM, tissue_points
from rprloc.localization.locator import Locator, Options, box_centre, box_walls
from rprloc.localization.result import Result
from rprloc.localization.robust_affine import transform_points
from rprloc.localization.steps import Steps
from rprloc.model.field import LatentField
from rprloc.model.loading import ModelPair, load_model
from rprloc.model.radius import RadiusSettings
from rprloc.model.settings import ConfidenceThresholds
from rprloc.targets.loading import load_targets
from rprloc.targets.target import target_from_point

CPU = torch.device("cpu")
BOUNDS = (torch.tensor([-100.0, -100.0, -100.0]), torch.tensor([100.0, 100.0, 100.0]))


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> ModelPair:
    return load_model(tiny_model, CPU)


def test_results_follow_the_template(model: ModelPair, sample: Sample) -> None:
    locator = Locator(model)
    reference = locator.embed(read_volume(sample.reference))
    organs = load_targets(sample.reference_labels, sample.label_ids)
    landmarks = load_targets(sample.markups)
    template = locator.make_template(reference, [*organs, *landmarks])
    results = locator.locate(locator.embed(read_volume(sample.query)), template)
    assert [r.target for r in results] == ["Head", "Spine", "Vertex"]
    assert [r.kind for r in results] == ["box", "box", "landmark"]
    for result in results:
        assert result.spread_mm is not None and result.cycle_mm is not None
        assert result.status in ("ok", "low-confidence", "outside")
        assert (result.reason == "") == (result.status == "ok")


def test_the_same_seed_gives_the_same_paper_run(model: ModelPair, sample: Sample) -> None:
    organs = load_targets(sample.reference_labels, sample.label_ids)

    def centres(seed: int) -> list[list[float]]:
        locator = Locator(model, Options(runs=5, seed=seed))
        embedding = locator.embed(read_volume(sample.reference))
        return [
            r.center.tolist()
            for r in locator.locate(embedding, locator.make_template(embedding, organs))
        ]  # type: ignore[union-attr]

    assert centres(1) == centres(1)
    assert centres(1) != centres(2)


def test_another_models_template_is_refused(model: ModelPair, sample: Sample) -> None:
    locator = Locator(model)
    embedding = locator.embed(read_volume(sample.reference))
    template = locator.make_template(embedding, load_targets(sample.markups))
    foreign = replace(template, model={**template.model, "coarse_sha256": "0" * 64})
    with pytest.raises(TemplateError, match="belongs to model"):
        locator.locate(embedding, foreign)


def test_a_target_outside_the_reference_is_refused(model: ModelPair, sample: Sample) -> None:
    locator = Locator(model)
    embedding = locator.embed(read_volume(sample.reference))
    far = target_from_point("far", Points(np.array([[0.0, 0.0, 9000.0]])))
    with pytest.raises(InputError, match="far"):
        locator.make_template(embedding, [far])


def test_options_are_checked(model: ModelPair) -> None:
    with pytest.raises(InputError, match="runs"):
        Options(runs=0)
    with pytest.raises(InputError, match="no fine network"):
        Locator(replace(model, fine=None))
    assert Locator(replace(model, fine=None), Options(steps="coarse")).options.steps == "coarse"


@pytest.mark.parametrize("steps", ["coarse", "fine"])
def test_pooling_two_references_uses_both(model: ModelPair, sample: Sample, steps: Steps) -> None:
    locator = Locator(model, Options(steps=steps))
    first = locator.make_template(
        locator.embed(read_volume(sample.reference)),
        load_targets(sample.reference_labels, sample.label_ids),
    )
    query = locator.embed(read_volume(sample.query))
    second = locator.make_template(query, load_targets(sample.query_labels, sample.label_ids))

    both = first.merged(second)
    assert all(len(t.examples) == 2 for t in both.targets)

    answers = [_extreme_points(locator.locate(query, t)) for t in (first, second, both)]
    assert not np.allclose(answers[0], answers[1], atol=0.1)
    if steps == "coarse":
        # Each example's points vote on their own, and the answer is their mean.
        np.testing.assert_allclose(answers[2], (answers[0] + answers[1]) / 2, atol=1e-3)
    else:
        assert not np.allclose(answers[2], answers[0], atol=0.1)
        assert not np.allclose(answers[2], answers[1], atol=0.1)


def _extreme_points(results: list[Result]) -> np.ndarray:
    """All located extreme points, (targets, 6, 3) LPS mm."""
    return np.stack([r.points.xyz for r in results if r.points is not None])


def points_at(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)


@pytest.mark.parametrize(
    ("points", "cycle", "spread", "similarity", "missing", "status"),
    [
        (points_at((0, 0, 0), (10, 0, 0)), 1.0, 1.0, 0.9, 0.0, "ok"),
        (points_at((0, 0, 130), (0, 0, 150)), 1.0, 1.0, 0.9, 0.0, "outside"),
        (
            points_at((0, 0, 95), (0, 0, 112), (0, 0, 60), (0, 0, 60)),
            1.0,
            1.0,
            0.9,
            0.0,
            "low-confidence",
        ),
        (points_at((0, 0, 0)), 999.0, 1.0, 0.9, 0.0, "low-confidence"),
        (points_at((0, 0, 0)), 1.0, 999.0, 0.9, 0.0, "low-confidence"),
        (points_at((0, 0, 0)), 1.0, 1.0, -0.5, 0.0, "low-confidence"),
        (points_at((0, 0, 0)), 1.0, 1.0, 0.9, 0.3, "low-confidence"),
        (points_at((0, 0, 0)), 1.0, 1.0, None, 0.05, "ok"),
    ],
)
def test_statuses(
    points: Tensor,
    cycle: float,
    spread: float,
    similarity: float | None,
    missing: float,
    status: str,
) -> None:
    beyond = overshoot(points, *BOUNDS)
    doubts = Doubts(
        "box", spread, cycle, similarity, missing, float(beyond.max()), 0.0, 0.0, examples=1
    )
    verdict = judge(points, BOUNDS, doubts, ConfidenceThresholds())
    assert verdict.status == status
    assert (verdict.reason == "") == (status == "ok")


@pytest.mark.parametrize(
    ("radius_mm", "status", "words"),
    [(12.0, "ok", ""), (60.0, "low-confidence", "60 mm off"), (150.0, "outside", "nothing like")],
)
def test_what_may_be_anywhere_is_not_found(radius_mm: float, status: str, words: str) -> None:
    points = points_at((0, 0, 0))
    radius = RadiusSettings(math.log(radius_mm), {}, 1.0, 500.0, 25.0, "made up")
    doubts = Doubts("landmark", 1.0, 1.0, 0.9, 0.0, 0.0, 0.0, 0.0, examples=1)
    verdict = judge(points, BOUNDS, doubts, ConfidenceThresholds(radius=radius))
    assert verdict.status == status
    assert words in verdict.reason


def test_missing_surroundings_are_the_share_of_points_beyond_the_scan() -> None:
    offsets = points_at((0, 0, 0), (0, 0, 30), (0, 0, -30), (20, 0, 0))
    bounds = torch.tensor([-50.0, -50.0, -100.0]), torch.tensor([50.0, 50.0, 100.0])
    shares = [
        missing_surroundings(offsets, torch.tensor([x, 0.0, z]), bounds)
        for x, z in ((0, 0), (0, 80), (40, -80))
    ]
    assert shares == [0.0, 0.25, 0.5]


def test_within_a_slice_the_scan_ends_at_the_volume_and_along_z_at_the_body(
    tiny_model: Path, sample: Sample
) -> None:
    embedding = Locator(load_model(tiny_model, torch.device("cpu"))).embed(
        read_volume(sample.query)
    )
    (lower, upper), body = embedding.scan_bounds(), embedding.body_bounds()
    whole = embedding.geometry.bounds()
    assert np.allclose(lower[:2], whole.lower[:2])
    assert np.allclose(upper[:2], whole.upper[:2])
    assert (lower[2], upper[2]) == (body[0][2], body[1][2])
    assert upper[0] - lower[0] > body[1][0] - body[0][0]


def test_the_centre_of_extreme_points_is_that_of_their_box() -> None:
    points = points_at((-10, 4, 3), (5, -20, 3), (7, 7, -30), (14, 9, 9), (5, 40, 3), (7, 7, 50))
    lower, upper = box_walls(points.numpy())
    assert np.allclose(box_centre(points), (lower + upper) / 2)
    assert np.allclose(box_centre(points[:1]), points[0])


def linear_field(
    range_mm: float, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> LatentField:
    """Latents proportional to the position, moved by ``shift`` mm as an error would."""
    index = torch.stack(torch.meshgrid(*[torch.arange(9).float()] * 3, indexing="ij"), -1)
    position = index.flip(-1) * 20.0 - 80.0
    values = ((position + torch.tensor(shift)) / range_mm).permute(3, 0, 1, 2)[None]
    return LatentField(
        values, torch.tensor([-80.0] * 3), 20.0, torch.ones(9, 9, 9, dtype=torch.bool)
    )


def test_the_cycle_error_is_what_the_point_is_off() -> None:
    offsets = torch.tensor([[0.0, 0, 0], [10, 0, 0], [0, 12, 0], [0, 0, -9], [-8, 3, 4]])
    rows = StackedExamples(1, [slice(0, 5)], offsets, offsets / 500.0, None)
    located = torch.zeros(1, 1, 3)
    assert cycle_consistency_error(
        linear_field(500.0), located, rows, 500.0, 40.0
    ) == pytest.approx(0.0, abs=0.1)
    assert cycle_consistency_error(
        linear_field(500.0, (0.0, 12.0, 5.0)), located, rows, 500.0, 40.0
    ) == pytest.approx(13.0, abs=0.3)


def test_carry_follows_an_affine_map_and_ignores_outliers() -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(60, 3, generator=generator) * 30.0
    matrix, shift = torch.diag(torch.tensor([1.1, 0.9, 1.05])), torch.tensor([100.0, -50.0, 20.0])
    target = source @ matrix + shift
    target[:10] += 200.0
    keys, weight = source[20:26] * 1.2, torch.ones(60)
    moved = transform_points(keys, source, target, weight, torch.full((3,), 30.0), 1e-4)
    assert torch.allclose(moved, keys @ matrix + shift, atol=0.5)


def test_a_strong_ridge_leaves_a_displacement() -> None:
    source = torch.randn(30, 3, generator=torch.Generator().manual_seed(1)) * 20.0
    target = source * 1.3 + torch.tensor([5.0, 6.0, 7.0])
    keys = source[:3]
    moved = transform_points(keys, source, target, torch.ones(30), torch.full((3,), 20.0), 1e4)
    steps = moved - keys
    assert torch.allclose(steps, steps[:1].expand_as(steps), atol=0.05)


def test_surroundings_are_tissue_near_the_target_and_repeatable() -> None:
    hu = np.full((40, 40, 40), -1000.0, dtype=np.float32)
    hu[5:35, 5:35, 5:35] = 40.0
    grid = IsotropicVolume(hu, np.zeros(3), 3.0)
    keys = np.array([[60.0, 60.0, 60.0]])
    points = tissue_points(grid, keys, AROUND_MM, 30)
    assert points.shape == (30, 3)
    assert np.array_equal(points, tissue_points(grid, keys, AROUND_MM, 30))
    zyx = np.round(grid.lps_to_zyx(points)).astype(int)
    assert (hu[tuple(zyx.T)] == 40.0).all()
    assert (np.abs(points - keys).max(axis=1) <= 40.0 + 3.0).all()
    assert (
        len(tissue_points(IsotropicVolume(hu * 0 - 1000, np.zeros(3), 3.0), keys, AROUND_MM, 30))
        == 0
    )


def test_box_walls_go_through_the_extreme_points() -> None:
    points = np.array([[0.0, 5, 5], [5, 1, 5], [5, 5, 2], [10, 5, 5], [5, 11, 5], [5, 5, 12]])
    lower, upper = box_walls(points)
    assert lower.tolist() == [0.0, 1.0, 2.0]
    assert upper.tolist() == [10.0, 11.0, 12.0]


@given(
    st.tuples(*[st.integers(9, 40)] * 3),
    st.tuples(*[st.floats(-60, 180)] * 3),
    st.floats(0, 50),
)
def test_a_crop_stays_on_the_lattice_and_in_step(
    size: tuple[int, int, int], point: tuple[float, float, float], margin: float
) -> None:
    hu = np.arange(np.prod(size), dtype=np.float32).reshape(size)
    grid = IsotropicVolume(hu, np.array([-10.0, 5.0, 20.0]), 3.0)
    part = cropped(grid, np.array([point]), margin, 8)
    start = grid.lps_to_zyx(part.origin[None])[0]
    assert np.allclose(start, np.round(start))
    assert np.all(np.round(start).astype(int) % 8 == 0)
    assert min(part.hu.shape) >= 1
    first = tuple(np.round(start).astype(int))
    assert part.hu[0, 0, 0] == grid.hu[first]


def test_many_examples_bring_fewer_context_points_each(model: ModelPair, sample: Sample) -> None:
    locator = Locator(model)
    embedding = locator.embed(read_volume(sample.reference))
    target = locator.make_template(
        embedding, load_targets(sample.reference_labels, sample.label_ids)
    ).targets[0]
    many = replace(target, examples=target.examples * 12)
    one, twelve = stack_examples(target, CPU, 240), stack_examples(many, CPU, 240)
    assert len(one.offsets) == 6 + 24 + 48
    assert len(twelve.offsets) == 12 * (6 + 20)
    assert one.key_rows(one.offsets).shape == (1, 6, 3)
