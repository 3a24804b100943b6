"""Cut CTs: what stays is where it was, and the rows say what was cut and located."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.benchmark_cohort import write_cohort
from support.phantoms import ORDERS, body_volume, centres, rotation, stored

from rprbench.core.cohort import Cohort
from rprbench.core.method import Context
from rprbench.experiments.statuses import NOT_MADE, Statuses, judged
from rprbench.experiments.truncation import Side, cut, cut_plane, what_remains
from rprbench.methods.engine import OneShot
from rprloc.errors import InputError
from rprloc.geometry import Box, Geometry
from rprloc.image.hounsfield import AIR_HU
from rprloc.image.volume import Volume
from rprloc.localization.result import Result

ORGAN = Box(np.array([-20.0, -30.0, 110.0]), np.array([25.0, 20.0, 170.0]))
SIDES: tuple[Side, ...] = ("top", "bottom")


@pytest.fixture(scope="module")
def upright() -> Volume:
    geometry = Geometry(
        (30, 20, 60), np.array([12.0, 11.0, 5.0]), np.array([-170.0, -105.0, -20.0]), np.eye(3)
    )
    return body_volume(geometry)


@pytest.fixture(scope="module")
def tilted() -> Volume:
    geometry = Geometry(
        (25, 18, 60),
        np.array([14.0, 15.0, 5.0]),
        np.array([-150.0, -160.0, -30.0]),
        rotation((0.25, -0.15, 0.1)),
    )
    return body_volume(geometry)


def seen_heights(volume: Volume) -> np.ndarray:
    """Heights of the voxels that are not blank.

    The phantom is nowhere as empty as what lies beyond a cut.
    """
    return np.sort(centres(volume.geometry)[..., 2][volume.array > AIR_HU])


def values_by_place(volume: Volume) -> dict[tuple[int, ...], int]:
    """Position in micrometres -> HU, of what is not blank."""
    places = np.rint(1000 * centres(volume.geometry)).astype(int).reshape(-1, 3)
    return {
        tuple(p): int(hu)
        for p, hu in zip(places, volume.array.reshape(-1), strict=True)
        if hu > AIR_HU
    }


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("share", [0.75, 0.5, 0.25])
@pytest.mark.parametrize("order", ORDERS[::7])
def test_the_share_asked_for_is_seen_in_any_stored_order(
    upright: Volume, order: tuple[tuple[int, ...], tuple[bool, ...]], share: float, side: Side
) -> None:
    volume = stored(upright, *order)
    part = cut(volume, cut_plane(ORGAN, share, side), side)
    bounds = part.geometry.bounds()
    seen = min(bounds.upper[2], ORGAN.upper[2]) - max(bounds.lower[2], ORGAN.lower[2])
    # the organ is cut on the side that is away, and to half a slice of 5 mm
    assert seen / ORGAN.size[2] == pytest.approx(share, abs=2.5 / 60 + 1e-6)
    assert (bounds.upper[2] < ORGAN.upper[2] - 5) == (side == "top")
    assert (bounds.lower[2] > ORGAN.lower[2] + 5) == (side == "bottom")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("order", ORDERS[::11])
def test_every_point_that_stays_keeps_its_place_and_hu(
    tilted: Volume, order: tuple[tuple[int, ...], tuple[bool, ...]], side: Side
) -> None:
    volume = stored(tilted, *order)
    plane = cut_plane(ORGAN, 0.5, side)
    before = values_by_place(volume)
    expected = {
        p: hu
        for p, hu in before.items()
        if (p[2] <= 1000 * plane if side == "top" else p[2] >= 1000 * plane)
    }
    assert 1000 < len(expected) < len(before) - 1000
    assert values_by_place(cut(volume, plane, side)) == expected


def test_a_tilted_volume_is_cropped_to_the_slices_that_the_plane_leaves_or_crosses(
    tilted: Volume,
) -> None:
    part = cut(tilted, 140.0, "top")
    heights = centres(part.geometry)[..., 2]
    assert part.array.shape[0] < tilted.array.shape[0]
    assert all(layer.min() <= 140.0 for layer in heights)
    assert seen_heights(part)[-1] <= 140.0 < heights.max()


@pytest.mark.parametrize(("side", "plane"), [("top", 95.0), ("bottom", 185.0)])
def test_a_gone_organ_is_gone_with_its_surroundings(
    upright: Volume, side: Side, plane: float
) -> None:
    assert cut_plane(ORGAN, 0.0, side, 15.0) == pytest.approx(plane)
    heights = seen_heights(cut(upright, plane, side))
    assert heights[-1] <= plane if side == "top" else heights[0] >= plane


def test_a_cut_that_leaves_nothing_is_an_error(upright: Volume) -> None:
    with pytest.raises(InputError, match="nothing is left"):
        cut(upright, -500.0, "top")
    with pytest.raises(InputError, match="nothing is left"):
        cut(upright, 5000.0, "bottom")


@pytest.mark.parametrize(
    ("z", "side", "left"),
    [
        (60.0, "top", 50.0),
        (60.0, "bottom", 140.0),
        (500.0, "top", 190.0),
        (0.0, "top", 0.0),
        (0.0, "bottom", 190.0),
    ],
)
def test_what_remains_counts_the_patient_only(z: float, side: Side, left: float) -> None:
    assert what_remains((10.0, 200.0), z, side) == left


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("statuses")
    return Context(Cohort(write_cohort(folder / "cohort")), folder / "out", threads=1)


def test_rows_of_every_case_and_side_cut_or_not(
    context: Context, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # more than there is of the head of the phantom, less than there is of its neck and trunk
    monkeypatch.setattr("rprbench.experiments.statuses.LEAST_MM", 120.0)
    experiment = Statuses(context, ["val_0"], ["test_1"], tiny_model)
    assert experiment.settings()["references"] == ["val_0"] and list(experiment.units()) == [
        "test_1"
    ]
    rows = experiment.run("test_1")
    # the mandible of this patient is not complete
    organs = ("Brainstem", "LeftParotid", "RightParotid")
    cases = [("whole", "")] + [(c, s) for c in ("75", "50", "25", "gone") for s in SIDES]
    assert sorted((r["case"], r["side"], r["organ"]) for r in rows) == sorted(
        (*c, o) for c in cases for o in organs
    )
    for row in rows:
        upper_part = row["side"] == "bottom"
        assert (row["status"] == NOT_MADE) == upper_part, row
        assert (row["spread_mm"] is None) == upper_part
        assert (row["iou"] is None) == (upper_part or row["case"] == "gone")
        assert row["error_mm"] is None or row["status"] in ("ok", "low-confidence")


def test_a_quick_run_is_smaller_but_cuts_on_both_sides(
    context: Context, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rprbench.experiments.statuses.LEAST_MM", 50.0)
    quick = Context(context.cohort, context.out, quick=True, threads=1)
    rows = Statuses(quick, ["val_0", "val_1"], ["test_0"], tiny_model).run("test_0")
    assert {r["reference"] for r in rows} == {"val_0"}
    assert {(r["case"], r["side"]) for r in rows} == {("whole", "")} | {
        (c, s) for c in ("50", "gone") for s in SIDES
    }
    assert [r["organ"] for r in rows if r["status"] == NOT_MADE] == ["Brainstem"]


def test_every_reference_but_the_query_itself_is_used(context: Context, tiny_model: Path) -> None:
    experiment = Statuses(context, ["val_0", "val_1"], ["val_0"], tiny_model)
    experiment.shares = {}
    assert [(r["reference"], r["case"]) for r in experiment.run("val_0")] == [
        ("val_1", "whole")
    ] * 4


def test_references_located_side_by_side_answer_as_each_alone(
    context: Context, tiny_model: Path
) -> None:
    method = OneShot(context, tiny_model)
    seen = method.embed(context.cohort.patient("test_0").volume)
    together = method.locate(seen, ["val_0", "val_1"], ["Mandible", "Brainstem"])
    alone = [
        found
        for name in ("val_0", "val_1")
        for found in method.locate(seen, [name], ["Mandible", "Brainstem"])
    ]
    assert [(r, f.target) for r, f in together] == [(r, f.target) for r, f in alone]
    for (_, a), (_, b) in zip(together, alone, strict=True):
        assert a.center is not None and b.center is not None
        np.testing.assert_allclose(a.center, b.center, atol=0.5)


@pytest.mark.parametrize(
    ("case", "status", "error", "iou"),
    [
        ("50", "low-confidence", 10.0, 100 / 3),
        ("50", "outside", None, 100 / 3),
        ("gone", "ok", None, None),
    ],
)
def test_error_is_the_distance_of_the_centres_where_a_position_is_shown(
    context: Context, case: str, status: str, error: float | None, iou: float | None
) -> None:
    query = context.cohort.patient("test_0")
    truth = query.organs["Brainstem"].box
    assert truth is not None
    size = np.array([20.0, truth.size[1], truth.size[2]])
    query.organs["Brainstem"].__dict__["box"] = narrow = Box.from_center_size(truth.center, size)
    result = Result(
        "q", "Brainstem", "box", status, "", narrow.center + np.array([10.0, 0, 0]), size, 1.0, 2.0
    )  # type: ignore[arg-type]
    row = judged(case, "top", "val_0", query, result)
    query.organs["Brainstem"].__dict__["box"] = truth
    assert row["error_mm"] == (None if error is None else pytest.approx(error))
    assert row["iou"] == (None if iou is None else pytest.approx(iou, abs=1e-3))
    assert (row["status"], row["spread_mm"], row["cycle_mm"]) == (status, 1.0, 2.0)
