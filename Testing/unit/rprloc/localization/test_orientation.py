"""Does the patient lie as the file says? On networks whose answer is known by construction."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from support.samples import Sample
from torch import Tensor

from rprloc.image.resampling import IsotropicVolume
from rprloc.image.volume import read_volume
from rprloc.localization import embedding as embedding_module
from rprloc.localization.confidence import Verdict, with_note
from rprloc.localization.embedding import spacing_along_patient
from rprloc.localization.locator import Locator
from rprloc.localization.orientation import (
    AGREEING_MISFIT,
    DIRECTIONS,
    LEAST_EXTENT_MM,
    Layout,
    Orientation,
    find_orientation,
    laid_out,
    misfit,
    orders,
)
from rprloc.model.field import LatentField
from rprloc.model.loading import StageModel, load_model
from rprloc.targets.target import load_targets

# So large that tanh(x) is x for all offsets here: latents are positions divided by it.
RANGE_MM = 1e5
SPACING = 4.0
STRIDE = 8
BASE = 128
SHAPE = (72, 56, 64)
ISOTROPIC = np.full(3, 2.0)
UPSIDE_DOWN = Layout(reversed=(True, False, False))
EXACT = pytest.approx(0.0, abs=1e-6)

factor = st.floats(-2.0, 2.0)


def linear_field(matrix: ArrayLike, noise_mm: float = 0.0) -> LatentField:
    """6 x 6 x 6 cells of 32 mm whose latents say ``matrix @ position``, x, y, z."""
    size, cell = (6, 6, 6), SPACING * STRIDE
    index = torch.stack(torch.meshgrid(*[torch.arange(n).float() for n in size], indexing="ij"), -1)
    seen = index.flip(-1) * cell @ torch.as_tensor(np.asarray(matrix, dtype=np.float32)).T
    noise = torch.randn(seen.shape, generator=torch.Generator().manual_seed(0))
    latent = (seen + noise_mm * noise) / RANGE_MM
    body = torch.ones(size, dtype=torch.bool)
    return LatentField(latent.permute(3, 0, 1, 2)[None], torch.zeros(3), cell, body)


def misfit_of(field: LatentField) -> float:
    return misfit(field, np.full(3, 2.5 * SPACING * STRIDE), RANGE_MM)


@given(factor, factor, factor)
def test_every_axis_costs_the_square_of_what_it_is_off(x: float, y: float, z: float) -> None:
    expected = ((1 - x) ** 2 + (1 - y) ** 2 + (1 - z) ** 2) / 3
    assert misfit_of(linear_field(np.diag([x, y, z]))) == pytest.approx(expected, abs=1e-3)


def test_exchanged_axes_and_noise_are_misfits() -> None:
    assert misfit_of(linear_field([[0, 1, 0], [1, 0, 0], [0, 0, 1]])) == pytest.approx(4 / 3, 1e-3)
    quiet, loud = (misfit_of(linear_field(np.eye(3), mm)) for mm in (5.0, 50.0))
    assert quiet < AGREEING_MISFIT < loud < 1.0


def test_a_constant_added_to_latents_or_positions_changes_nothing() -> None:
    field = linear_field(np.diag([1.0, 1.0, -1.0]))
    moved = LatentField(field.values + 0.1, field.origin + 300.0, field.cell_mm, field.body)
    middle = np.full(3, 2.5 * SPACING * STRIDE + 300.0)
    assert misfit(moved, middle, RANGE_MM) == pytest.approx(misfit_of(field), abs=1e-2)


def test_too_few_cells_are_no_ground_for_a_verdict() -> None:
    field = linear_field(np.eye(3))
    field.body[1:] = False
    field.body[0, 3:] = False
    assert misfit_of(field) == math.inf
    assert misfit(linear_field(np.eye(3)), np.full(3, 9000.0), RANGE_MM) == math.inf


class PositionReader:
    """A coarse stage that reads where a voxel was in the patient from its HU; counts its passes."""

    card = SimpleNamespace(range_mm=RANGE_MM)

    def __init__(self, *, knows: bool = True) -> None:
        self.knows = knows
        self.passes = 0

    def field(self, grid: IsotropicVolume) -> LatentField:
        self.passes += 1
        first = STRIDE // 2 - 1
        code = torch.from_numpy(grid.hu[first::STRIDE, first::STRIDE, first::STRIDE].copy())
        where = torch.stack([code % BASE, code // BASE % BASE, code // BASE**2])
        if not self.knows:
            where = torch.randn(where.shape, generator=torch.Generator().manual_seed(1))
        origin = torch.as_tensor(grid.origin + first * grid.spacing, dtype=torch.float32)
        body = torch.ones(code.shape, dtype=torch.bool)
        latents: Tensor = where[None] * SPACING / RANGE_MM
        return LatentField(latents, origin, grid.spacing * STRIDE, body)


def coded_grid(layout: Layout, shape: tuple[int, int, int] = SHAPE) -> IsotropicVolume:
    """A grid whose patient lies as ``layout`` says; every voxel's HU tells its true place."""
    z, y, x = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    patient = (x + BASE * y + BASE**2 * z).astype(np.float32)
    back = np.flip(patient, [axis for axis in range(3) if layout.reversed[axis]])
    stored = back.transpose(np.argsort(layout.order))
    return IsotropicVolume(np.ascontiguousarray(stored), np.array([5.0, -7.0, 11.0]), SPACING)


def found_in(grid: IsotropicVolume, reader: PositionReader) -> Orientation:
    field = reader.field(grid)
    reader.passes = 0
    return find_orientation(grid, field, cast(StageModel, reader), ISOTROPIC)


