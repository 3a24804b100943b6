"""Proposed confidence thresholds of a model: shown beside its own, or written into its card."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

from rprloc.files import atomic_write_text
from rprloc.model.card import CARD_NAME, read_card
from rprloc.model.settings import ConfidenceThresholds
from rprloc.seal import sealed

SOURCE = "source"
# Fitted on answers whose errors are known, which these thresholds are not.
RADII = ("radius", "aligned")


def threshold_table(present: ConfidenceThresholds, proposed: ConfidenceThresholds) -> str:
    """Both sets of thresholds as a table for the screen, with the CTs they were chosen on."""
    rows = [("proposed thresholds", "now", "proposed")]
    for field in fields(ConfidenceThresholds):
        if field.name not in (SOURCE, *RADII):
            now, then = getattr(present, field.name), getattr(proposed, field.name)
            rows.append((field.name, f"{now:g}", f"{then:g}"))

    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, f"now from: {present.source}", f"proposed from: {proposed.source}"])


def write_thresholds(folder: Path, thresholds: ConfidenceThresholds) -> Path:
    """Write thresholds into the card of a model, in one step; everything else in it stays.

    The networks do not change, and so not the model's identity: templates of it stay valid.
    Raises ModelError if the card is damaged, OutputError if it cannot be written.
    """
    card = replace(read_card(folder), confidence=thresholds)
    path = folder / CARD_NAME
    atomic_write_text(path, json.dumps(sealed(card.to_json()), indent=1) + "\n")
    return path
