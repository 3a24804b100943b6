"""Grids: the same physical content whatever the storage, at the right place, without the couch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.phantoms import ORDERS, body_hu, body_volume, centres, rotation, stored

from rprloc.errors import InputError
from rprloc.geometry import Geometry, Points
from rprloc.image.hounsfield import AIR_HU
from rprloc.image.resampling import IsotropicVolume, to_grid, to_grids
from rprloc.image.volume import Volume

SPACINGS = st.tuples(*[st.floats(1.2, 5.0)] * 3)
TURNS = st.tuples(*[st.floats(-1.6, 1.6)] * 3)
ORIGINS = st.tuples(*[st.floats(-300, 300)] * 3)
EIGHTH = np.pi / 4


def centred(
    size: tuple[int, int, int], spacing: tuple[float, ...], turns: tuple[float, ...]
) -> Geometry:
    direction = rotation(turns)
    middle = direction @ ((np.array(size) - 1) / 2 * spacing)
    return Geometry(size, np.array(spacing), -middle, direction)


def ramp(geometry: Geometry) -> tuple[Volume, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return HU that grow linearly from -950 to about 950, and the slope per mm."""
    xyz = centres(geometry)
    slope = np.array([1.0, -0.7, 0.4])
    slope *= 1900 / np.ptp(xyz @ slope)
    hu = xyz @ slope
    shift = -950 - hu.min()
    volume = Volume.from_array(hu + shift, geometry.ijk_to_lps, "ramp")
    return volume, np.append(slope, shift)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(ORDERS),
    TURNS,
    SPACINGS,
    ORIGINS,
    st.sampled_from([2.0, 3.0, 4.0]),
    st.booleans(),
)
@example(ORDERS[-1], (0, 0, EIGHTH), (1.5, 1.5, 2.0), (0, 0, 0), 3.0, True)
@example(ORDERS[7], (0, 0, 2 * EIGHTH), (2.0, 2.0, 2.5), (0, 0, 0), 2.0, False)
@example(ORDERS[29], (0, 0, 0), (1.3, 1.9, 5.0), (10, 20, 30), 4.0, True)
def test_the_grid_does_not_depend_on_the_storage(
    order: tuple[tuple[int, ...], tuple[bool, ...]],
    turns: tuple[float, ...],
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
    target: float,
    body_only: bool,
) -> None:
    i, j, k = (int(72 / s) + 2 for s in spacing)
    geometry = Geometry((i, j, k), np.array(spacing), np.array(origin), rotation(turns))
    middle = geometry.index_to_lps([(i / 2, j / 2, k / 2)]).xyz[0] - [0, 0, 24]
    hu = body_hu(centres(geometry) - middle, scale=0.22)
    wave = 60 * np.sin(centres(geometry) @ [0.11, 0.07, 0.05])
    volume = Volume.from_array(hu + wave, geometry.ijk_to_lps, "phantom")
    expected = to_grid(volume, target, body_only=body_only)
    grid = to_grid(stored(volume, *order), target, body_only=body_only)
    assert grid.hu.shape == expected.hu.shape
    assert np.allclose(grid.origin, expected.origin, atol=1e-6)
    assert np.abs(grid.hu - expected.hu).max() < 0.05


@pytest.mark.parametrize("order", ORDERS)
def test_all_48_orders_give_one_grid(order: tuple[tuple[int, ...], tuple[bool, ...]]) -> None:
    geometry = centred((47, 32, 23), (1.4, 2.3, 3.1), (0.2, -0.1, 0.3))
    volume = body_volume(geometry, scale=0.25)
    expected = to_grid(volume, 3.0)
    grid = to_grid(stored(volume, *order), 3.0)
    assert np.allclose(grid.origin, expected.origin, atol=1e-6)
    assert np.abs(grid.hu - expected.hu).max() < 0.05


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(ORDERS), TURNS, SPACINGS, st.sampled_from([2.0, 3.0, 4.0, 5.5]))
def test_content_stays_at_its_physical_place(
    order: tuple[tuple[int, ...], tuple[bool, ...]],
    turns: tuple[float, ...],
    spacing: tuple[float, ...],
    target: float,
) -> None:
    i, j, k = (int(60 / s) + 3 for s in spacing)
    volume, slope = ramp(centred((i, j, k), spacing, turns))
    volume = stored(volume, *order)
    grid = to_grid(volume, target, body_only=False)
    index = np.argwhere(np.ones(grid.hu.shape, dtype=bool))
    xyz = grid.zyx_to_lps(index)
    inside = volume.geometry.contains(Points(xyz), margin_mm=-2 * target)
    assert inside.any()
    expected = xyz @ slope[:3] + slope[3]
    assert np.abs(grid.hu.reshape(-1) - expected)[inside].max() < 1.0


def test_outside_a_tilted_volume_is_air() -> None:
    geometry = centred((40, 40, 20), (2.0, 2.0, 4.0), (0, 0, EIGHTH))
    volume, _ = ramp(geometry)
    grid = to_grid(volume, 4.0, body_only=False)
    xyz = grid.zyx_to_lps(np.argwhere(np.ones(grid.hu.shape, dtype=bool)))
    outside = ~geometry.contains(Points(xyz), margin_mm=0.1)
    assert 0.3 < outside.mean() < 0.7
    assert (grid.hu.reshape(-1)[outside] == AIR_HU).all()
    assert (grid.hu.reshape(-1)[geometry.contains(Points(xyz))] > AIR_HU).all()


