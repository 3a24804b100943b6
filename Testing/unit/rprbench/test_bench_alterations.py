"""Changed CTs: the patient stays unless slices are lost, the change is as large as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.benchmark_cohort import write_cohort
from support.phantoms import ORDERS, body_volume, centres, rotation, stored

from rprbench.core.cohort import Cohort
from rprbench.core.method import Context
from rprbench.experiments.alterations import (
    dropped,
    every_nth,
    gap_at,
    moved,
    noisy,
    offset,
    reordered,
    repeated,
    respaced,
    thick_slices,
)
from rprbench.experiments.metal import METAL_HU, STREAK_HU, dense_spots, streaks, with_metal
from rprbench.experiments.robustness import ORDERS as CHOSEN_ORDERS
from rprbench.experiments.robustness import QUICK, Robustness, changes
from rprloc.geometry import Geometry, Points
from rprloc.image.hounsfield import HU_MAX, HU_MIN
from rprloc.image.volume import Volume

SOME_ORDERS = ORDERS[::7]
Order = tuple[tuple[int, int, int], tuple[bool, bool, bool]]


@pytest.fixture(scope="module")
def body() -> Volume:
    geometry = Geometry(
        (33, 22, 55), np.array([11.0, 10.0, 5.0]), np.array([-170.0, -105.0, -20.0]), np.eye(3)
    )
    return body_volume(geometry)


@pytest.fixture(scope="module")
def tilted() -> Volume:
    geometry = Geometry(
        (33, 22, 55),
        np.array([11.0, 10.0, 5.0]),
        np.array([-150.0, -130.0, -30.0]),
        rotation((0.2, -0.1, 0.15)),
    )
    return body_volume(geometry)


@pytest.mark.parametrize("order", ORDERS)
def test_a_reordered_volume_is_the_one_that_the_phantoms_store(
    tilted: Volume, order: Order
) -> None:
    found, expected = reordered(tilted, *order), stored(tilted, *order)
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(found.geometry.ijk_to_lps, expected.geometry.ijk_to_lps, atol=1e-9)


def test_every_chosen_order_is_another_one_and_is_named_after_its_axes(body: Volume) -> None:
    letters = np.array([["L", "R"], ["P", "A"], ["S", "I"]])
    for name, order in CHOSEN_ORDERS.items():
        direction = reordered(body, *order).geometry.direction
        main = np.abs(direction).argmax(axis=0)
        assert "".join(letters[main, (direction[main, range(3)] < 0).astype(int)]) == name
    assert len(set(CHOSEN_ORDERS.values())) == len(CHOSEN_ORDERS) >= 3


def slow_mean(hu: np.ndarray, old: float, new: float, n: int) -> float:
    """Mean of the profile ``hu`` (voxels of ``old`` mm) over the n-th voxel of ``new`` mm."""
    places = np.linspace(n * new, min((n + 1) * new, len(hu) * old), 20001)[:-1]
    return float(hu[np.minimum((places / old + 1e-9).astype(int), len(hu) - 1)].mean())


@pytest.mark.parametrize("new", [6.0, 7.3, 11.0])
def test_a_coarser_voxel_is_the_mean_over_its_width(body: Volume, new: float) -> None:
    found = thick_slices(body, new)
    assert found.geometry.spacing.tolist() == [11.0, 10.0, new]
    profile = body.array[:, 11, 16].astype(float)
    expected = [slow_mean(profile, 5.0, new, n) for n in range(found.array.shape[0])]
    np.testing.assert_allclose(found.array[:, 11, 16], expected, atol=1.0)


def ramp(xyz: np.ndarray) -> np.ndarray:
    """HU that rise evenly along every patient axis: means and interpolations of them are exact."""
    return np.asarray(xyz @ [1.5, -2.0, 1.8] - 50.0)


@pytest.mark.parametrize("order", SOME_ORDERS)
@pytest.mark.parametrize("spacing", [4.0, 6.0, 14.0])
def test_a_respaced_volume_has_every_value_at_its_place(
    tilted: Volume, order: Order, spacing: float
) -> None:
    geometry = stored(tilted, *order).geometry
    volume = Volume.from_array(ramp(centres(geometry)), geometry.ijk_to_lps, "ramp")
    found = respaced(volume, (spacing,) * 3)
    np.testing.assert_allclose(found.geometry.spacing, spacing)
    # a voxel over the volume's edge is the mean of what there is of it
    xyz = centres(found.geometry)
    inside = geometry.contains(Points(xyz.reshape(-1, 3)), -max(7.0, spacing / 2)).reshape(
        found.array.shape
    )
    assert inside.sum() > 100
    expected = np.clip(ramp(xyz), HU_MIN, HU_MAX)[inside]
    # voxels of 11 mm count in steps where 14 mm do not hold a whole number of them
    assert np.abs(found.array[inside] - expected).max() < (2.0 if spacing < 10 else 4.0)
    bounds, before = found.geometry.bounds(), volume.geometry.bounds()
    assert np.abs(bounds.lower - before.lower).max() < 0.87 * spacing
    assert np.abs(bounds.upper - before.upper).max() < 0.87 * spacing


def test_finer_voxels_are_interpolated_and_the_same_spacing_changes_nothing(body: Volume) -> None:
    np.testing.assert_array_equal(respaced(body, (11.0, 10.0, 5.0)).array, body.array)
    fine = respaced(body, (None, None, 2.5))
    assert fine.array.shape == (110, 22, 33)
    below, above = body.array[10, 11, 16], body.array[11, 11, 16]
    assert fine.array[21, 11, 16] == pytest.approx(0.75 * below + 0.25 * above, abs=0.51)
    assert fine.array[22, 11, 16] == pytest.approx(0.25 * below + 0.75 * above, abs=0.51)


@pytest.mark.parametrize("order", SOME_ORDERS)
def test_thick_slices_are_those_of_the_patient_in_any_stored_order(
    body: Volume, order: Order
) -> None:
    volume = stored(body, *order)
    found = thick_slices(volume, 10.0)
    along = order[0].index(2)
    assert found.geometry.spacing[along] == 10.0
    assert sorted(found.geometry.spacing.tolist()) == [10.0, 10.0, 11.0]


@pytest.mark.parametrize("sigma", [20.0, 100.0])
def test_noise_has_its_strength_no_offset_and_is_the_same_again(body: Volume, sigma: float) -> None:
    found = noisy(body, sigma, np.random.default_rng(3))
    # the air of the phantom would be clipped at -1024
    added = (found.array.astype(int) - body.array)[body.array > -500]
    assert added.std() == pytest.approx(sigma, rel=0.03)
    assert abs(added.mean()) < 0.03 * sigma
    np.testing.assert_array_equal(found.array, noisy(body, sigma, np.random.default_rng(3)).array)


@pytest.mark.parametrize("hu", [50, -50])
def test_an_offset_is_added_and_clipped(body: Volume, hu: int) -> None:
    expected = np.clip(body.array.astype(int) + hu, HU_MIN, HU_MAX)
    np.testing.assert_array_equal(offset(body, hu).array, expected)


def test_numbers_of_missing_slices(body: Volume) -> None:
    assert every_nth(body, 5) == [4, 9, 14, 19, 24, 29, 34, 39, 44, 49, 54]
    # slices lie at -20, -15, ...: number 30 lies at 130
    assert gap_at(body, 130.0, 3) == [29, 30, 31]
    assert gap_at(body, -900.0, 3) == [1, 2, 3]
    assert gap_at(body, 900.0, 3) == [51, 52, 53]


@pytest.mark.parametrize("order", SOME_ORDERS)
def test_missing_slices_are_closed_by_the_nearest_ones(body: Volume, order: Order) -> None:
    volume = stored(body, *order)
    along = 2 - order[0].index(2)
    missing = [4, 20, 21, 22]
    found = np.moveaxis(repeated(volume, missing).array, along, 0)
    expected = np.moveaxis(volume.array, along, 0).copy()
    expected[[4, 20, 21, 22]] = expected[[3, 19, 19, 23]]
    np.testing.assert_array_equal(found, expected)
    assert repeated(volume, missing).geometry == volume.geometry


@pytest.mark.parametrize("order", SOME_ORDERS)
@pytest.mark.parametrize("missing", [[4, 9, 14], [20, 21, 22], [0, 1, 7]])
def test_points_move_with_the_slices_that_are_dropped(
    tilted: Volume, order: Order, missing: list[int]
) -> None:
    volume = stored(tilted, *order)
    along = order[0].index(2)
    short = dropped(volume, missing)
    assert short.geometry.size[along] == volume.geometry.size[along] - len(missing)
    kept = np.setdiff1d(np.arange(volume.geometry.size[along]), missing)
    places = np.take(centres(volume.geometry), kept, axis=2 - along)
    expected = np.take(volume.array, kept, axis=2 - along)
    np.testing.assert_array_equal(short.array, expected)
    found = moved(volume.geometry, missing, places.reshape(-1, 3))
    np.testing.assert_allclose(found, centres(short.geometry).reshape(-1, 3), atol=1e-6)


def test_a_point_in_a_missing_slice_comes_to_lie_between_its_neighbours(body: Volume) -> None:
    # slice 10 reaches from z = 27.5 to 32.5
    heights = np.array([27.5, 30.0, 32.5, 35.0])
    found = moved(body.geometry, [10], np.stack([0 * heights, 0 * heights, heights], axis=1))
    np.testing.assert_allclose(found[:, 2], [27.5, 27.5, 27.5, 30.0])


def test_metal_sits_in_the_densest_places_of_the_jaw_and_changes_only_its_slices(
    body: Volume,
) -> None:
    array = body.array.copy()
    jaw = {"right": (34, 6, 13), "left": (34, 6, 18)}
    for k, j, i in jaw.values():
        array[k, j, i] = 1500
    array[34, 16, 16] = 2000
    volume = Volume(array, body.geometry, "jaw")
    found = with_metal(volume, 150.0, np.random.default_rng(0))
    assert {tuple(p) for p in np.argwhere(found.array == METAL_HU)} == {
        (k, j, i) for _, j, i in jaw.values() for k in (33, 34, 35)
    }
    difference = found.array.astype(int) - array
    assert np.flatnonzero(difference.any(axis=(1, 2))).tolist() == [33, 34, 35]
    streaked = difference[34][np.abs(difference[34]) < 900]
    assert (streaked > 30).sum() > 20 and (streaked < -30).sum() > 20
    # between the two
    assert difference[34, 6, 15] < -100 and difference[34, 6, 16] < -100


@pytest.mark.parametrize("order", SOME_ORDERS)
def test_metal_is_the_same_in_any_stored_order(body: Volume, order: Order) -> None:
    expected = stored(with_metal(body, 150.0, np.random.default_rng(0)), *order).array
    found = with_metal(stored(body, *order), 150.0, np.random.default_rng(0)).array
    np.testing.assert_allclose(found, expected, atol=1)


def test_streaks_are_lines_of_projection_and_fall_off() -> None:
    x, y = np.meshgrid(np.arange(-100.0, 101.0, 2.0), np.arange(-100.0, 101.0, 2.0))
    strengths = np.where(np.arange(24) % 2, 1.0, -1.0)[None]
    added = streaks(x, y, [(0.0, 0.0)], strengths)
    np.testing.assert_allclose(added, added[::-1, ::-1], atol=1e-6)
    distance = np.hypot(x, y)
    assert np.abs(added[distance > 30]).max() <= STREAK_HU / 3 + 1
    assert np.abs(added[distance > 95]).max() < 60
    assert added.max() > 200 and added.min() < -200


def test_no_metal_where_there_is_no_body() -> None:
    x, y = np.meshgrid(np.arange(5.0), np.arange(5.0))
    assert dense_spots(np.full((5, 5), -1000.0), x, y) == []


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("robustness")
    return Context(Cohort(write_cohort(folder / "cohort")), folder / "out", threads=1)


def test_every_change_can_be_made_and_is_one(context: Context) -> None:
    patient = context.cohort.patient("test_0")
    made = {change.id: change.make(patient) for change in changes()}
    assert (
        len(made) == len(changes()) and next(iter(made)) == "unchanged" and set(QUICK) <= set(made)
    )
    unchanged = made.pop("unchanged")
    assert unchanged is not None and unchanged.volume is patient.volume
    for name, changed in made.items():
        assert changed is not None
        same = changed.volume.geometry == patient.volume.geometry
        # the phantom has voxels of 6 mm
        assert (same and np.array_equal(changed.volume.array, patient.volume.array)) == (
            name in ("spacing-6", "slices-6")
        ), name
        assert (changed.moved is not None) == name.endswith("dropped")


def test_a_row_per_change_reference_and_organ(context: Context, tiny_model: Path) -> None:
    quick = Context(context.cohort, context.out, quick=True, threads=1)
    experiment = Robustness(quick, ["val_0", "val_1"], ["test_0", "test_1"], tiny_model)
    assert set(experiment.settings()["changes"]) == set(QUICK)
    rows = experiment.run("test_0")
    organs = ("Brainstem", "LeftParotid", "Mandible", "RightParotid")
    assert sorted((r["change"], r["reference"], r["organ"]) for r in rows) == sorted(
        (change, "val_0", organ) for change in QUICK for organ in organs
    )
    assert all(r["shift_mm"] == 0 for r in rows if r["change"] == "unchanged")
    # a body on an upright lattice is resampled to the same values whatever the stored order
    assert max(r["shift_mm"] for r in rows if r["change"].startswith("order")) < 0.5
    # the mandible of this patient is not complete
    assert {r["change"] for r in experiment.run("test_1")} == set(QUICK) - {"metal"}


def test_every_reference_but_the_query_itself_is_used(context: Context, tiny_model: Path) -> None:
    experiment = Robustness(context, ["val_0", "val_1", "val_2"], ["val_0"], tiny_model)
    assert experiment.references == ["val_0", "val_1"] and len(experiment.changes) == len(changes())
    experiment.changes = experiment.changes[:1]
    assert {r["reference"] for r in experiment.run("val_0")} == {"val_1"}


def test_truth_and_answer_move_with_dropped_slices(context: Context) -> None:
    patient = context.cohort.patient("test_0")
    change = next(c for c in changes() if c.id == "gap-dropped").make(patient)
    assert change is not None
    truth = patient.organs["Mandible"].box
    assert truth is not None
    lost = 3 * patient.volume.geometry.spacing[2]
    inside = change.box(truth)
    # the gap lies within the mandible
    assert inside.size[2] == pytest.approx(truth.size[2] - lost)
    np.testing.assert_allclose(inside.size[:2], truth.size[:2])
    above = truth.upper[None] + [0, 0, 40.0]
    np.testing.assert_allclose(change.place(above), above - [0, 0, lost])
