"""The bundled model, template and sample; and real CTs where there are some."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from rprloc.evaluation.metrics import box_iou, wall_distance
from rprloc.geometry import Box, Geometry
from rprloc.image.volume import Volume, read_volume
from rprloc.localization.locator import Locator, Options
from rprloc.localization.result import Result
from rprloc.localization.template import Template
from rprloc.model.finding import find_model
from rprloc.model.loading import load_model
from rprloc.model.network_config import PnetConfig
from rprloc.targets.loading import load_targets
from rprloc.targets.target import Target, target_from_point

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "RPRLocalization" / "Resources" / "SampleData"
HAN = ROOT.parent / "shared" / "data" / "han"
LIBRARY = ROOT / "RPRLocalization" / "Resources" / "Templates" / "han-ct-organs.json"
SEVEN = {
    "Brainstem",
    "SpinalCord",
    "RightParotid",
    "LeftParotid",
    "Esophagus",
    "Larynx",
    "Mandible",
}
FOUR = ("Brainstem", "RightParotid", "LeftParotid", "Mandible")

needs_han = pytest.mark.skipif(
    not HAN.is_dir(), reason="the head-and-neck CTs (shared/data/han) are not on this machine"
)


@pytest.fixture(scope="module")
def locator() -> Locator:
    return Locator(load_model(find_model(), torch.device("cpu")))


@pytest.fixture(scope="module")
def truth() -> dict[str, Target]:
    return {
        t.name: t for t in load_targets(SAMPLE / "query.labels.nii.gz", SAMPLE / "label_ids.json")
    }


@pytest.fixture(scope="module")
def sample_template(locator: Locator) -> Template:
    reference = locator.embed(read_volume(SAMPLE / "reference.nii.gz"))
    targets = load_targets(SAMPLE / "reference.labels.nii.gz", SAMPLE / "label_ids.json")
    return locator.make_template(reference, targets)


def box_of(result: Result) -> Box:
    assert result.center is not None
    assert result.size is not None
    return Box.from_center_size(result.center, result.size)


def test_the_bundled_files_are_small_and_the_card_is_complete(locator: Locator) -> None:
    folder = find_model()
    assert all((folder / name).stat().st_size < 10_000_000 for name in ("coarse.pt", "fine.pt"))
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for stage in card["stages"].values():
        assert {
            "command",
            "seed",
            "machine",
            "training_seconds",
            "metrics",
            "steps",
            "sha256",
        } <= set(stage)
    assert "OpenKBP" in card["training"]["source"]
    assert locator.model.fine is not None


@pytest.mark.parametrize("stage", ["coarse", "fine"])
def test_a_cell_of_the_bundled_model_equals_its_patch(locator: Locator, stage: str) -> None:
    model = locator.model.coarse if stage == "coarse" else locator.model.fine
    assert model is not None
    net: PnetConfig = model.card.net
    reach = -(-(net.receptive_field // 2 + 1) // net.alignment) * net.alignment
    size = 2 * reach + 2 * net.alignment
    hu = torch.randn(1, 1, size, size, size, generator=torch.Generator().manual_seed(0)) * 300.0
    a = net.alignment
    with torch.no_grad():
        cell = reach // net.stride
        dense = model.network(hu)[
            0, :, cell + a // net.stride, cell + a // net.stride, cell + a // net.stride
        ]
        patch = model.network(hu[..., a : a + 2 * reach, a : a + 2 * reach, a : a + 2 * reach])[
            0, :, cell, cell, cell
        ]
    assert torch.allclose(dense, patch, atol=1e-4)


def test_one_reference_locates_the_organs_of_the_sample(
    locator: Locator, sample_template: Template, truth: dict[str, Target]
) -> None:
    results = locator.locate(locator.embed(read_volume(SAMPLE / "query.nii.gz")), sample_template)
    assert {r.target for r in results} == set(truth) == SEVEN
    distances = {r.target: wall_distance(box_of(r), truth[r.target].box) for r in results}  # type: ignore[arg-type]
    assert max(distances[o] for o in FOUR) < 8.0, distances
    assert np.mean([distances[o] for o in FOUR]) < 5.0, distances
    assert all(r.status == "ok" for r in results if r.target in FOUR), [
        (r.target, r.status, r.reason) for r in results
    ]


def test_the_library_needs_no_reference_image(locator: Locator, truth: dict[str, Target]) -> None:
    library = Template.read(LIBRARY)
    assert {t.name for t in library.targets} == SEVEN
    assert min(len(t.examples) for t in library.targets) >= 5
    results = locator.locate(locator.embed(read_volume(SAMPLE / "query.nii.gz")), library)
    ious = [box_iou(box_of(r), truth[r.target].box) for r in results if r.target in FOUR]  # type: ignore[arg-type]
    assert np.mean(ious) > 0.4, ious


def test_the_query_maps_back_to_a_landmark_within_tolerance(
    locator: Locator, sample_template: Template
) -> None:
    """A landmark clicked on the reference is found in the reference itself."""
    volume = read_volume(SAMPLE / "reference.nii.gz")
    jaw = next(
        t
        for t in load_targets(SAMPLE / "reference.labels.nii.gz", SAMPLE / "label_ids.json")
        if t.name == "Mandible"
    )
    point = target_from_point("chin", jaw.points[1:2])
    embedding = locator.embed(volume)
    found = locator.locate(embedding, locator.make_template(embedding, [point]))[0]
    assert found.center is not None
    assert np.linalg.norm(found.center - point.points.xyz[0]) < 8.0
    assert found.status == "ok"
    assert found.cycle_mm is not None
    assert found.cycle_mm < 15.0


@pytest.mark.parametrize("order", list(permutations(range(3)))[1:4])
def test_the_stored_axis_order_does_not_matter(
    locator: Locator, sample_template: Template, order: tuple[int, int, int]
) -> None:
    volume = read_volume(SAMPLE / "query.nii.gz")
    flipped = reordered(volume, order)
    a = locator.locate(locator.embed(volume), sample_template)
    b = locator.locate(locator.embed(flipped), sample_template)
    assert all(np.linalg.norm(p.center - q.center) < 1.0 for p, q in zip(a, b, strict=True))  # type: ignore[operator]


def reordered(volume: Volume, order: tuple[int, int, int]) -> Volume:
    """The same physical volume with permuted axes, the first of them reversed."""
    geometry = volume.geometry
    array = np.flip(volume.array.transpose(2, 1, 0).transpose(order), 0)
    corner = np.zeros(3)
    corner[order[0]] = geometry.size[order[0]] - 1
    origin = geometry.index_to_lps(corner[None]).xyz[0]
    direction = geometry.direction[:, list(order)] * np.array([-1.0, 1.0, 1.0])
    lattice = Geometry(array.shape, geometry.spacing[list(order)], origin, direction)
    return Volume(np.ascontiguousarray(array.transpose(2, 1, 0)), lattice, volume.name)


def test_an_organ_beyond_the_field_of_view_is_reported_outside(
    locator: Locator, sample_template: Template
) -> None:
    volume = read_volume(SAMPLE / "reference.nii.gz")
    jaw = next(
        t
        for t in load_targets(SAMPLE / "reference.labels.nii.gz", SAMPLE / "label_ids.json")
        if t.name == "Mandible"
    )
    assert jaw.box is not None
    direction = volume.geometry.direction[2, 2]
    levels = volume.geometry.index_to_lps(
        np.array([[0, 0, k] for k in range(volume.geometry.size[2])])
    ).xyz[:, 2]
    keep = np.flatnonzero(levels < jaw.box.lower[2] - 15.0)
    assert direction != 0
    assert len(keep) * volume.geometry.spacing[2] > 60.0
    first = volume.geometry.index_to_lps(np.array([[0, 0, keep[0]]])).xyz[0]
    size = (volume.geometry.size[0], volume.geometry.size[1], len(keep))
    cut = Volume(
        volume.array[keep[0] : keep[-1] + 1],
        replace(volume.geometry, size=size, origin=first),
        "cut",
    )
    results = {r.target: r.status for r in locator.locate(locator.embed(cut), sample_template)}
    assert results["Brainstem"] == "outside"
    assert all(results[o] != "ok" for o in FOUR), results


@pytest.mark.parametrize("steps", ["coarse", "coarse2", "coarse3", "fine"])
def test_the_papers_random_starts_run_with_all_steps(
    locator: Locator, sample_template: Template, steps: str
) -> None:
    paper = Locator(locator.model, Options(runs=15, steps=steps, seed=1))  # type: ignore[arg-type]
    results = paper.locate(paper.embed(read_volume(SAMPLE / "query.nii.gz")), sample_template)
    assert all(r.center is not None and np.isfinite(r.center).all() for r in results)


@needs_han
def test_real_patients_one_reference(locator: Locator) -> None:
    splits = json.loads((HAN / "splits.json").read_text(encoding="utf-8"))
    names = [
        n
        for n in splits["splits"]["val"]
        if set(FOUR) <= set(splits["cases"][n]["complete_organs"])
    ][:4]
    ids = {o: splits["label_ids"][o] for o in FOUR}
    found = []
    organs = {n: _organs(n, ids) for n in names}
    template = locator.make_template(
        locator.embed(read_volume(HAN / "val" / f"{names[0]}.nii.gz")), organs[names[0]]
    )
    for name in names[1:]:
        results = locator.locate(
            locator.embed(read_volume(HAN / "val" / f"{name}.nii.gz")), template
        )
        truth = {t.name: t.box for t in organs[name]}
        found += [box_iou(box_of(r), truth[r.target]) for r in results]  # type: ignore[arg-type]
    assert np.mean(found) > 0.45, found


def _organs(name: str, ids: dict[str, int]) -> list[Target]:
    from rprloc.targets.labelmap import read_label_map
    from rprloc.targets.loading import targets_from_label_map

    return targets_from_label_map(read_label_map(HAN / "val" / f"{name}.labels.nii.gz"), ids)
