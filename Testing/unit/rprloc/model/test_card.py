"""The model card: both schema versions, what was calibrated for a model, and no torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.paths import BUNDLED_MODELS
from support.without_modules import run_without

from rprloc.errors import ModelError
from rprloc.model.card import CARD_NAME, parse_card, read_card
from rprloc.model.finding import bundled_models, find_model
from rprloc.model.settings import ConfidenceThresholds, MatchSettings, SearchSettings


def test_settings_survive_the_card(tiny_model: Path) -> None:
    card = replace(
        read_card(tiny_model),
        search=SearchSettings(matches=(MatchSettings(9.0, 0.1, 3.0),), match_weight=0.4),
        confidence=ConfidenceThresholds(cycle_mm=7.0, source="abdomen, 12 CTs"),
    )
    again = parse_card(json.dumps(card.to_json()), "model.json")
    assert again == card and again.identity == card.identity


def test_version_1_is_read_with_the_defaults(tiny_model: Path) -> None:
    data = json.loads((tiny_model / CARD_NAME).read_text(encoding="utf-8"))
    data["schema_version"] = 1
    del data["search"], data["confidence"]
    card = parse_card(json.dumps(data), "model.json")
    assert card.search == SearchSettings() and card.confidence == ConfidenceThresholds()
    assert card.identity == read_card(tiny_model).identity


@pytest.mark.parametrize(
    ("block", "name", "value"),
    [
        ("confidence", "cycle_mm", -1.0),
        ("confidence", "similarity", 2.0),
        ("confidence", "spread_mm", "far"),
        ("confidence", "missing", float("nan")),
        ("search", "vote_bandwidths_mm", []),
        ("search", "matches", [{"radius_mm": 0.0}]),
        ("search", "match_weight", 1.5),
        ("search", "ridge", True),
    ],
)
def test_impossible_settings_are_refused(
    tiny_model: Path, block: str, name: str, value: object
) -> None:
    data = json.loads((tiny_model / CARD_NAME).read_text(encoding="utf-8"))
    data[block][name] = value
    with pytest.raises(ModelError, match="model card lacks or misstates"):
        parse_card(json.dumps(data), "model.json")


def test_the_future_is_refused(tiny_model: Path) -> None:
    data = json.loads((tiny_model / CARD_NAME).read_text(encoding="utf-8"))
    data["schema_version"] = 3
    with pytest.raises(ModelError, match="version 3 is not supported"):
        parse_card(json.dumps(data), "model.json")


def test_the_bundled_card_says_what_it_was_calibrated_on() -> None:
    card = read_card(BUNDLED_MODELS / "han-ct")
    assert "han-ct" in card.search.source and "validation" in card.confidence.source
    limits = replace(card.confidence, source="", radius=None, aligned=None)
    assert limits == ConfidenceThresholds(source="")
    for radius in (card.confidence.radius, card.confidence.aligned):
        assert radius is not None and "val of data/body and data/han" in radius.source
    assert replace(card.search, source="") == SearchSettings(source="")


def test_a_card_is_read_without_torch() -> None:
    code = (
        "from pathlib import Path; from rprloc.model.card import read_card\n"
        f"print(read_card(Path({str(BUNDLED_MODELS / 'han-ct')!r})).name)"
    )
    assert run_without(("torch", "SimpleITK"), code) == "han-ct"


def test_a_bundled_model_that_another_was_trained_on_from_is_not_asked_too() -> None:
    assert {card.parent.name for card in BUNDLED_MODELS.glob("*/model.json")} == {
        "body-ct",
        "han-ct",
    }
    assert [folder.name for folder in bundled_models()] == ["body-ct"]
    assert find_model("han-ct").parent == BUNDLED_MODELS
