"""``rprloc locate --dicom-sr --rtstruct``, and both opened again by ``rprloc evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_line import Run, assert_refused
from support.samples import Sample

from rprloc.cli.main import main
from rprloc.dicom_output.writing import RTSTRUCT_NAME, SR_NAME
from rprloc.image.volume import read_volume

pydicom = pytest.importorskip("pydicom", reason="extra 'dicom' is not installed")
pytest.importorskip("highdicom", reason="extra 'dicom' is not installed")
import cohort_trees  # noqa: E402


def test_the_command_writes_both_and_evaluate_reads_them(
    run: Run, template: Path, tmp_path: Path, sample: Sample
) -> None:
    folder = cohort_trees.write_ct(tmp_path / "ct", read_volume(sample.query), "P4")
    out = tmp_path / "out"
    assert (
        run("locate", "--template", template, "--out", out, "--dicom-sr", "--rtstruct", folder)[0]
        == 0
    )
    for name in (SR_NAME, RTSTRUCT_NAME):
        figures = tmp_path / f"{name}.json"
        pair = f"{folder}={out / 'ct' / name}"
        assert run("evaluate", "--template", template, "--json", figures, "--query", pair)[0] == 0
        mean = json.loads(figures.read_text())["mean"]
        assert mean["n"] > 0 and mean["awd_mm"] < 0.1
    refused = run(
        "locate", "--template", template, "--out", tmp_path / "no", "--rtstruct", sample.query
    )
    assert_refused(refused, "no DICOM series")
    assert not (tmp_path / "no").exists()


def test_a_series_that_cannot_be_referred_to_keeps_its_answers(
    run: Run, template: Path, tmp_path: Path, sample: Sample
) -> None:
    folder = cohort_trees.write_ct(tmp_path / "ct", read_volume(sample.query), "P5")
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        del data.FrameOfReferenceUID
        data.save_as(file)
    out = tmp_path / "out"
    code, _, error = run("locate", "--template", template, "--out", out, "--rtstruct", folder)
    assert code == 1 and "no DICOM document" in error
    assert (out / "results.csv").read_text().count("ct,") > 0


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from rprloc import extras

    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    command = ["locate", "--template", "t", "--out", str(tmp_path / "o"), "--dicom-sr", "q"]
    assert main(command) == 2
    assert "rprloc[dicom]" in capsys.readouterr().err