def test_a_patient_who_lies_as_the_file_says_costs_no_second_pass() -> None:
    reader = PositionReader()
    assert found_in(coded_grid(Layout()), reader) == Orientation(EXACT, Layout())
    assert reader.passes == 0


@pytest.mark.parametrize("layout", [*DIRECTIONS, *orders(ISOTROPIC)])
def test_every_other_layout_is_found(layout: Layout) -> None:
    found = found_in(coded_grid(layout), PositionReader())
    assert found.layout == layout
    assert found.misfit > AGREEING_MISFIT
    assert found.note.endswith("check its orientation")


def test_a_region_that_the_model_does_not_know_is_no_ground_for_a_note() -> None:
    found = found_in(coded_grid(Layout()), PositionReader(knows=False))
    assert (found.layout, found.note) == (None, "")
    assert found.misfit > 0.5


def test_a_short_piece_is_no_ground_for_a_note() -> None:
    slices = int(LEAST_EXTENT_MM / SPACING)
    short, long = ((n, *SHAPE[1:]) for n in (slices - 1, slices + STRIDE))
    assert found_in(coded_grid(UPSIDE_DOWN, short), PositionReader()).layout is None
    assert found_in(coded_grid(UPSIDE_DOWN, long), PositionReader()).layout == UPSIDE_DOWN


@given(st.permutations(range(3)), st.tuples(st.booleans(), st.booleans(), st.booleans()), st.data())
def test_laying_out_anew_keeps_the_voxels_of_the_middle(
    order: list[int], backward: tuple[bool, bool, bool], data: st.DataObject
) -> None:
    layout = Layout((order[0], order[1], order[2]), backward)
    grid = coded_grid(layout, (9, 7, 8))
    whole = laid_out(grid.hu, layout, 9)
    np.testing.assert_array_equal(whole, coded_grid(Layout(), (9, 7, 8)).hu)
    edge = data.draw(st.integers(1, 9))
    assert laid_out(grid.hu, layout, edge).shape == tuple(min(edge, n) for n in (9, 7, 8))


@pytest.mark.parametrize("size", [(2.0, 2.0, 2.0), (0.5, 0.5, 0.5), (2.8, 1.0, 1.0)])
def test_another_size_stretches_the_voxels(size: tuple[float, float, float]) -> None:
    z = np.broadcast_to(np.arange(40.0, dtype=np.float32)[:, None, None], (40, 40, 40))
    part = laid_out(z, Layout(size=size), 20)
    assert 18 <= max(part.shape) <= 20
    steps = np.diff(part[:, 3, 3])[2:-2]
    np.testing.assert_allclose(steps, 1 / size[0], rtol=0.05)


@pytest.mark.parametrize(
    ("layout", "note"),
    [
        (Layout(), ""),
        (Layout(size=(1.41, 1.41, 1.41)), ""),
        (
            UPSIDE_DOWN,
            "the patient seems to lie upside down in this file: check its orientation",
        ),
        (
            Layout(reversed=(False, True, False)),
            "the patient seems to lie back to front in this file: check its orientation",
        ),
        (
            Layout(reversed=(True, True, False)),
            "the patient seems to be turned by 180 degrees in this file: check its orientation",
        ),
        (
            Layout((1, 0, 2)),
            "the patient seems to lie turned in this file (its front-back axis looks like "
            "feet-head, its feet-head axis looks like front-back): check its orientation",
        ),
        (
            Layout(size=(2.0, 2.0, 2.0)),
            "the body seems about 2 times as large as this file says: check its voxel spacing",
        ),
        (
            Layout(size=(2.8, 1.0, 1.0)),
            "the body seems about 2.8 times as long from feet to head as this file says: "
            "check its voxel spacing",
        ),
    ],
)
def test_a_note_says_what_to_check(layout: Layout, note: str) -> None:
    assert layout.note == note
    assert Orientation(1.0, layout).note == note


def test_exchanged_axes_may_have_kept_their_spacings() -> None:
    assert len(orders(ISOTROPIC)) == 5 * 4
    stretched = {t.size for t in orders(np.array([4.0, 1.0, 1.0])) if t.order == (1, 0, 2)}
    assert stretched == {(1.0, 1.0, 1.0), (4.0, 0.25, 1.0)}


def test_the_spacing_follows_the_patients_axes(sample: Sample) -> None:
    geometry = read_volume(sample.query).geometry
    assert sorted(spacing_along_patient(geometry)) == sorted(geometry.spacing)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict("ok"), Verdict("low-confidence", "note")),
        (Verdict("low-confidence", "why"), Verdict("low-confidence", "note; why")),
        (Verdict("outside", "where"), Verdict("outside", "note; where")),
    ],
)
def test_with_a_note_nothing_is_ok(verdict: Verdict, expected: Verdict) -> None:
    assert with_note(verdict, "note") == expected
    assert with_note(verdict, "") == verdict


def test_the_note_of_a_ct_begins_every_reason_and_is_sought_once(
    tiny_model: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought = []

    def upside_down(*arguments: object) -> Orientation:
        sought.append(arguments)
        return Orientation(1.0, UPSIDE_DOWN)

    monkeypatch.setattr(embedding_module, "find_orientation", upside_down)
    locator = Locator(load_model(tiny_model, torch.device("cpu")))
    query = locator.embed(read_volume(sample.query))
    template = locator.make_template(query, load_targets(sample.query_labels, sample.label_ids))
    results = locator.locate(query, template)

    assert query.orientation_note == UPSIDE_DOWN.note
    assert all(r.status != "ok" and r.reason.startswith(UPSIDE_DOWN.note) for r in results)
    assert len(results) > 1 and len(sought) == 1
