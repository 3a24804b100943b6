from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from phantoms import body_hu, centres

from rprloc.geometry import Geometry, Points
from rprloc.volume import Volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))

import registration as reg
import registration_baseline as bench

EYE = np.eye(3)
GEOMETRY = Geometry((20, 18, 16), np.array([2.0, 2.0, 3.0]), np.array([5.0, -7.0, 11.0]), EYE)


def block(lower: tuple[int, int, int], upper: tuple[int, int, int]) -> bench.Mask:
    mask = np.zeros(GEOMETRY.size[::-1], dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))] = True
    return mask


def row(reference: str, query: str, organs: dict[str, tuple[float, float | None]], method: str = "affine") -> bench.Row:
    scores = {organ: {"iou": iou, "awd_mm": awd} for organ, (iou, awd) in organs.items()}
    settings = {"spacing": 4.0}
    return {
        "reference": reference,
        "query": query,
        "method": method,
        "settings": settings,
        "seconds": {"affine": 2.0, "total": 3.0},
        "organs": scores,
    }


def test_references_need_the_four_organs() -> None:
    whole = {"complete_organs": [*bench.FOUR_ORGANS, "Larynx"]}
    cases = {"a": whole, "b": {"complete_organs": ["Mandible"]}, "c": whole, "d": whole}
    splits = {"splits": {"val": ["a", "b", "c", "d"]}, "cases": cases}
    assert bench.first_references(splits, 2) == ["a", "c"]


def test_scores_of_equal_shifted_and_lost_masks() -> None:
    truth = block((4, 4, 4), (8, 8, 8))
    assert bench.scored(truth, truth, GEOMETRY) == {"iou": pytest.approx(100.0), "awd_mm": pytest.approx(0.0)}
    shifted = bench.scored(block((4, 4, 5), (8, 8, 9)), truth, GEOMETRY)
    assert shifted == {"iou": pytest.approx(60.0), "awd_mm": pytest.approx(2.0 * 2 / 6)}
    assert bench.scored(np.zeros_like(truth), truth, GEOMETRY) == {"iou": 0.0, "awd_mm": None}


def test_a_mask_is_carried_in_physical_space() -> None:
    mask = block((4, 4, 4), (10, 10, 10))
    shift = sitk.TranslationTransform(3, (4.0, 0.0, -3.0))
    here = bench.carried(mask, GEOMETRY, shift, GEOMETRY)
    assert np.array_equal(here, block((5, 4, 2), (11, 10, 8)))
    flipped = Geometry(
        GEOMETRY.size, GEOMETRY.spacing, GEOMETRY.index_to_lps([[19, 17, 0]]).xyz[0], np.diag([-1.0, -1.0, 1.0])
    )
    assert np.array_equal(bench.carried(mask, GEOMETRY, shift, flipped), here[:, ::-1, ::-1])
    per_voxel = bench.on_lattice(shift, flipped)
    assert np.array_equal(bench.carried(mask, GEOMETRY, per_voxel, flipped), here[:, ::-1, ::-1])


def test_finished_pairs_survive_a_cut_line(tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    assert bench.read_rows(lines, {"spacing": 4.0}) == []
    first, second = row("a", "b", {"Mandible": (50.0, 3.0)}), row("a", "c", {"Mandible": (60.0, 2.0)})
    bench.append_rows(lines, [first])
    with lines.open("a", encoding="utf-8") as file:
        file.write(json.dumps(second)[:40])
    assert bench.read_rows(lines, {"spacing": 4.0}) == [first]
    bench.append_rows(lines, [second])
    assert bench.read_rows(lines, {"spacing": 4.0}) == [first, second]
    assert bench.read_rows(lines, {"spacing": 3.0}) == []


def test_summary_counts_lost_masks_as_zero_overlap() -> None:
    rows = [
        row("a", "c", {"Mandible": (80.0, 2.0), "Brainstem": (40.0, 12.0), "Larynx": (10.0, 30.0)}),
        row("b", "c", {"Mandible": (0.0, None)}),
        row("b", "d", {"Mandible": (60.0, 4.0)}),
    ]
    four = bench.over_references(rows, bench.FOUR_ORGANS)
    assert four["references"]["a"] == {"iou": pytest.approx(60.0), "awd_mm": pytest.approx(7.0), "n": 2}
    assert four["references"]["b"] == {"iou": pytest.approx(30.0), "awd_mm": pytest.approx(4.0), "n": 2}
    assert (four["iou"], four["awd_mm"]) == (pytest.approx(45.0), pytest.approx(5.5))
    assert (four["n"], four["lost"], four["within_10_mm"]) == (4, 1, pytest.approx(0.5))
    assert set(four["organs"]) == {"Mandible", "Brainstem"}
    figures: dict[str, Any] = bench.report(rows, ("affine", "bspline"))
    assert list(figures) == ["affine"]
    assert figures["affine"]["seconds"] == {"affine": 2.0, "total": 3.0}
    assert figures["affine"]["one_reference_all_organs"]["n"] == 5


def phantom(scale: float, low: float, slices: int, shift: tuple[float, float, float]) -> Volume:
    """Head and shoulders with another size, field of view and position."""
    geometry = Geometry((58, 38, slices), np.full(3, 6.0), np.array([-170.0, -110.0, low]), EYE)
    hu = np.asarray(np.rint(body_hu(centres(geometry), scale=scale)), dtype=np.int16)
    moved = Geometry(geometry.size, geometry.spacing, geometry.origin + shift, EYE)
    return Volume(hu, moved, "phantom")


def test_registration_finds_a_shifted_larger_body_with_another_field_of_view() -> None:
    shift = (200.0, -50.0, 900.0)
    fixed = reg.subject_of(phantom(1.0, -20.0, 52, (0.0, 0.0, 0.0)), 6.0)
    moving = reg.subject_of(phantom(1.05, 28.0, 42, shift), 6.0)
    assert moving.image.GetSize()[2] < fixed.image.GetSize()[2]
    transform = reg.affine(fixed, moving, reg.Settings(sampling=0.5, affine_iterations=60))
    points = np.array([[0.0, 0.0, 190.0], [40.0, 0.0, 160.0], [-30.0, 20.0, 210.0], [0.0, -40.0, 190.0]])
    found = np.array([transform.TransformPoint(point.tolist()) for point in points])
    expected = 1.05 * points + shift
    assert np.linalg.norm(found - expected, axis=1).max() < 6.0
    assert len(Points(found)) == 4


def test_slices_beyond_the_field_of_view_are_cut() -> None:
    hu = np.full((12, 10, 10), -1000.0, dtype=np.float32)
    hu[3:9, 2:8, 2:8] = 40.0
    assert reg.field_of_view(hu) == (3, 8)
