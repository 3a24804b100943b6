"""A model, a reference and a template for the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_line import Run
from support.samples import Sample

from rprloc.cli.main import main

FAST = ("--device", "cpu", "--threads", "1")


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
