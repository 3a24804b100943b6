"""Gray-value template matching of the benchmark.

The same as a plain sliding window, and in the right place.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.phantoms import body_hu, centres, stored

pytest.importorskip("scipy", reason="the benchmark needs scipy (extra: bench)")

from rprbench.core.cohort import Patient
from rprbench.core.method import Context
from rprbench.methods.gray_scale import GrayScale
from rprbench.methods.patch_grid import PATCH, SPACING, PatchGrid, patch_grid
from rprbench.methods.patch_matching import Example
from rprbench.methods.sliding_window import (
    MEASURES,
    NOTHING,
    Windows,
    best_window,
    local_sums,
    plain_likeness,
)
from rprloc.geometry import Box, FloatArray, Geometry
from rprloc.image.volume import Volume
from rprloc.targets.target import Target, target_from_box

SMALL = (4, 6, 8)


def context(tmp_path: Path) -> Context:
    return Context(cohort=None, out=tmp_path, threads=1, report=lambda line: None)  # type: ignore[arg-type]


def head(origin: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Volume:
    """Head and neck of the phantom with a skull base of random bones.

    Voxel 0 lies at the LPS ``origin``.
    """
    lattice = Geometry(
        (50, 50, 60), np.array([4.0, 4.0, 3.0]), np.array([-100.0, -110.0, 90.0]), np.eye(3)
    )
    hu = body_hu(centres(lattice))
    bones = np.kron(np.random.default_rng(3).normal(0, 150, (15, 10, 10)), np.ones((4, 5, 5)))
    hu = np.where(hu > -300, hu + bones, hu)
    moved = Geometry(lattice.size, lattice.spacing, np.array(origin), lattice.direction)
    return Volume(hu.astype(np.int16), moved, "head")


def patient(volume: Volume, organ: Target) -> Patient:
    return Patient(volume.name, volume, None, {organ.name: organ}, {organ.name: 1})


@pytest.mark.parametrize("shape", [(12, 16, 18), (11, 17, 13)])
def test_all_windows_as_the_plain_sliding_window(shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    volume, patch = (
        random.random(shape, dtype=np.float32) * 2,
        random.random(SMALL, dtype=np.float32) * 2,
    )
    volume[:6, :8, :9] = 0
    windows = Windows(volume, SMALL)
    found = windows.likeness(patch, MEASURES)
    assert windows.counts == tuple((n - m) // 2 + 1 for n, m in zip(shape, SMALL, strict=True))
    for measure in MEASURES:
        assert found[measure].shape == windows.counts
        for at in np.ndindex(*windows.counts):
            part = volume[tuple(slice(2 * s, 2 * s + n) for s, n in zip(at, SMALL, strict=True))]
            assert found[measure][at] == pytest.approx(
                plain_likeness(part, patch, measure), abs=1e-5
            )


def test_exact_enough_at_the_size_of_the_paper() -> None:
    random = np.random.default_rng(1)
    volume = np.clip(random.normal(1, 0.05, (40, 64, 70)), 0, 2).astype(np.float32)
    volume[:, :20] = 0
    patch = volume[3:19, 9:41, 12:44].copy()
    windows = Windows(volume, PATCH)
    found = windows.likeness(patch, MEASURES)
    for measure in MEASURES:
        for at in [(0, 0, 0), (1, 4, 6), (2, 5, 5), tuple(n - 1 for n in windows.counts)]:
            part = volume[
                tuple(slice(2 * s, 2 * s + n) for s, n in zip(at, PATCH, strict=True))
            ].astype(np.float64)
            expected = plain_likeness(part, patch.astype(np.float64), measure)
            assert found[measure][at] == pytest.approx(expected, abs=1e-4)


def test_plain_measures_by_other_means() -> None:
    random = np.random.default_rng(2)
    a, b = random.random(SMALL, dtype=np.float32), random.random(SMALL, dtype=np.float32)
    x, y = a.reshape(-1).astype(float), b.reshape(-1).astype(float)
    assert plain_likeness(a, b, "mse") == pytest.approx(-sum((x - y) ** 2) / len(x), rel=1e-5)
    assert plain_likeness(a, b, "cosine") == pytest.approx(
        sum(x * y) / (sum(x * x) * sum(y * y)) ** 0.5, rel=1e-5
    )
    assert plain_likeness(a, b, "ncc") == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-4)


def test_local_sums_as_a_loop() -> None:
    volume = np.random.default_rng(4).random((9, 12, 13))
    found = local_sums(volume, SMALL)
    for z, y, x in np.ndindex(*found.shape):
        part = volume[2 * z : 2 * z + 4, 2 * y : 2 * y + 6, 2 * x : 2 * x + 8]
        assert found[z, y, x] == pytest.approx(part.sum())


def test_air_does_not_divide_by_zero() -> None:
    volume = np.zeros((12, 16, 18), dtype=np.float32)
    volume[8:, 10:, 10:] = np.random.default_rng(5).random((4, 6, 8))
    patch = volume[8:, 10:, 10:].copy()
    with np.errstate(all="raise"):
        found = Windows(volume, SMALL).likeness(patch, MEASURES)
        empty = Windows(np.zeros_like(volume), SMALL).likeness(patch, MEASURES)
        of_air = Windows(volume, SMALL).likeness(np.zeros_like(patch), MEASURES)
    assert found["cosine"][0, 0, 0] == found["ncc"][0, 0, 0] == NOTHING
    assert (
        best_window(found["ncc"])
        == best_window(found["cosine"])
        == best_window(found["mse"])
        == (8, 10, 10)
    )
    for lost in (empty, of_air):
        assert best_window(lost["ncc"]) is None and best_window(lost["cosine"]) is None
        assert np.isfinite(lost["mse"]).all()


def test_windows_must_fit() -> None:
    with pytest.raises(ValueError, match="not larger"):
        Windows(np.zeros((3, 16, 18), dtype=np.float32), SMALL)
    with pytest.raises(ValueError, match="even"):
        Windows(np.zeros((12, 16, 18), dtype=np.float32), (3, 4, 4))


def test_voxels_of_the_lattice_lie_where_it_says() -> None:
    lattice = Geometry(
        (50, 45, 60), np.array([3.0, 3.0, 2.5]), np.array([11.0, -40.0, 500.0]), np.eye(3)
    )
    x, y, z = np.moveaxis(centres(lattice), -1, 0)
    slope = 2 * (x - 80) - (y - 20) + 1.5 * (z - 570)
    body = (np.abs(x - 84) < 60) & (np.abs(y - 26) < 50)
    grid = patch_grid(
        Volume(np.where(body, np.rint(slope), -1000).astype(np.int16), lattice, "slope")
    )
    index = np.stack(
        np.meshgrid(*[np.arange(n) for n in grid.values.shape], indexing="ij"), axis=-1
    ).reshape(-1, 3)
    x, y, z = (index[:, ::-1] * np.array(SPACING[::-1]) + grid.origin).T
    core = (np.abs(x - 84) < 50) & (np.abs(y - 26) < 40) & (np.abs(z - 573) < 60)
    expected = (2 * (x - 80) - (y - 20) + 1.5 * (z - 570) + 1000) / 1000
    assert core.sum() > 1000
    assert np.abs(grid.values.reshape(-1)[core] - expected[core]).max() < 2e-3
    assert not grid.values[: PATCH[0] // 2].any() and not grid.values[:, :, -PATCH[2] // 2 :].any()


def test_the_centre_and_the_rest_of_a_patch_make_its_point() -> None:
    grid = PatchGrid(
        np.arange(24 * 48 * 40, dtype=np.float32).reshape(24, 48, 40), np.array([5.0, -7.0, 100.0])
    )
    point = grid.origin + np.array([20.4, 24.3, 11.8]) * SPACING[::-1]
    patches, rest = grid.cut(point[None])
    assert patches[0, 0, 0, 0] == grid.values[4, 9, 5]
    assert np.allclose(grid.window_centres(np.array([[4, 9, 5]])) + rest, point)
    assert (np.abs(rest) <= np.array(SPACING[::-1]) / 2).all()


def organ_at(origin: FloatArray) -> Target:
    return target_from_box(
        "Organ", Box(origin + np.array([60, 70, 60]), origin + np.array([130, 120, 110]))
    )


def test_an_organ_is_found_in_its_own_ct_and_moves_with_the_origin(tmp_path: Path) -> None:
    method = GrayScale(context(tmp_path))
    here, there = np.array([-100.0, -110.0, 90.0]), np.array([300.0, -20.0, -777.0])
    prepared = method.prepare(patient(head(tuple(here)), organ_at(here)))
    query = stored(head(tuple(there)), (2, 0, 1), (True, False, True))
    answers = method.find(method.encode(query), prepared, ["Organ"])
    truth = organ_at(there).box
    assert truth is not None and list(answers) == ["gs-mse", "gs-cosine", "gs-ncc"]
    for variant in answers:
        box = answers[variant]["Organ"].box
        assert box is not None
        # windows of stride 2 begin at every second voxel only
        step = np.array(SPACING[::-1]) + 1e-6
        assert (np.abs(box.lower - truth.lower) <= step).all() and (
            np.abs(box.upper - truth.upper) <= step
        ).all()


def test_one_variant_alone_gives_the_same(tmp_path: Path) -> None:
    origin = np.array([-100.0, -110.0, 90.0])
    reference, query = patient(head(tuple(origin)), organ_at(origin)), head((1.0, 2.0, 3.0))
    answers = {}
    for only in (None, ["gs-ncc"]):
        method = GrayScale(context(tmp_path), only)
        answers[only is None] = method.find(
            method.encode(query), method.prepare(reference), ["Organ"]
        )
    assert list(answers[False]) == ["gs-ncc"]
    assert answers[False]["gs-ncc"]["Organ"].box == answers[True]["gs-ncc"]["Organ"].box
    with pytest.raises(ValueError, match="gs-ssd"):
        GrayScale(context(tmp_path), ["gs-ssd"])


def test_nothing_is_found_for_a_patch_of_air(tmp_path: Path) -> None:
    method = GrayScale(context(tmp_path))
    air = Example(np.zeros((6, *PATCH), dtype=np.float32), np.zeros((6, 3)))
    answers = method.find(method.encode(head()), {"Organ": air}, ["Organ"])
    assert answers["gs-ncc"]["Organ"].box is None and answers["gs-cosine"]["Organ"].box is None
    assert answers["gs-mse"]["Organ"].box is not None
