"""``rprloc locate``: input and output that is refused in one line."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.command_line import Run, assert_refused, rows_of, write_query
from support.samples import Sample, phantom_geometry, phantom_hu

from rprloc.errors import OutputError
from rprloc.localization import result
from rprloc.seal import sealed


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
    ids, broken = tmp_path / "ids.json", tmp_path / "broken.json"
    outside = tmp_path / "outside.mrk.json"
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
    edited = tmp_path / "edited.json"
    edited.write_text(json.dumps(data), encoding="utf-8")
    assert_refused(run("locate", "--template", edited, "--out", out, sample.query), "edited")
    foreign.write_text(json.dumps(sealed(data)), encoding="utf-8")
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
    write = result.write_csv

    def fill_up(path: Path, results: list[Any]) -> None:
        if any(result.query == "good" for result in results):
            raise OutputError(f"{path}: the disk is full")
        write(path, results)

    monkeypatch.setattr(result, "write_csv", fill_up)
    out, good = tmp_path / "out", write_query(tmp_path)
    assert_refused(
        run("locate", "--template", template, "--out", out, sample.query, good), "disk is full"
    )
    assert {row["query"] for row in rows_of(out)} == {"query"}
