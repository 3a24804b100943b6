"""Random views: exact correspondences, repeatable, air beyond the field of view."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rprloc.image.resampling import AIR_HU
from rprloc.model.network_config import PnetConfig
from rprloc.model.relative_offset import sample_points
from rprtrain.config import COARSE, FINE
from rprtrain.random_stream import RandomStream
from rprtrain.views.view import make_view

STAGE = COARSE.with_changes(
    net=PnetConfig(stem=4, stages=((4, 1), (4, 1))),
    crop=(40, 40, 40),
    smallest_mm=60.0,
    elastic_mm=3.0,
)


def smooth_source() -> torch.Tensor:
    """HU that grow linearly along the three axes in their own measure, so that a value tells a position."""
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
    """Up to gain and offset (intensity is augmented), a view's values follow the source's at corresponding points."""
    stage = STAGE.with_changes(elastic_mm=2.0)
    source = smooth_source()
    view = make_view(source, torch.tensor([16.0, 18.0, 20.0]), stage, RandomStream("show", seed))
    points = 6 + torch.rand(400, 3, generator=torch.Generator().manual_seed(seed)) * torch.tensor(
        [19.0, 23.0, 27.0]
    )
    u = view.from_source(points)
    points, u = points[view.contains(u)], u[view.contains(u)]
    if len(u) < 30:
        return
    shown = sample_points(view.hu, u)[:, 0]
    true = sample_points(source.float()[None, None], points)[:, 0]
    keep = (shown - shown.median()).abs() < 400
    assert torch.corrcoef(torch.stack([shown[keep], true[keep]]))[0, 1] > 0.8


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


def test_stage_settings_survive_json() -> None:
    for stage in (COARSE, FINE):
        assert type(stage).from_json(stage.to_json()) == stage
