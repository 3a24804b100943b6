"""The benchmark's own methods.

The paper's way equals the dense field, diagonal points, proportional, registration.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.benchmark_cohort import write_cohort

from rprbench.core.cohort import ORGANS, Cohort, Patient
from rprbench.core.method import Context, Detection
from rprbench.experiments.comparison import Comparison, score
from rprbench.methods.ours import Ours, Runs, box_between
from rprbench.methods.paper_patches import (
    FieldReader,
    PatchReader,
    Patchwise,
    coarse_move,
    support_latents,
)
from rprbench.methods.proportional import Proportional, body_box
from rprbench.methods.registration import PreparedReference as ReferenceMasks
from rprbench.methods.registration import carried, carried_boxes, on_lattice
from rprloc.errors import InputError
from rprloc.geometry import Box, Geometry
from rprloc.image.resampling import to_grids
from rprloc.image.volume import Volume
from rprloc.model.loading import load_model

EYE = np.eye(3)
GEOMETRY = Geometry((20, 18, 16), np.array([2.0, 2.0, 3.0]), np.array([5.0, -7.0, 11.0]), EYE)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = write_cohort(tmp_path_factory.mktemp("cohort"))
    return Context(
        Cohort(folder), tmp_path_factory.mktemp("out"), threads=1, report=lambda line: None
    )


@pytest.fixture
def tiny(context: Context, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """The context, with the model of random weights in the place of the bundled one."""
    pair = load_model(tiny_model, torch.device("cpu"))
    monkeypatch.setattr("rprbench.methods.ours.model_of", lambda context: pair)
    monkeypatch.setattr("rprbench.methods.paper_patches.model_of", lambda context: pair)
    return context


def reference(context: Context) -> Patient:
    return context.cohort.patient(context.cohort.references()[0])


def query(context: Context) -> Patient:
    return context.cohort.patient(context.cohort.names("test")[0])


def test_only_complete_organs_are_asked_for(context: Context) -> None:
    cohort = context.cohort
    assert set(reference(context).organs) == set(ORGANS)
    incomplete = cohort.patient(cohort.names("test")[-1])
    assert set(incomplete.organs) == set(ORGANS) - {"Mandible"}
    assert cohort.patient(cohort.names("train")[0]).labels is None
    with pytest.raises(InputError, match="no such case"):
        cohort.split_of("nobody")


def test_a_folder_that_is_no_cohort_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"splits\.json"):
        Cohort(tmp_path)


@pytest.mark.parametrize("stage", [0, 1])
def test_a_patch_gives_the_latent_of_its_dense_cell(
    tiny: Context, tiny_model: Path, stage: int
) -> None:
    pair = load_model(tiny_model, torch.device("cpu"))
    grid = to_grids(query(tiny).volume, pair.spacings)[stage]
    network = (pair.coarse, pair.fine)[stage]
    assert network is not None
    dense, cut = FieldReader(network, grid), PatchReader(network, grid)
    cells = -(-np.array(grid.hu.shape) // network.card.net.stride)
    index = torch.from_numpy(np.random.default_rng(3).integers(0, cells, (12, 3)))
    torch.testing.assert_close(cut.latents(index), dense.latents(index), atol=2e-2, rtol=0)
    torch.testing.assert_close(dense.nearest(dense.centres(index)), index)
    torch.testing.assert_close(
        dense.field.at(dense.centres(index))[:, :3], dense.latents(index), atol=1e-4, rtol=0
    )


def test_a_support_patch_on_a_cell_gives_that_cell(tiny: Context, tiny_model: Path) -> None:
    pair = load_model(tiny_model, torch.device("cpu"))
    grid = to_grids(query(tiny).volume, pair.spacings)[0]
    reader = FieldReader(pair.coarse, grid)
    index = torch.tensor([[2, 2, 3], [4, 3, 2]])
    points = reader.centres(index).double().numpy()
    torch.testing.assert_close(
        support_latents(pair.coarse, grid, points), reader.latents(index), atol=2e-2, rtol=0
    )


def test_the_papers_way_answers_for_every_organ_asked_for_and_repeats_itself(tiny: Context) -> None:
    organs = ("Mandible", "Brainstem")
    method, patient = Patchwise(tiny), reference(tiny)
    prepared = method.prepare(
        replace(patient, organs={organ: patient.organs[organ] for organ in organs})
    )
    first, again = (
        method.find(method.encode(query(tiny).volume), prepared, organs) for _ in range(2)
    )
    assert set(first) == {"paper-positions", "paper-latent"}
    for variant, answers in first.items():
        assert set(answers) == set(organs)
        assert all(answers[o].box == again[variant][o].box for o in organs)


def test_means_of_the_starts_are_right_where_latents_are_and_differ_elsewhere() -> None:
    place = torch.tensor([[10.0, -20.0, 30.0], [40.0, 0.0, -60.0], [-80.0, 70.0, 5.0]])
    target = torch.tensor([[0.0, 15.0, -10.0]])
    exact = torch.zeros(1, 3), torch.atanh((place - target) / 500.0)
    for in_latent_space, tolerance in ((False, 1e-3), (True, 1.0)):
        found = coarse_move(*exact, place, 500.0, in_latent_space)
        torch.testing.assert_close(found, target, atol=tolerance, rtol=0)
    wrong = exact[1] + torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    apart = [coarse_move(exact[0], wrong, place, 500.0, both) for both in (False, True)]
    assert float((apart[0] - apart[1]).norm()) > 5.0


def test_table_one_has_its_rows_and_diagonal_boxes_are_in_order(tiny: Context) -> None:
    method = Runs(tiny)
    found = method.find(
        method.encode(query(tiny).volume), method.prepare(reference(tiny)), ["Mandible"]
    )
    starts = ("k1", "k5", "k10", "k15", "k20", "all")
    assert (
        set(found)
        == set(method.variants)
        == {f"{points}-{k}" for points in ("coarse", "diagonal") for k in starts}
    )
    assert len({tuple(found[v]["Mandible"].box.center) for v in method.variants}) == len(found)
    crossed = box_between(np.array([3.0, 0.0, 5.0]), np.array([1.0, 2.0, 4.0]))
    assert crossed == Box(np.array([1.0, 0.0, 4.0]), np.array([3.0, 2.0, 5.0]))
    assert box_between(None, np.zeros(3)) is None


def test_one_variant_alone_answers_as_in_the_company_of_the_others(tiny: Context) -> None:
    every, alone = Ours(tiny), Ours(tiny, only=["ours-fine"])
    prepared = every.prepare(reference(tiny))
    both = [
        m.find(m.encode(query(tiny).volume), prepared, ["Brainstem"])["ours-fine"]
        for m in (every, alone)
    ]
    assert both[0]["Brainstem"].box == both[1]["Brainstem"].box
    assert set(alone.variants) == {"ours-fine"}


def test_proportional_mapping_of_a_patient_to_itself_and_to_a_larger_one(context: Context) -> None:
    method = Proportional(context)
    patient = reference(context)
    prepared = method.prepare(patient)
    itself = method.find(method.encode(patient.volume), prepared, ORGANS)["proportional"]
    for organ in ORGANS:
        assert np.allclose(itself[organ].box.center, patient.organs[organ].box.center, atol=1e-6)
    old = patient.volume.geometry
    doubled = replace(
        patient.volume, geometry=Geometry(old.size, old.spacing * 2, old.origin, old.direction)
    )
    scale = body_box(doubled).size / body_box(patient.volume).size
    larger = method.find(method.encode(doubled), prepared, ORGANS)["proportional"]
    assert np.allclose(larger["Mandible"].box.size, itself["Mandible"].box.size * scale)


def block(lower: tuple[int, int, int], upper: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(GEOMETRY.size[::-1], dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))] = True
    return mask


def test_a_mask_is_carried_in_physical_space() -> None:
    mask = block((4, 4, 4), (10, 10, 10))
    shift = sitk.TranslationTransform(3, (4.0, 0.0, -3.0))
    here = carried(mask, GEOMETRY, shift, GEOMETRY)
    assert np.array_equal(here, block((5, 4, 2), (11, 10, 8)))
    flipped = Geometry(
        GEOMETRY.size,
        GEOMETRY.spacing,
        GEOMETRY.index_to_lps([[19, 17, 0]]).xyz[0],
        np.diag([-1.0, -1.0, 1.0]),
    )
    assert np.array_equal(carried(mask, GEOMETRY, shift, flipped), here[:, ::-1, ::-1])
    assert np.array_equal(
        carried(mask, GEOMETRY, on_lattice(shift, flipped), flipped), here[:, ::-1, ::-1]
    )


def test_a_mask_that_is_carried_out_of_the_query_is_not_found() -> None:
    masks = ReferenceMasks(None, {"Mandible": block((4, 4, 4), (8, 8, 8))}, GEOMETRY, True)
    near, far = (sitk.TranslationTransform(3, (offset, 0.0, 0.0)) for offset in (2.0, 500.0))
    assert carried_boxes(near, GEOMETRY, masks, ["Mandible"])["Mandible"].box is not None
    assert carried_boxes(far, GEOMETRY, masks, ["Mandible"])["Mandible"].box is None


def test_scores_of_right_shifted_and_missing_answers(context: Context) -> None:
    patient = reference(context)
    truth = patient.organs["Mandible"].box
    assert truth is not None
    right = score("m", "r", patient, "Mandible", Detection(truth, "ok", 1.0, 2.0))
    assert (right["iou"], right["awd_mm"], right["status"], right["cycle_mm"]) == (
        100.0,
        0.0,
        "ok",
        2.0,
    )
    moved = score(
        "m", "r", patient, "Mandible", Detection(Box(truth.lower + 3.0, truth.upper + 3.0))
    )
    assert moved["awd_mm"] == pytest.approx(3.0)
    assert 0 < moved["iou"] < 100
    lost = score("m", "r", patient, "Mandible", Detection(None))
    assert (lost["iou"], lost["awd_mm"], lost["box"]) == (0.0, None, None)
    assert json.loads(json.dumps(moved)) == moved


def test_the_comparison_scores_every_reference_and_complete_organ(context: Context) -> None:
    references = context.cohort.references()[:2]
    comparison = Comparison(Proportional(context), references, context.cohort.names("test"))
    rows = comparison.run(context.cohort.names("test")[-1])
    assert {(r["reference"], r["organ"]) for r in rows} == {
        (name, organ) for name in references for organ in ORGANS if organ != "Mandible"
    }


def test_a_volume_without_the_organs_box_is_not_needed_for_looking(context: Context) -> None:
    """What a method sees of a query is its CT alone: same answer if the labels are not there."""
    method = Proportional(context)
    patient = query(context)
    bare = Volume(patient.volume.array, patient.volume.geometry, "bare")
    prepared = method.prepare(reference(context))
    found = [method.find(method.encode(v), prepared, ["Mandible"]) for v in (patient.volume, bare)]
    assert found[0]["proportional"]["Mandible"].box == found[1]["proportional"]["Mandible"].box
