"""Random views: exact correspondences, repeatable, air beyond the field of view."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rprloc.image.hounsfield import AIR_HU
from rprloc.model.network_config import PnetConfig
from rprloc.model.relative_offset import sample_points
from rprtrain.augmentation import Augmentation
from rprtrain.config import COARSE, FINE, StageConfig
from rprtrain.random_stream import RandomStream
from rprtrain.views.intensity import augment_intensity
from rprtrain.views.view import make_view

STAGE = COARSE.with_changes(
    net=PnetConfig(stem=4, stages=((4, 1), (4, 1))),
    crop=(40, 40, 40),
    smallest_mm=60.0,
    elastic_mm=3.0,
)
# Blocks, noise and blur hide what is below.
NOTHING_HIDDEN = Augmentation(blur_probability=0.0, noise_probability=0.0, erase_probability=0.0)


def smooth_source() -> torch.Tensor:
    """HU that grow linearly along the three axes, so that a value tells a position."""
    axes = torch.meshgrid(*[torch.arange(n).float() for n in (32, 36, 40)], indexing="ij")
    return (axes[0] * 10 + axes[1] * 5 - axes[2] * 7).to(torch.int16)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_points_go_to_the_source_and_back(seed: int) -> None:
    view = make_view(smooth_source(), torch.tensor([16.0, 18.0, 20.0]), STAGE, RandomStream(seed))
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(seed)) * torch.tensor(
        [31.0, 35.0, 39.0]
    )
    u = view.from_source(points)
    inside = view.contains(u)
    assert torch.allclose(view.to_source(u)[inside], points[inside], atol=0.05)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_a_view_shows_the_source_where_it_says(seed: int) -> None:
    """Up to gamma, gain and offset, a view's values are the source's at corresponding points."""
    stage = STAGE.with_changes(elastic_mm=2.0, augmentation=NOTHING_HIDDEN)
    source = smooth_source()
    view = make_view(source, torch.tensor([16.0, 18.0, 20.0]), stage, RandomStream("show", seed))
    points = 6 + torch.rand(400, 3, generator=torch.Generator().manual_seed(seed)) * torch.tensor(
        [19.0, 23.0, 27.0]
    )
    u = view.from_source(points)
    points, u = points[view.contains(u)], u[view.contains(u)]
    assume(len(u) >= 30)
    shown = sample_points(view.hu, u)[:, 0]
    true = sample_points(source.float()[None, None], points)[:, 0]
    assert torch.corrcoef(torch.stack([shown, true]))[0, 1] > 0.98


def test_the_same_key_gives_the_same_view_and_another_does_not() -> None:
    focus = torch.tensor([16.0, 18.0, 20.0])
    a, b, c = (
        make_view(smooth_source(), focus, STAGE, RandomStream(*key))
        for key in ((1, "x"), (1, "x"), (2, "x"))
    )
    assert torch.equal(a.hu, b.hu)
    assert a.hu.shape != c.hu.shape or not torch.equal(a.hu, c.hu)


def test_the_aligned_rest_of_a_view_is_air() -> None:
    view = make_view(smooth_source(), torch.tensor([16.0, 18.0, 20.0]), STAGE, RandomStream(5))
    assert all(n % STAGE.net.alignment == 0 for n in view.hu.shape[2:])
    for axis, edge in enumerate(view.edges):
        assert (view.hu.narrow(2 + axis, edge, view.hu.shape[2 + axis] - edge) == AIR_HU).all()


CHANGED = COARSE.with_changes(augmentation=Augmentation(gain=(0.5, 2.0), bend_knots=(3, 3)))


@pytest.mark.parametrize("stage", [COARSE, FINE, CHANGED], ids=["coarse", "fine", "changed"])
def test_stage_settings_survive_json(stage: StageConfig) -> None:
    assert StageConfig.from_json(json.loads(json.dumps(stage.to_json()))) == stage


def test_settings_of_before_the_augmentation_have_its_defaults() -> None:
    old = COARSE.to_json()
    del old["augmentation"]
    assert StageConfig.from_json(old) == COARSE
    part = {"gain": [0.5, 2.0]}
    assert Augmentation.from_json(part) == Augmentation(gain=(0.5, 2.0))


@pytest.mark.parametrize(
    "wrong", [{"tint": 1.0}, {"gain": [1.0]}, {"gain": 1.0}, {"erase_hu": ["x"]}]
)
def test_an_impossible_augmentation_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Augmentation.from_json(wrong)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_erased_blocks_keep_to_their_ranges(seed: int) -> None:
    """With certain blocks and nothing else, every altered voxel has a value of the range."""
    ranges = Augmentation(
        gamma=(1.0, 1.0),
        gain=(1.0, 1.0),
        offset_hu=(0.0, 0.0),
        blur_probability=0.0,
        noise_probability=0.0,
        erase_probability=0.7,
        erase_edge=(2, 3),
        erase_hu=(500.0, 600.0),
    )
    hu = torch.zeros(1, 1, 12, 13, 14)
    altered = augment_intensity(hu, ranges, RandomStream("erase", seed))
    changed = altered[altered.abs() > 1.0]
    assert ((changed >= 500.0) & (changed < 600.0)).all()


def test_air_stays_air() -> None:
    hu = torch.full((1, 1, 8, 8, 8), AIR_HU)
    for seed in range(5):
        ranges = Augmentation(erase_probability=0.0)
        assert torch.equal(augment_intensity(hu, ranges, RandomStream("air", seed)), hu)
