from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.samples import LABEL_IDS, Sample, phantom_geometry, write_image

from rprloc.errors import InputError
from rprloc.evaluation.scores import (
    read_complete,
    read_truths,
    score_results,
    scores_csv,
    split_query,
    summarize,
    touches_edge,
)
from rprloc.geometry import Geometry
from rprloc.localization.result import Result


def box_result(target: str, center: object, size: object, status: str = "ok") -> Result:
    return Result("q", target, "box", status, center=np.asarray(center), size=np.asarray(size))  # type: ignore[arg-type]


def test_a_perfect_and_a_shifted_box(sample: Sample) -> None:
    truths = read_truths(sample.reference_labels, LABEL_IDS, ["Head", "Spine"], phantom_geometry())
    box = truths["Head"].target.box
    assert box is not None
    same = score_results([box_result("Head", box.center, box.size)], truths, None)[0]
    assert (same.scored, same.success) == ("yes", True)
    assert same.iou == pytest.approx(100.0)
    assert same.awd_mm == pytest.approx(0.0)
    shifted = score_results(
        [box_result("Head", box.center + np.array([30.0, 0, 0]), box.size)], truths, None
    )[0]
    assert shifted.awd_mm == pytest.approx(10.0)
    assert not shifted.success
    assert shifted.iou == pytest.approx(100.0 * (box.size[0] - 30.0) / (box.size[0] + 30.0))


def test_what_was_not_found_scores_zero_and_has_no_distance(sample: Sample) -> None:
    truths = read_truths(sample.reference_labels, LABEL_IDS, ["Head"], phantom_geometry())
    (score,) = score_results([Result("q", "Head", "box", "outside", "not in view")], truths, None)
    assert (score.iou, score.awd_mm, score.success) == (0.0, None, False)
    organ = summarize(["Head"], [score], {})["organs"]["Head"]
    assert (organ["n"], organ["iou"], organ["awd_mm"], organ["success_10mm"]) == (1, 0.0, None, 0.0)
    assert organ["statuses"] == {"outside": 1}


def test_absent_and_incomplete_organs_are_counted_not_scored(tmp_path: Path) -> None:
    geometry = phantom_geometry()
    labels = np.zeros(geometry.size[::-1], dtype=np.uint8)
    labels[-3:, 10:20, 10:20] = 1
    path = write_image(tmp_path / "cut.nii.gz", labels, geometry)
    truths = read_truths(path, LABEL_IDS, ["Head", "Spine"], geometry)
    assert truths["Head"].cut
    results = [box_result(name, [0, 0, 0], [10, 10, 10]) for name in LABEL_IDS]
    scores = score_results(results, truths, None)
    assert [score.scored for score in scores] == ["incomplete", "absent"]
    assert score_results(results, truths, ["Head"])[0].scored == "yes"
    summary = summarize(LABEL_IDS, scores, {})
    assert summary["organs"]["Head"]["incomplete"]["n"] == 1
    assert summary["organs"]["Spine"]["absent"] == {"n": 1, "statuses": {"ok": 1}}
    assert summary["mean"]["iou"] is None
    json.dumps(summary, allow_nan=False)


def test_labels_of_another_place_are_refused(sample: Sample) -> None:
    elsewhere = phantom_geometry((5000.0, 0.0, 0.0))
    with pytest.raises(InputError, match="lies elsewhere, up to 5000 mm off"):
        read_truths(sample.reference_labels, LABEL_IDS, ["Head"], elsewhere)

    i, j, k = elsewhere.size
    other = Geometry((i + 1, j, k), elsewhere.spacing, elsewhere.origin, elsewhere.direction)
    with pytest.raises(InputError, match="same patient"):
        read_truths(sample.reference_labels, LABEL_IDS, ["Head"], other)


def test_a_landmark_is_not_compared_with_a_box(sample: Sample) -> None:
    truths = read_truths(sample.markups, None, ["Vertex"], phantom_geometry())
    (score,) = score_results(
        [Result("q", "Vertex", "landmark", "ok", center=np.array([3.0, 4.0, 250.0]))], truths, None
    )
    assert score.error_mm == pytest.approx(5.0)
    assert score.success
    with pytest.raises(InputError, match="Vertex"):
        score_results([box_result("Vertex", [0, 0, 0], [1, 1, 1])], truths, None)


def test_labels_without_ids_go_by_their_numbers(sample: Sample) -> None:
    truths = read_truths(sample.reference_labels, None, ["label_2", "Head"], phantom_geometry())
    assert list(truths) == ["label_2"]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("index", [0, -1])
def test_touching_an_edge(axis: int, index: int) -> None:
    mask = np.zeros((4, 5, 6), dtype=bool)
    mask[2, 2, 2] = True
    assert not touches_edge(mask)
    place = [2, 2, 2]
    place[axis] = index
    mask[tuple(place)] = True
    assert touches_edge(mask)


def test_query_pairs(tmp_path: Path) -> None:
    assert split_query("a.nii=b.nii") == (Path("a.nii"), Path("b.nii"))
    odd = tmp_path / "x=1.nii"
    odd.touch()
    assert split_query(f"{odd}={odd}") == (odd, odd)
    for text in ("a.nii", "=b.nii", "a.nii=", ""):
        with pytest.raises(InputError, match="IMAGE=LABELS"):
            split_query(text)


@pytest.mark.parametrize(
    "text", ['{"a": ["Head"]}', '{"cases": {"a": {"complete_organs": ["Head"], "present": []}}}']
)
def test_lists_of_complete_organs(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cases.json"
    path.write_text(text, encoding="utf-8")
    assert read_complete(path) == {"a": ["Head"]}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1}', '{"a": [1]}', '{"cases": {"a": {}}}'])
def test_bad_lists_of_complete_organs(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cases.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"cases\.json"):
        read_complete(path)


def test_means_are_over_organs_and_seconds_over_queries() -> None:
    summary = summarize(
        [], [], {"a": {"read": 1.0, "total": 3.0}, "b": {"read": 2.0, "total": 5.0}}
    )
    assert summary["seconds"]["read"] == {"mean": 1.5, "median": 1.5}
    assert summary["seconds"]["per_case"]["b"]["total"] == 5.0
    assert scores_csv([]).startswith("query,target,kind,status,scored,iou")
