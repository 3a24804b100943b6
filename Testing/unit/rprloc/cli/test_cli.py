from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.paths import ROOT
from support.samples import Sample, phantom_geometry, phantom_hu, write_image

from rprloc.cli import evaluate, locate
from rprloc.cli.main import main
from rprloc.errors import OutputError
from rprloc.localization import batch
from rprloc.localization.locator import Locator

HEADER = "query,target,kind,status,cx,cy,cz,sx,sy,sz,spread_mm,cycle_mm,reason"
FAST = ("--device", "cpu", "--threads", "1")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with the random model: (exit code, stdout, stderr)."""

    def call(command: str, *arguments: object, model: object = tiny_model) -> tuple[int, str, str]:
        options = () if model is None else ("--model", str(model), *FAST)
        capsys.readouterr()
        try:
            code = main([*command.split(), *options, *map(str, arguments)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def reference(sample: Sample) -> list[object]:
    """The options that give the synthetic reference and its targets."""
    return [
        *("--reference", sample.reference),
        *("--targets", sample.reference_labels),
        *("--label-ids", sample.label_ids),
    ]


@pytest.fixture
def template(run: Run, reference: list[object], tmp_path: Path) -> Path:
    """A template of the synthetic reference, made with the random model."""
    path = tmp_path / "made" / "organs.json"
    assert run("template make", *reference, "--out", path)[0] == 0
    return path


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "results.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def assert_refused(answer: tuple[int, str, str], *parts: str) -> None:
    """Exit code 2, nothing on stdout, and one line on stderr that holds all parts."""
    code, out, err = answer
    assert code == 2, err
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    for part in parts:
        assert part in err, err


def write_query(folder: Path, name: str = "good.nii.gz") -> Path:
    geometry = phantom_geometry((2.0, 0.0, 3.0))
    folder.mkdir(parents=True, exist_ok=True)
    return write_image(folder / name, phantom_hu(geometry), geometry)


def test_help_is_fast_and_does_not_load_torch() -> None:
    code = "import sys; from rprloc.cli.main import build_parser; build_parser(); print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "RPRLocalization")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "False"
    helped = [sys.executable, "-m", "rprloc", "locate", "--help"]
    done = subprocess.run(helped, capture_output=True, text=True, env=environment, check=True)
    assert "--reference" in done.stdout
    assert "exit codes" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "COMMAND"),
        (["find"], "invalid choice"),
        (["locate", "--out", "x", "q.nii.gz"], "--reference"),
        (["locate", "--template", "t", "--out", "x"], "QUERY"),
        (["locate", "--template", "t", "--reference", "r", "--out", "x", "q"], "not allowed"),
        (["locate", "--template", "t", "--out", "x", "--runs", "0", "q"], "'0' is not all"),
        (["locate", "--template", "t", "--out", "x", "--runs", "some", "q"], "'some' is not all"),
        (["locate", "--template", "t", "--out", "x", "--steps", "finest", "q"], "finest"),
        (["locate", "--template", "t", "--out", "x", "--seed", "-1", "q"], "--seed"),
        (["locate", "--template", "t", "--out", "x", "--threads", "0", "q"], "--threads"),
        (["train", "--images", "i", "--out", "o", "--minutes", "-3"], "--minutes"),
        (["train", "--images", "i", "--out", "o", "--minutes", "3", "--steps", "4"], "not allowed"),
        (["evaluate", "--template", "t", "--json", "j"], "--query"),
        (["template", "make", "--reference", "r", "--out", "o"], "--targets"),
    ],
)
def test_wrong_use_is_one_line(run: Run, arguments: list[str], part: str) -> None:
    assert_refused(run(" ".join(arguments), model=None), part, "--help")


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
        found = row["status"] in ("ok", "low-confidence")
        assert file.is_file() == found
        if found:
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
        markup = json.loads((out / "reference" / "Vertex.mrk.json").read_text(encoding="utf-8"))[
            "markups"
        ][0]
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
    assert (
        run("locate", "--template", template, "--out", out, "--overwrite", *options, sample.query)[
            0
        ]
        == 0
    )
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
    assert [row["query"] for row in rows] == [
        "gone",
        "gone",
        "damaged",
        "damaged",
        "query",
        "query",
    ]
    assert [row["status"] for row in rows[:4]] == ["failed"] * 4
    assert all("gone.mha" in row["reason"] for row in rows[:2])
    assert all(row["reason"] for row in rows[:4])
    assert all(row["status"] != "failed" for row in rows[4:])
    assert not (out / "gone").exists()


def bad_ct(kind: str, folder: Path) -> Path:
    """Write a CT that must be refused."""
    geometry = phantom_geometry()
    hu = phantom_hu(geometry)
    path = folder / f"{kind}.nrrd"
    if kind == "2d":
        image = sitk.GetImageFromArray(hu[20])
    elif kind == "4d":
        image = sitk.JoinSeries([sitk.GetImageFromArray(hu)] * 2)
    else:
        image = sitk.GetImageFromArray(
            {
                "mr": np.abs(hu.astype(np.int16)) // 3,
                "constant": np.zeros_like(hu),
                "empty": np.full_like(hu, -1024),
                "nan": np.where(hu > 500, np.nan, hu).astype(np.float32),
                "spacing": hu,
            }[kind]
        )
        image.SetSpacing([6.0, 6.0, 6.0])
    sitk.WriteImage(image, str(path))
    if kind == "spacing":
        data = path.read_bytes()
        path.write_bytes(data.replace(b"(6,0,0)", b"(0,0,0)"))
    return path


@pytest.mark.parametrize("kind", ["2d", "4d", "mr", "constant", "empty", "nan", "spacing"])
def test_bad_ct_is_a_failed_query_and_a_refused_reference(
    run: Run, sample: Sample, template: Path, tmp_path: Path, kind: str
) -> None:
    path, out = bad_ct(kind, tmp_path), tmp_path / "out"
    assert run("locate", "--template", template, "--out", out, path)[0] == 1
    assert {row["status"] for row in rows_of(out)} == {"failed"}
    ids = ["--targets", sample.reference_labels, "--label-ids", sample.label_ids]
    answer = run("locate", "--reference", path, *ids, "--out", tmp_path / "none", sample.query)
    assert_refused(answer, kind if kind != "spacing" else "")
    assert not (tmp_path / "none").exists()


def test_bad_targets_are_refused_before_anything_is_written(
    run: Run, sample: Sample, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ids, outside, broken = (
        tmp_path / "ids.json",
        tmp_path / "outside.mrk.json",
        tmp_path / "broken.json",
    )
    ids.write_text('{"Head": 1, "Liver": 9}', encoding="utf-8")
    outside.write_text(
        sample.markups.read_text(encoding="utf-8").replace("250.0", "2500.0"), encoding="utf-8"
    )
    broken.write_text("{", encoding="utf-8")
    start = ["--reference", sample.reference, "--out", out]
    labels = ["--targets", sample.reference_labels]
    assert_refused(run("locate", *start, *labels, "--label-ids", ids, sample.query), "Liver", "9")
    assert_refused(
        run("locate", *start, *labels, "--label-ids", broken, sample.query), "broken.json"
    )
    assert_refused(
        run("locate", *start, *labels, "--label-ids", tmp_path / "no.json", sample.query), "no.json"
    )
    assert_refused(run("locate", *start, "--targets", outside, sample.query), "Vertex", "outside")
    assert_refused(
        run("locate", *start, "--targets", tmp_path / "no.nrrd", sample.query), "no.nrrd"
    )
    assert_refused(run("locate", *start, sample.query), "--targets")
    assert_refused(
        run("locate", "--reference", tmp_path / "no.mha", "--out", out, *labels, sample.query),
        "no.mha",
    )
    assert not out.exists()


def test_bad_templates_are_refused(
    run: Run, sample: Sample, template: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    data = json.loads(template.read_text(encoding="utf-8"))
    foreign, broken = tmp_path / "foreign.json", tmp_path / "broken.json"
    data["model"]["coarse_sha256"] = "0" * 64
    foreign.write_text(json.dumps(data), encoding="utf-8")
    broken.write_text("[]", encoding="utf-8")
    assert_refused(run("locate", "--template", foreign, "--out", out, sample.query), "model")
    assert_refused(run("locate", "--template", broken, "--out", out, sample.query), "broken.json")
    assert_refused(
        run("locate", "--template", tmp_path / "no.json", "--out", out, sample.query), "no.json"
    )
    both = ["--template", template, "--targets", sample.reference_labels]
    assert_refused(run("locate", *both, "--out", out, sample.query), "--targets")
    assert not out.exists()


def test_damaged_and_missing_models_are_refused(
    run: Run, sample: Sample, template: Path, tiny_model: Path, tmp_path: Path
) -> None:
    damaged, out = tmp_path / "damaged", tmp_path / "out"
    shutil.copytree(tiny_model, damaged)
    with open(damaged / "fine.pt", "ab") as stream:
        stream.write(b"x")
    command = ["--template", template, "--out", out, sample.query]
    assert_refused(run("locate", *command, model=damaged), "fine.pt", "checksum")
    assert_refused(run("locate", *command, model=tmp_path / "gone"), "gone")
    assert not out.exists()


def test_cuda_is_refused_where_there_is_none(
    run: Run, sample: Sample, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "out"
    assert_refused(
        run("locate", "--template", template, "--out", out, "--device", "cuda", sample.query),
        "CUDA",
    )
    assert_refused(
        run("locate", "--template", template, "--out", out, "--device", "tpu", sample.query), "tpu"
    )
    assert not out.exists()


def test_existing_output_is_refused_without_overwrite(
    run: Run, sample: Sample, template: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.csv").write_text("precious", encoding="utf-8")
    assert_refused(run("locate", "--template", template, "--out", out, sample.query), "--overwrite")
    assert (out / "results.csv").read_text(encoding="utf-8") == "precious"
    assert run("locate", "--template", template, "--out", out, "--overwrite", sample.query)[0] == 0
    assert len(rows_of(out)) == 2
    assert_refused(
        run("locate", "--template", template, "--out", sample.query, sample.query), "not a folder"
    )


def test_read_only_output_is_refused(
    run: Run, sample: Sample, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    out = tmp_path / "out"
    assert_refused(
        run("locate", "--template", template, "--out", out, sample.query), "out", "read-only"
    )
    assert not out.exists()


def test_full_disk_stops_with_the_finished_queries_in_place(
    run: Run, sample: Sample, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = locate.write_csv

    def fill_up(path: Path, results: list[Any]) -> None:
        if any(result.query == "good" for result in results):
            raise OutputError(f"{path}: the disk is full")
        write(path, results)

    monkeypatch.setattr(locate, "write_csv", fill_up)
    out, good = tmp_path / "out", write_query(tmp_path)
    assert_refused(
        run("locate", "--template", template, "--out", out, sample.query, good), "disk is full"
    )
    assert {row["query"] for row in rows_of(out)} == {"query"}


def interrupt_at(monkeypatch: pytest.MonkeyPatch, query: str, error: BaseException) -> None:
    embed = Locator.embed

    def stop(self: Locator, volume: Any) -> Any:
        if volume.name == query:
            raise error
        return embed(self, volume)

    monkeypatch.setattr(Locator, "embed", stop)


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


def test_template_make_add_show(
    run: Run, sample: Sample, reference: list[object], template: Path, tmp_path: Path
) -> None:
    before = template.read_bytes()
    assert_refused(run("template make", *reference, "--out", template), "--overwrite")
    assert template.read_bytes() == before
    more = [
        "--reference",
        sample.query,
        "--targets",
        sample.query_labels,
        "--label-ids",
        sample.label_ids,
    ]
    code, text, _ = run("template add", *more, "--out", template)
    assert code == 0
    assert "2 (reference, query)" in text
    landmark = ["--reference", sample.reference, "--targets", sample.markups]
    assert run("template add", *landmark, "--out", template)[0] == 0
    code, text, _ = run("template show", template, model=None)
    assert code == 0
    for part in ("tiny", "phantom", "Head", "Spine", "Vertex", "landmark", "box"):
        assert part in text
    out = tmp_path / "out"
    assert run("locate", "--template", template, "--out", out, sample.query)[0] == 0
    assert [row["target"] for row in rows_of(out)] == ["Head", "Spine", "Vertex"]
    assert run("template make", *reference, "--overwrite", "--out", template)[0] == 0
    assert template.read_bytes() == before


def test_template_errors_change_nothing(
    run: Run, sample: Sample, reference: list[object], template: Path, tmp_path: Path
) -> None:
    before = template.read_bytes()
    assert_refused(
        run("template add", *reference, "--out", tmp_path / "new.json"), "new.json", "make"
    )
    bad = ["--reference", sample.reference, "--targets", sample.folder / "no.nrrd"]
    assert_refused(run("template add", *bad, "--out", template), "no.nrrd")
    assert_refused(run("template make", *bad, "--overwrite", "--out", template), "no.nrrd")
    assert_refused(run("template show", tmp_path / "no.json", model=None), "no.json")
    assert template.read_bytes() == before


def test_evaluate_writes_the_agreed_json(
    run: Run, sample: Sample, reference: list[object], tmp_path: Path
) -> None:
    out, table = tmp_path / "figures" / "out.json", tmp_path / "out.csv"
    pairs = [
        f"{sample.query}={sample.query_labels}",
        f"{sample.reference}={sample.reference_labels}",
    ]
    code, text, err = run(
        "evaluate",
        *reference,
        "--json",
        out,
        "--csv",
        table,
        "--query",
        pairs[0],
        "--query",
        pairs[1],
    )
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
    command = [
        "--template",
        template,
        "--label-ids",
        sample.label_ids,
        "--json",
        out,
        "--complete",
        complete,
    ]
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
    code, _, err = run(
        "evaluate",
        "--template",
        template,
        "--label-ids",
        sample.label_ids,
        "--json",
        out,
        "--query",
        *pairs,
    )
    assert code == 130
    assert err.count("\n") == 1
    assert json.loads(out.read_text(encoding="utf-8"))["seconds"]["queries"] == 1


def test_models_lists_and_verifies(
    run: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model, tmp_path / "models" / "mine")
    monkeypatch.setenv("RPRLOC_MODELS", str(tmp_path / "models"))
    code, text, err = run("models", model=None)
    assert (code, err) == (0, "")
    assert "mine" in text
    assert "verified" in text
    with open(tmp_path / "models" / "mine" / "coarse.pt", "ab") as stream:
        stream.write(b"x")
    code, text, err = run("models", model=None)
    assert code == 2
    assert err.count("\n") == 1
    assert "DAMAGED" in text
    assert "checksum" in err


def test_report_of_an_evaluation_without_results_is_readable() -> None:
    summary = evaluate.summarize(["Head"], [], {})
    assert "none" in evaluate.report(summary)
