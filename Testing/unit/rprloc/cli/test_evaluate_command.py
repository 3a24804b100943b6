"""``rprloc evaluate``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from support.command_line import Run, assert_refused, interrupt_at, write_query
from support.samples import Sample

from rprloc.cli.score_table import score_table
from rprloc.evaluation.scores import summarize


def test_evaluate_writes_the_agreed_json(
    run: Run, sample: Sample, reference: list[object], tmp_path: Path
) -> None:
    out, table = tmp_path / "figures" / "out.json", tmp_path / "out.csv"
    pairs = [
        f"{sample.query}={sample.query_labels}",
        f"{sample.reference}={sample.reference_labels}",
    ]
    files = ["--json", out, "--csv", table]
    queries = ["--query", pairs[0], "--query", pairs[1]]
    code, text, err = run("evaluate", *reference, *files, *queries)
    assert (code, err) == (0, "")
    data = json.loads(out.read_text(encoding="utf-8"))
    assert set(data["organs"]) == {"Head", "Spine"}
    head = data["organs"]["Head"]
    assert head["n"] == 2
    assert set(head["iou_per_case"]) == {"query", "reference"}
    assert head["iou"] == pytest.approx(np.mean(list(head["iou_per_case"].values())))
    assert sum(head["statuses"].values()) == 2
    assert data["mean"]["iou"] == pytest.approx(
        np.mean([o["iou"] for o in data["organs"].values()])
    )
    for phase in ("read", "resample", "embed", "locate", "after_read", "total"):
        assert data["seconds"][phase]["median"] >= 0
    with open(table, newline="", encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 4
    assert "IoU" in text
    assert "seconds per query" in text


def test_evaluate_complete_organs_failures_and_overwrite(
    run: Run, sample: Sample, template: Path, tmp_path: Path
) -> None:
    out, complete = tmp_path / "out.json", tmp_path / "cases.json"
    complete.write_text(
        '{"cases": {"query": {"complete_organs": ["Spine"]}, "gone": {"complete_organs": []}}}'
    )
    pairs = [f"{sample.query}={sample.query_labels}", f"{tmp_path}/gone.mha={sample.query_labels}"]
    source = ["--template", template, "--label-ids", sample.label_ids]
    command = [*source, "--json", out, "--complete", complete]
    code, _, err = run("evaluate", *command, "--query", *pairs)
    assert code == 1
    assert err.count("\n") == 1
    data = json.loads(out.read_text(encoding="utf-8"))
    assert data["organs"]["Head"]["n"] == 0
    assert data["organs"]["Head"]["incomplete"]["n"] == 1
    assert data["organs"]["Spine"]["n"] == 1
    assert list(data["failed"]) == ["gone"]
    assert_refused(run("evaluate", *command, "--query", pairs[0]), "--overwrite")
    other = f"{sample.reference}={sample.reference_labels}"
    assert_refused(run("evaluate", *command, "--overwrite", "--query", other), "reference")
    assert_refused(run("evaluate", *command, "--overwrite", "--query", "nothing"), "IMAGE=LABELS")
    assert json.loads(out.read_text(encoding="utf-8")) == data


def test_evaluate_measures_landmarks(run: Run, sample: Sample, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    targets = ["--reference", sample.reference, "--targets", sample.markups]
    code, *_ = run(
        "evaluate", *targets, "--json", out, "--query", f"{sample.reference}={sample.markups}"
    )
    assert code == 0
    vertex = json.loads(out.read_text(encoding="utf-8"))["organs"]["Vertex"]
    assert (vertex["n"], vertex["iou"]) == (1, None)
    if "outside" not in vertex["statuses"]:
        assert vertex["error_mm"] >= 0


def test_ctrl_c_in_evaluate_keeps_the_finished_queries(
    run: Run, sample: Sample, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, "good", KeyboardInterrupt())
    out, good = tmp_path / "out.json", write_query(tmp_path)
    pairs = [f"{sample.query}={sample.query_labels}", f"{good}={sample.query_labels}"]
    source = ["--template", template, "--label-ids", sample.label_ids]
    code, _, err = run("evaluate", *source, "--json", out, "--query", *pairs)
    assert code == 130
    assert err.count("\n") == 1
    assert json.loads(out.read_text(encoding="utf-8"))["seconds"]["queries"] == 1


def test_report_of_an_evaluation_without_results_is_readable() -> None:
    summary = summarize(["Head"], [], {})
    assert "none" in score_table(summary)
