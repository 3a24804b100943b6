"""``rprloc locate``: what it writes, also where some queries fail or the user interrupts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.command_line import Run, assert_refused, interrupt_at, rows_of, write_query
from support.samples import Sample

from rprloc.cli import locate
from rprloc.localization import batch

HEADER = "query,target,kind,status,cx,cy,cz,sx,sy,sz,spread_mm,cycle_mm,reason,radius90_mm,model"


def test_locate_writes_table_markups_and_seconds(
    run: Run, sample: Sample, reference: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, text, err = run("locate", *reference, "--out", out, sample.query, sample.reference)
    assert (code, err) == (0, "")
    assert (out / "results.csv").read_text(encoding="utf-8").splitlines()[0] == HEADER
    rows = rows_of(out)
    expected = [(q, t) for q in ("query", "reference") for t in ("Head", "Spine")]
    assert [(row["query"], row["target"]) for row in rows] == expected
    for row in rows:
        file = out / row["query"] / f"{row['target']}.mrk.json"
        has_position = row["status"] in ("ok", "low-confidence")
        assert file.is_file() == has_position
        if has_position:
            markup = json.loads(file.read_text(encoding="utf-8"))["markups"][0]
            assert markup["type"] == "ROI"
            assert markup["coordinateSystem"] == "LPS"
            np.testing.assert_allclose(
                markup["center"], [float(row[c]) for c in ("cx", "cy", "cz")], atol=0.006
            )
    assert "Head" in text
    assert "read" in text
    assert "locate" in text
    assert not list(out.rglob("*.tmp"))


def test_landmarks_of_markups_become_fiducials(run: Run, sample: Sample, tmp_path: Path) -> None:
    out = tmp_path / "out"
    targets = ["--reference", sample.reference, "--targets", sample.markups]
    assert run("locate", *targets, "--out", out, sample.reference)[0] == 0
    (row,) = rows_of(out)
    assert (row["target"], row["kind"], row["sx"]) == ("Vertex", "landmark", "")
    if row["status"] in ("ok", "low-confidence"):
        file = out / "reference" / "Vertex.mrk.json"
        (markup,) = json.loads(file.read_text(encoding="utf-8"))["markups"]
        assert markup["type"] == "Fiducial"


@pytest.mark.parametrize("steps", ["coarse", "coarse2", "coarse3", "fine"])
@pytest.mark.parametrize("runs", ["all", "5"])
def test_every_number_of_runs_and_steps(
    run: Run, sample: Sample, template: Path, tmp_path: Path, steps: str, runs: str
) -> None:
    out = tmp_path / "out"
    options = ["--runs", runs, "--steps", steps, "--seed", "3"]
    assert run("locate", "--template", template, "--out", out, *options, sample.query)[0] == 0
    first = (out / "results.csv").read_bytes()
    again = ["--template", template, "--out", out, "--overwrite", *options, sample.query]
    assert run("locate", *again)[0] == 0
    assert (out / "results.csv").read_bytes() == first


def test_bad_queries_cost_their_own_rows_only(
    run: Run, sample: Sample, template: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes(sample.query.read_bytes()[:2000])
    out = tmp_path / "out"
    code, _, err = run(
        "locate", "--template", template, "--out", out, tmp_path / "gone.mha", damaged, sample.query
    )
    assert code == 1
    assert err.count("\n") == 1
    assert "2 of 3" in err
    rows = rows_of(out)
    names = ["gone", "damaged", "query"]
    assert [row["query"] for row in rows] == [name for name in names for _ in range(2)]
    assert [row["status"] for row in rows[:4]] == ["failed"] * 4
    assert all("gone.mha" in row["reason"] for row in rows[:2])
    assert all(row["reason"] for row in rows[:4])
    assert all(row["status"] != "failed" for row in rows[4:])
    assert not (out / "gone").exists()


def test_ctrl_c_leaves_the_finished_queries(
    run: Run, sample: Sample, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, "good", KeyboardInterrupt())
    out, good = tmp_path / "out", write_query(tmp_path)
    code, _, err = run("locate", "--template", template, "--out", out, sample.query, good)
    assert code == 130
    assert err.count("\n") == 1
    assert "1 of 2" in err
    assert [row["query"] for row in rows_of(out)] == ["query", "query"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(RuntimeError("odd"), "internal error (RuntimeError: odd)"), (MemoryError(), "memory")],
)
def test_a_crash_in_one_query_spares_the_others(
    run: Run,
    sample: Sample,
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    interrupt_at(monkeypatch, "good", error)
    out, good = tmp_path / "out", write_query(tmp_path)
    assert run("locate", "--template", template, "--out", out, good, sample.query)[0] == 1
    rows = rows_of(out)
    assert [row["status"] == "failed" for row in rows] == [True, True, False, False]
    assert reason in rows[0]["reason"]


def test_queries_of_the_same_name_do_not_overwrite_each_other(
    run: Run, template: Path, tmp_path: Path
) -> None:
    paths = [write_query(tmp_path / name, "ct.nii.gz") for name in ("ann", "bob")]
    out = tmp_path / "out"
    assert run("locate", "--template", template, "--out", out, *paths, paths[0])[0] == 0
    names = list(dict.fromkeys(row["query"] for row in rows_of(out)))
    assert names == ["ann_ct", "bob_ct", "ann_ct-2"]


def test_query_names_are_files_of_their_own() -> None:
    paths = [Path(p) for p in ("/a/x.nii", "/b/X.nrrd", "/c/y.mha", "/d/..mha", "/e/con.mha")]
    names = batch.query_names(paths)
    assert names[:3] == ["a_x", "b_X", "y"]
    assert len({name.casefold() for name in names}) == 5
    assert not any(set(name) & set('/\\:*?"<>|') or name in (".", "..") for name in names)


def test_pictures_and_synthetic_marks(
    run: Run, sample: Sample, template: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    code, text, _ = run(
        "locate", "--template", template, "--out", out, "--picture", "--synthetic", sample.query
    )
    assert code == 0
    assert "NOT A PATIENT" in text
    assert {row["query"] for row in rows_of(out)} == {"synthetic-query"}
    assert (out / "synthetic-query" / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_picture_without_matplotlib_is_refused(
    run: Run, sample: Sample, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate.importlib.util, "find_spec", lambda name: None)
    out = tmp_path / "out"
    assert_refused(
        run("locate", "--template", template, "--out", out, "--picture", sample.query), "matplotlib"
    )
    assert not out.exists()
