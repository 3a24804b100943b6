"""The self-check: it runs with random weights; with stand-ins for the search it is exact."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.trainings.training_calls import call

from rprloc.cli.main import main
from rprloc.errors import InputError
from rprloc.localization.locator import Locator, Options
from rprloc.localization.result import Result
from rprloc.model.loading import load_model
from rprloc.model.settings import ConfidenceThresholds
from rprtrain.check import self_check
from rprtrain.check.annotated import annotated, check_sources, check_targets, unseen_sources
from rprtrain.check.checked_ct import CheckedCt, shown_by_all
from rprtrain.check.picture import write_check_picture
from rprtrain.check.right_answers import propose, right_answers
from rprtrain.check.self_check import CYCLE, REPEATABILITY, Measure, Report, check_model, thinned
from rprtrain.data.sources import ImageSource, images_in
from rprtrain.random_stream import RandomStream
from rprtrain.run.record import RunRecord
from rprtrain.run.request import TrainingRequest

CPU = torch.device("cpu")


@pytest.fixture
def sources(sample: Any) -> list[ImageSource]:
    return [
        ImageSource(sample.reference, name="a", group="a"),
        ImageSource(sample.query, name="b", group="b"),
    ]


def test_a_perfect_search_has_no_errors(
    sources: list[ImageSource], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_check, "_located", lambda source, points, target, locator: points)
    report = check_model(load_model(tiny_model, CPU), sources)
    cycle, repeated = report.rows
    assert (cycle.name, cycle.unit, cycle.mean, cycle.p95) == (CYCLE, "mm", 0.0, 0.0)
    assert (repeated.name, repeated.mean) == (REPEATABILITY, 0.0) and cycle.n >= repeated.n > 0
    assert (report.volumes, report.pairs) == (2, 2) and report.verdict.startswith("Good")


def test_errors_are_measured(
    sources: list[ImageSource], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = np.array([3.0, 4.0, 0.0])
    monkeypatch.setattr(
        self_check, "_located", lambda source, points, target, locator: points + shift
    )
    cycle, repeated = check_model(load_model(tiny_model, CPU), sources).rows
    assert cycle.median == pytest.approx(10.0) and repeated.mean == 0.0
    monkeypatch.setattr(
        self_check, "_located", lambda source, points, target, locator: points * np.nan
    )
    report = check_model(load_model(tiny_model, CPU), sources)
    assert [row.n for row in report.rows] == [0, 0] and "same part" in report.verdict


def test_a_real_search_runs_and_is_shown(
    sources: list[ImageSource], tiny_model: Path, tmp_path: Path
) -> None:
    told: list[tuple[int, int, str]] = []
    broken = ImageSource(tmp_path / "none.nrrd", name="none", group="none")
    report = check_model(load_model(tiny_model, CPU), [*sources, broken], lambda *a: told.append(a))
    assert report.to_json()["thresholds"] is None and "right answers" in report.proposal.problem
    assert len(report.left_out) == 1 and "none" in report.left_out[0]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told) and told[-1][
        0
    ] < told[-1][1]
    json.dumps(report.to_json(), allow_nan=False)
    assert {name: len(values) for name, values in report.to_json()["errors"].items()} == {
        row.name: row.n for row in report.rows
    }
    assert write_check_picture(tmp_path / "p.png", report).read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(InputError, match="at least 2"):
        check_model(load_model(tiny_model, CPU), sources[:1])


def answer(error_mm: float, similarity: float | None = 0.8) -> Result:
    """A landmark so far from the origin."""
    center = np.array([error_mm, 0.0, 0.0])
    doubts = {"cycle_mm": 8.0, "spread_mm": 4.0, "similarity": similarity}
    return Result("q", "0", "landmark", "low-confidence", "", center, **doubts)  # type: ignore[arg-type]


def test_thresholds_follow_from_right_answers() -> None:
    present = ConfidenceThresholds(missing=0.2)
    made = propose([answer(0.0)] * 120, 3, present)
    assert made.problem == "" and made.thresholds is not None
    assert (made.thresholds.cycle_mm, made.thresholds.spread_mm) == (10.0, 5.0)
    assert made.thresholds.missing == 0.2 and "3 CTs" in made.thresholds.source
    assert made.thresholds.similarity == pytest.approx(0.64)
    few = propose([answer(0.0)] * 20, 3, present)
    assert few.thresholds is None and "more CTs" in few.problem


def test_only_answers_near_the_truth_are_right(
    sources: list[ImageSource], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locator = Locator(load_model(tiny_model, CPU), Options(steps="coarse3"))
    ct = CheckedCt.of(sources[0].read(), locator)
    copies = ct.altered_copies(locator, RandomStream("copies"))
    errors = iter([0.0, 20.0])

    def locate(self: Any, points: np.ndarray, target: Any, locator: Any) -> list[Result]:
        away = next(errors)
        return [replace(answer(0.0), center=point + np.array([away, 0.0, 0.0])) for point in points]

    monkeypatch.setattr(CheckedCt, "locate", locate)
    right = right_answers(ct, copies, locator, RandomStream("answers"))
    shown = shown_by_all(ct.body_points(24, RandomStream("answers")), copies)
    assert len(copies) == 2 and len(right) == int(shown.sum()) > 0


def test_measures_and_verdicts() -> None:
    assert Measure.of("x", "mm", []) == Measure("x", "mm", None, None, None, 0)
    verdicts = [
        Report([Measure.of(CYCLE, "mm", [value])], 2, 2).verdict for value in (2.0, 10.0, 30.0)
    ]
    assert [verdict.split(":")[0] for verdict in verdicts] == ["Good", "Usable", "Poor"]


def test_annotations_are_found_by_name_and_scored(
    sources: list[ImageSource], sample: Any, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.labels.nii.gz").write_bytes(sample.reference_labels.read_bytes())
    model = load_model(tiny_model, CPU)
    with pytest.raises(InputError, match="1 of the CTs"):
        check_targets(model, sources, tmp_path)
    (tmp_path / "b.labels.nii.gz").write_bytes(sample.query_labels.read_bytes())
    assert [source.name for source, _ in annotated(sources, tmp_path)] == ["a", "b"]
    rows = check_targets(model, sources, tmp_path)
    assert rows and all(row.name.startswith("label_") and row.n == 1 for row in rows)
    assert {row.unit for row in rows} <= {"mm", "%"}


def test_held_out_cts_judge(sources: list[ImageSource], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.json"):
        check_sources(tmp_path)
    request = TrainingRequest(tmp_path, tmp_path, sources=tuple(sources))
    RunRecord(tmp_path, request.to_json()).write()
    assert check_sources(tmp_path) == sources and not unseen_sources(tmp_path)[1]
    many = tuple(ImageSource(tmp_path / f"{n}.nrrd", name=f"{n}", group=f"{n}") for n in range(60))
    RunRecord(tmp_path, replace(request, sources=many).to_json()).write()
    assert len(check_sources(tmp_path)) == 3 and unseen_sources(tmp_path)[1]
    RunRecord(
        tmp_path, replace(request, sources=None, images=sources[0].path.parent).to_json()
    ).write()
    assert check_sources(tmp_path) == images_in(sources[0].path.parent)


def test_from_the_command_line_and_the_worker(
    sources: list[ImageSource], tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "cts"
    images.mkdir()
    for source in sources:
        (images / f"{source.name}.nii.gz").write_bytes(source.path.read_bytes())
    command = [
        "check",
        "--model",
        str(tiny_model),
        "--images",
        str(images),
        "--json",
        str(tmp_path / "c.json"),
    ]
    assert main([*command, "--device", "cpu"]) == 0
    assert "cycle error (mm)" in capsys.readouterr().out
    assert json.loads((tmp_path / "c.json").read_text())["volumes"] == 2
    assert main([*command, "--device", "cpu"]) == 2
    rows = [event["row"] for event in call("train.scan", folder=str(images))[1].of_kind("partial")]
    answer, job = call(
        "train.check",
        model=str(tiny_model),
        run="",
        rows=rows,
        device="cpu",
        picture=str(tmp_path / "w.png"),
    )
    assert answer["picture"] == str(tmp_path / "w.png") and answer["volumes"] == 2
    assert any(event["phase"] == "check" for event in job.of_kind("progress"))


def test_errors_are_thinned_evenly() -> None:
    values = thinned(list(range(10_000)))
    assert (
        len(values) == 500
        and values[0] == 0.0
        and values[-1] == 9999.0
        and values == sorted(values)
    )
    assert thinned([3.14, 1.0]) == [1.0, 3.1] and thinned([]) == []
