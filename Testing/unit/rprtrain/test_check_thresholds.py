"""Proposed thresholds: shown by ``rprloc check``, and written only if the user says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.samples import Sample
from support.version_0_1 import FOLDER

from rprloc.cli.main import main
from rprloc.errors import ModelError
from rprloc.model.card import CARD_NAME, read_card
from rprloc.model.settings import ConfidenceThresholds
from rprtrain.check.right_answers import Proposal
from rprtrain.check.self_check import Report
from rprtrain.check.thresholds import threshold_table, write_thresholds

PROPOSED = ConfidenceThresholds(cycle_mm=31.5, spread_mm=12.0, source="8 CTs of phantoms")


@pytest.fixture(params=["random", "of version 0.1"])
def model(request: pytest.FixtureRequest, tiny_model: Path, tmp_path: Path) -> Path:
    source = tiny_model if request.param == "random" else FOLDER / "model"
    return Path(shutil.copytree(source, tmp_path / "model"))


def test_thresholds_are_written_and_nothing_else_changes(model: Path) -> None:
    before = read_card(model)
    assert write_thresholds(model, PROPOSED) == model / CARD_NAME
    after = read_card(model)
    assert after.confidence == PROPOSED
    assert after == replace(before, confidence=PROPOSED)
    assert after.identity == before.identity
    assert not list(model.glob("*.tmp"))


def test_a_damaged_card_is_left_alone(model: Path) -> None:
    (model / CARD_NAME).write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError):
        write_thresholds(model, PROPOSED)
    assert json.loads((model / CARD_NAME).read_text(encoding="utf-8")) == {}


def test_the_table_shows_present_and_proposed_values() -> None:
    lines = threshold_table(ConfidenceThresholds(), PROPOSED).splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:-2]}
    assert rows["cycle_mm"] == ["20", "31.5"]
    assert rows["similarity"] == ["0.3", "0.3"]
    assert "8 CTs of phantoms" in lines[-1]
    assert "source" not in rows


@pytest.fixture
def check(
    model: Path,
    sample: Sample,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str, str]]:
    """``rprloc check`` of the model with this proposal: (exit code, stdout, stderr)."""

    def call(proposal: Proposal, *options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(
            "rprtrain.check.self_check.check_model",
            lambda *_: Report([], volumes=2, pairs=2, proposal=proposal),
        )
        images = ["--images", str(sample.reference.parent)]
        code = main(["check", "--model", str(model), *images, "--device", "cpu", *options])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_thresholds_are_shown_but_not_written(
    check: Callable[..., tuple[int, str, str]], model: Path
) -> None:
    before = (model / CARD_NAME).read_bytes()
    code, out, err = check(Proposal(PROPOSED))
    assert (code, err) == (0, "")
    assert "proposed thresholds" in out and "31.5" in out and "--write-thresholds" in out
    assert (model / CARD_NAME).read_bytes() == before


def test_thresholds_are_written_if_the_user_says_so(
    check: Callable[..., tuple[int, str, str]], model: Path
) -> None:
    code, out, _ = check(Proposal(PROPOSED), "--write-thresholds")
    assert code == 0 and f"written: {model / CARD_NAME}" in out
    assert read_card(model).confidence == PROPOSED


def test_without_enough_answers_the_reason_is_shown_and_nothing_is_written(
    check: Callable[..., tuple[int, str, str]], model: Path
) -> None:
    before = (model / CARD_NAME).read_bytes()
    code, out, err = check(Proposal(problem="give more CTs"))
    assert (code, err) == (0, "") and "no thresholds are proposed: give more CTs" in out
    code, out, err = check(Proposal(problem="give more CTs"), "--write-thresholds")
    assert code == 2 and err == "rprloc: no thresholds were written: give more CTs\n"
    assert (model / CARD_NAME).read_bytes() == before