@pytest.mark.parametrize("target", [3.0, 4.0, 5.0])
def test_no_voxel_at_the_ends_is_lost(target: float) -> None:
    """17 voxels do not fill whole bins of 2, 3 or 4.

    The ends must hold the values there, not air.
    """
    geometry = Geometry((17, 17, 17), np.full(3, 1.2), np.zeros(3), np.eye(3))
    volume, slope = ramp(geometry)
    grid = to_grid(volume, target, body_only=False)
    ends = grid.zyx_to_lps(np.array([(0, 0, 0), grid.hu.shape]) - [[0], [1]])
    assert np.abs(ends - [geometry.bounds().lower, geometry.bounds().upper]).max() <= target + 0.1
    assert grid.hu.min() > -1000
    assert np.abs(grid.hu[[0, -1], [0, -1], [0, -1]] - (ends @ slope[:3] + slope[3])).max() < 400


def test_averaging_keeps_fine_noise_down() -> None:
    geometry = Geometry((80, 80, 80), np.ones(3), np.zeros(3), np.eye(3))
    noise = np.random.default_rng(1).normal(0, 400, (80, 80, 80))
    volume = Volume.from_array(noise, geometry.ijk_to_lps, "noise")
    grid = to_grid(volume, 4.0, body_only=False)
    assert grid.hu.std() < 400 / 4**1.5 * 1.3


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1, max_size=4), st.floats(0.5, 8))
def test_indices_and_positions_are_inverse(zyx: list[tuple[float, ...]], spacing: float) -> None:
    grid = IsotropicVolume(np.zeros((2, 3, 4), np.float32), np.array([5.0, -7.0, 11.0]), spacing)
    xyz = grid.zyx_to_lps(zyx)
    assert np.allclose(xyz[:, 0], 5 + spacing * np.array(zyx)[:, 2])
    assert np.allclose(grid.lps_to_zyx(xyz), zyx)


def test_several_grids_at_once_are_those_of_one_at_a_time() -> None:
    volume = body_volume(centred((90, 70, 60), (2.0, 2.0, 2.5), (0.1, 0, 0)), scale=0.45)
    together = to_grids(volume, (4.0, 3.0, 4.0))
    assert together[0] is not None
    for grid, spacing in zip(together, (4.0, 3.0, 4.0), strict=True):
        alone = to_grid(volume, spacing)
        assert grid.spacing == spacing
        assert np.array_equal(grid.hu, alone.hu)
        assert np.array_equal(grid.origin, alone.origin)


@pytest.mark.parametrize("spacing", [3.0, 4.0, 5.0])
def test_the_couch_does_not_matter(spacing: float) -> None:
    geometry = Geometry((150, 84, 90), np.full(3, 3.0), np.array([-225.0, -120.0, 0.0]), np.eye(3))
    bare = to_grid(body_volume(geometry), spacing)
    couch = to_grid(body_volume(geometry, couch=True), spacing)
    shift = np.rint(bare.lps_to_zyx(couch.origin[None])[0]).astype(int)
    assert np.allclose(bare.zyx_to_lps(shift[None])[0], couch.origin)
    index = np.argwhere(bare.hu > -350)
    there = index - shift
    inside = ((there >= 0) & (there < couch.hu.shape)).all(axis=1)
    assert inside.mean() > 0.999
    change = couch.hu[tuple(there[inside].T)] - bare.hu[tuple(index[inside].T)]
    assert np.median(np.abs(change)) == 0
    assert np.mean(np.abs(change) > 50) < 0.01
    added = (couch.hu > -350).sum() - (bare.hu > -350).sum()
    whole = (to_grid(body_volume(geometry, couch=True), spacing, body_only=False).hu > -350).sum()
    assert added < 0.35 * (whole - (bare.hu > -350).sum())


def test_the_crop_leaves_one_voxel_of_air_where_the_scan_does() -> None:
    geometry = Geometry((150, 84, 120), np.full(3, 3.0), np.array([-225.0, -120.0, 0.0]), np.eye(3))
    grid = to_grid(body_volume(geometry), 4.0)
    sides = [grid.hu[:, 0], grid.hu[:, -1], grid.hu[..., 0], grid.hu[..., -1], grid.hu[-1]]
    assert all((side == AIR_HU).all() for side in sides)
    assert grid.hu[0].max() > 0
    assert grid.hu.dtype == np.float32
    assert np.isfinite(grid.hu).all()


def test_bad_spacing_and_a_bodiless_volume_are_refused() -> None:
    geometry = Geometry((20, 20, 20), np.full(3, 3.0), np.zeros(3), np.eye(3))
    volume, _ = ramp(geometry)
    for spacing in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="above 0 mm"):
            to_grid(volume, spacing)
    array = np.full((20, 20, 20), -900, np.int16)
    array[0] = -1000
    with pytest.raises(InputError, match="no body"):
        to_grid(Volume(array, geometry, "air"), 3.0)
