"""``rprloc template``."""

from __future__ import annotations

from pathlib import Path

from support.command_line import Run, assert_refused, rows_of
from support.samples import Sample


def test_template_make_add_show(
    run: Run, sample: Sample, reference: list[object], template: Path, tmp_path: Path
) -> None:
    before = template.read_bytes()
    assert_refused(run("template make", *reference, "--out", template), "--overwrite")
    assert template.read_bytes() == before
    images = ["--reference", sample.query, "--targets", sample.query_labels]
    more = [*images, "--label-ids", sample.label_ids]
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
