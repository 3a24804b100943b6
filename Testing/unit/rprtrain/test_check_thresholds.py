from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.version_0_1 import FOLDER

from rprloc.errors import ModelError
from rprloc.model.card import CARD_NAME, read_card
from rprloc.model.settings import ConfidenceThresholds
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
