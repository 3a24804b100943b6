"""All CTs in one space: parts of one long body must find their places, whatever they show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rprloc.alignment.overlap import find_overlap, fit_affine
from rprloc.errors import InputError
from rprloc.image.hounsfield import AIR_HU
from rprloc.image.resampling import IsotropicVolume
from rprtrain.atlas.chaining import chain, find_links, sketch_of, solve_places
from rprtrain.atlas.coverage import balanced_weights
from rprtrain.atlas.mean_sketch import mean_of
from rprtrain.data.dataset import TrainingVolume

MM = 6.0
WIDTH, DEPTH, HEIGHT = 300.0, 200.0, 900.0
# Half the body's width every 75 mm: as a body's, it is nowhere the same.
PROFILE_MM = (140, 60, 75, 138, 95, 142, 120, 70, 110, 55, 140, 85, 60, 125)
PARTS = ((0.0, 330.0), (200.0, 520.0), (390.0, 720.0), (560.0, 900.0), (100.0, 420.0))


def long_body() -> np.ndarray:
    """A body from 0 to ``HEIGHT`` mm along z whose inside differs everywhere, HU (z, y, x)."""
    z, y, x = (np.arange(round(mm / MM)) * MM for mm in (HEIGHT, DEPTH, WIDTH))
    z, y, x = np.meshgrid(z, y - DEPTH / 2, x - WIDTH / 2, indexing="ij")
    half = np.interp(z, np.arange(0.0, 1000.0, 75.0), PROFILE_MM)
    hu = np.where((x / half) ** 2 + (y / (half * 0.6)) ** 2 < 1.0, 40.0, AIR_HU)
    hu[((x / half) ** 2 + (y / (half * 0.6)) ** 2 > 0.8) & (hu > 0.0)] = -100.0
    rng = np.random.default_rng(3)
    for _ in range(70):
        middle = rng.uniform((0.0, -45.0, -75.0), (HEIGHT, 45.0, 75.0))
        radius = rng.uniform(14.0, 34.0)
        ball = (z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 < radius**2
        hu[ball & (hu > AIR_HU)] = rng.choice([700.0, -800.0, -110.0])
    return hu.astype(np.float32)


def part(name: str, low: float, high: float, x_mm: float = 0.0) -> TrainingVolume:
    """What a scan from ``low`` to ``high`` shows; its own z begins at 0."""
    hu = long_body()[round(low / MM) : round(high / MM)]
    return TrainingVolume.from_grid(name, IsotropicVolume(hu, np.array([x_mm, 0.0, 0.0]), MM))


@pytest.fixture(scope="module")
def scans() -> list[TrainingVolume]:
    return [part(f"part{n}", low, high, 7.0 * n) for n, (low, high) in enumerate(PARTS)]


def test_two_scans_find_what_both_show(scans: list[TrainingVolume]) -> None:
    first, second = (sketch_of(v) for v in scans[:2])
    found = find_overlap(first, second)
    assert found is not None
    # A point lies 200 mm lower in the second scan, and 7 mm to its left; cells have 12 mm.
    assert found.shift.numpy() == pytest.approx([7.0, 0.0, -200.0], abs=8.0)
    assert found.common_mm == pytest.approx(130.0, abs=13.0)

    finer = fit_affine(first, second, found)
    middle = torch.tensor([[150.0, 100.0, 260.0]])
    carried = (middle @ finer.matrix.T + finer.shift)[0].numpy()
    assert carried == pytest.approx([157.0, 100.0, 60.0], abs=6.0)
    assert finer.likeness > 0.9


def test_scans_that_never_overlap_get_their_places_through_others(
    scans: list[TrainingVolume],
) -> None:
    said: list[str] = []
    places = chain(scans, said.append)
    assert sorted(places) == [v.name for v in scans]
    assert any("5 of 5 CTs hang together" in line for line in said)

    heights = []
    for volume, (low, _high) in zip(scans, PARTS, strict=True):
        matrix, shift = places[volume.name]
        own = torch.tensor([[150.0, 100.0, 100.0]])
        common = ((own - shift) @ torch.linalg.inv(matrix).T)[0, 2]
        heights.append(float(common) - (low + 100.0))
    assert np.ptp(heights) < 15.0


def test_the_order_of_the_scans_does_not_matter(scans: list[TrainingVolume]) -> None:
    there = chain(scans, lambda _line: None)
    back = chain(scans[::-1], lambda _line: None)
    for name, (matrix, shift) in there.items():
        assert torch.allclose(matrix, back[name][0], atol=1e-4)
        assert torch.allclose(shift, back[name][1], atol=1e-2)


def test_a_wrong_link_loses_its_weight(scans: list[TrainingVolume]) -> None:
    sketches = [sketch_of(v) for v in scans]
    links = find_links(sketches, lambda _line: None)
    right, _ = solve_places(sketches, links)
    broken = links[0]
    wrong = type(broken)(
        broken.first, broken.second, broken.points, broken.images + 90.0, broken.score
    )
    places, disagreement = solve_places(sketches, [wrong, *links])
    assert disagreement[0] > 60.0
    for (_, before), (_, after) in zip(right, places, strict=True):
        assert float((before - after).norm()) < 25.0


def test_a_scan_of_something_else_has_no_place(scans: list[TrainingVolume]) -> None:
    noise = np.full((60, 30, 40), AIR_HU, dtype=np.float32)
    noise[10:50, 8:22, 10:30] = np.random.default_rng(1).normal(40, 300, (40, 14, 20))
    other = TrainingVolume.from_grid("other", IsotropicVolume(noise, np.zeros(3), MM))
    assert "other" not in chain([*scans, other], lambda _line: None)


def test_the_mean_of_scans_relates_them_all_and_shows_what_several_show() -> None:
    reach = ((0.0, 540.0), (120.0, 660.0), (60.0, 600.0), (180.0, 720.0), (0.0, 600.0))
    scans = [part(f"part{n}", low, high, 7.0 * n) for n, (low, high) in enumerate(reach)]
    mean = mean_of(scans, lambda _line: None)
    assert sorted(mean.maps) == [scan.name for scan in scans]
    # Three of the five show the body from 60 to 660 mm.
    assert mean.sketch.shape[0] * mean.sketch.cell_mm == pytest.approx(540.0, abs=36.0)
    assert float(mean.shown.min()) >= 3

    there = [
        mean.from_ct(scan.name, torch.tensor([[150.0 + 7.0 * n, 100.0, 350.0 - low]]))[0]
        for n, (scan, (low, _high)) in enumerate(zip(scans, reach, strict=True))
    ]
    assert np.ptp(torch.stack(there).numpy(), axis=0).max() < 12.0


def test_scans_that_no_three_of_show_the_same_have_no_mean(scans: list[TrainingVolume]) -> None:
    with pytest.raises(InputError, match="3"):
        mean_of(scans[:2], lambda _line: None)


def test_parts_that_few_scans_show_are_drawn_more_often() -> None:
    reach = torch.tensor([[0.0, 200.0]] * 6 + [[180.0, 400.0]])
    weights = balanced_weights(reach)
    assert float(weights.mean()) == pytest.approx(1.0)
    assert float(weights[6]) > 2.0 * float(weights[0])
