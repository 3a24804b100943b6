"""What is accepted with a note: on stderr, in the table and in the CSV, for every command."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from support.command_line import Run, assert_refused, rows_of, write_query
from support.samples import (
    LABEL_IDS,
    Sample,
    phantom_geometry,
    phantom_hu,
    phantom_labels,
    write_image,
)

SCHEMA = "markups-schema-v1.0.3.json#"
UNTOLD = "does not tell how the patient lies"


def without_forms(path: Path) -> Path:
    """The query as a NIfTI that does not say how the patient lies."""
    write_query(path.parent, path.name)
    data = bytearray(path.read_bytes())
    struct.pack_into("<hh", data, 252, 0, 0)
    path.write_bytes(bytes(data))
    return path


def points(path: Path, **places: tuple[float, ...]) -> Path:
    marks = [{"label": name, "position": list(xyz)} for name, xyz in places.items()]
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": marks}
    path.write_text(json.dumps({"@schema": SCHEMA, "markups": [markup]}), encoding="utf-8")
    return path


def test_a_note_on_a_query_stands_in_every_row(run: Run, template: Path, tmp_path: Path) -> None:
    query = without_forms(tmp_path / "untold.nii")
    code, text, err = run("locate", "--template", template, "--out", tmp_path / "out", query)
    assert (code, err) == (0, "")
    assert all(UNTOLD in row["reason"] for row in rows_of(tmp_path / "out"))
    assert UNTOLD in text


def test_a_note_on_the_reference_stands_in_every_row_and_on_stderr(
    run: Run, sample: Sample, tmp_path: Path
) -> None:
    reference = without_forms(tmp_path / "untold.nii")
    targets = points(tmp_path / "p.mrk.json", Tip=(170.0, 110.0, 200.0))
    options = ["--reference", reference, "--targets", targets]
    code, _, err = run("locate", *options, "--out", tmp_path / "out", sample.query)
    assert code == 0
    assert "Tip: reference CT: " in err
    assert UNTOLD in err
    assert all(UNTOLD in row["reason"] for row in rows_of(tmp_path / "out"))


def test_a_failure_keeps_the_notes_that_may_explain_it(
    run: Run, template: Path, tmp_path: Path
) -> None:
    geometry = phantom_geometry()
    hu = phantom_hu(geometry)[::4, ::4, ::4].astype("<i2")
    k, j, i = hu.shape
    head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    head += f"ElementType = MET_SHORT\nDimSize = {i} {j} {k}\nElementDataFile = LOCAL\n"
    query = tmp_path / "small.mha"
    query.write_bytes(head.encode() + hu.tobytes())
    assert run("locate", "--template", template, "--out", tmp_path / "out", query)[0] == 1
    for row in rows_of(tmp_path / "out"):
        assert row["status"] == "failed"
        assert "1 mm was taken" in row["reason"]


def test_one_target_in_air_gets_a_failed_row_and_the_others_are_found(
    run: Run, sample: Sample, tmp_path: Path
) -> None:
    targets = points(tmp_path / "p.mrk.json", Tip=(0.0, 0.0, 200.0), air=(170.0, -105.0, 280.0))
    options = ["--reference", sample.reference, "--targets", targets]
    code, _, err = run("locate", *options, "--out", tmp_path / "out", sample.query)
    assert code == 1
    assert "target 'air' is left out: it lies in air" in err
    tip, air = rows_of(tmp_path / "out")
    assert tip["status"] != "failed"
    assert (air["target"], air["kind"], air["status"]) == ("air", "landmark", "failed")
    assert "is it marked on this CT?" in air["reason"]

    made = run("template make", *options, "--out", tmp_path / "t.json")
    assert made[0] == 1
    assert "target 'air' is left out" in made[2]
    shown = run("template show", tmp_path / "t.json", model=None)[1]
    assert "Tip" in shown
    assert "air" not in shown


def test_only_targets_in_air_are_refused(run: Run, sample: Sample, tmp_path: Path) -> None:
    targets = points(tmp_path / "p.mrk.json", air=(170.0, -105.0, 280.0))
    options = ["--reference", sample.reference, "--targets", targets]
    for command, out in (("locate", "--out"), ("template make", "--out")):
        queries = [sample.query] if command == "locate" else []
        answer = run(command, *options, out, tmp_path / "new.json", *queries)
        assert_refused(answer, "p.mrk.json", "lies in air")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Labels with the reference's voxels, 60 mm beside it."""
    labels = phantom_labels(phantom_geometry())
    return write_image(tmp_path / "moved.nii.gz", labels, phantom_geometry((60.0, 0.0, 0.0)))


def test_labels_elsewhere_are_refused_by_every_command(
    run: Run, sample: Sample, reference: list[object], elsewhere: Path, tmp_path: Path
) -> None:
    moved = ["--reference", sample.reference, "--targets", elsewhere]
    moved += ["--label-ids", sample.label_ids]
    words = ("lies elsewhere, up to 60 mm off", "moved.nii.gz")
    assert_refused(run("locate", *moved, "--out", tmp_path / "o", sample.query), *words)
    assert_refused(run("template make", *moved, "--out", tmp_path / "t.json"), *words)

    figures = tmp_path / "e.json"
    pair = f"{sample.reference}={elsewhere}"
    code, _, err = run("evaluate", *reference, "--json", figures, "--query", pair)
    assert code == 1
    assert "lies elsewhere" in err


def test_evaluate_says_what_is_odd_about_labels(
    run: Run, sample: Sample, reference: list[object], tmp_path: Path
) -> None:
    geometry = phantom_geometry()
    labels = phantom_labels(geometry)
    labels[0, 0, 0] = LABEL_IDS["Head"]
    stray = write_image(tmp_path / "stray.nii.gz", labels, geometry)
    figures = tmp_path / "e.json"
    pair = f"{sample.reference}={stray}"
    code, _, err = run("evaluate", *reference, "--json", figures, "--query", pair)
    assert code == 0
    assert "a part of 1 voxel" in err
    written = json.loads(figures.read_text(encoding="utf-8"))
    assert any("a part of 1 voxel" in note for note in written["notes"]["reference"])


def test_a_ct_is_no_label_map(run: Run, sample: Sample, tmp_path: Path) -> None:
    options = ["--reference", sample.reference, "--targets", sample.reference]
    assert_refused(run("template make", *options, "--out", tmp_path / "t"), "negative values")

    many = np.arange(58 * 38 * 52, dtype=np.int32).reshape(52, 38, 58) % 1000
    labels = write_image(tmp_path / "many.nii.gz", many, phantom_geometry())
    options = ["--reference", sample.reference, "--targets", labels]
    answer = run("template make", *options, "--out", tmp_path / "t")
    assert_refused(answer, "1000 different values")
