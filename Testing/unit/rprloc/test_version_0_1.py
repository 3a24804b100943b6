"""What version 0.1 wrote is read, and gives the boxes, statuses and answers that it gave."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.version_0_1 import FOLDER, expected, make_inputs
from support.workers import Worker

from rprloc.cli.main import main
from rprloc.image.volume import read_volume
from rprloc.localization.locator import Locator, Options
from rprloc.localization.template import Template
from rprloc.model.card import read_card
from rprloc.model.devices import fast_dtype
from rprloc.model.loading import load_model
from rprloc.worker.localization import row_json

# The files were written on a processor that computes in bfloat16; in float32 answers of this
# untrained network lie up to 1 mm off.
SAME_PRECISION = fast_dtype(torch.device("cpu")) == torch.bfloat16
# From one kind of processor to the next they differ by some 1e-4 mm.
TOLERANCE_MM = 1e-3 if SAME_PRECISION else 2.0
# Latents were written with three decimals: the last one may be rounded the other way.
TOLERANCE_LATENT = 2.1e-3 if SAME_PRECISION else 0.05
# Two decimals are printed, likewise.
TOLERANCE_CSV = 0.011 if SAME_PRECISION else 2.0
# What depends on the machine, and what later versions may add to.
ADDED = {"radius90_mm", "model", "sketches", "center_mm", "outlines"}
VOLATILE = {"seconds", "seconds_left", "python", "torch", "version", "devices", "methods"}
BUNDLED_SINCE = {"body-ct"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantoms, whose voxels are those that version 0.1 saw."""
    folder = tmp_path_factory.mktemp("inputs")
    assert make_inputs().write_inputs(folder) == expected()["voxels_sha256"]
    return folder


def test_the_model_card_is_read() -> None:
    card = read_card(FOLDER / "model")
    assert card.identity == expected()["model"]
    assert card.body_region == "phantom"
    assert card.fine is not None
    assert (card.coarse.spacing_mm, card.coarse.range_mm) == (10.0, 500.0)
    assert (card.fine.spacing_mm, card.fine.range_mm) == (10.0, 150.0)


def test_the_template_is_shown_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["template", "show", str(FOLDER / "template.json")]) == 0
    assert capsys.readouterr().out.splitlines() == expected()["template_show"]


def without_digits(text: str) -> str:
    """A reason without its figures, which are rounded."""
    return re.sub(r"\d+", "#", text)


@pytest.mark.parametrize("search", ["fine", "coarse", "coarse3", "runs"])
def test_the_same_is_found(inputs: Path, search: str) -> None:
    recorded = expected()["searches"][search]
    locator = Locator(
        load_model(FOLDER / "model", torch.device("cpu")), Options(**recorded["options"])
    )
    template = Template.read(FOLDER / "template.json")
    results = locator.locate(locator.embed(read_volume(inputs / "query.nii.gz")), template)
    for result, row in zip(results, recorded["rows"], strict=True):
        compare(row_json(result), row, f"{search} {row['target']}")


def compare(answer: Any, recorded: Any, where: str) -> None:
    """Assert that two JSON values are equal, figures within the tolerance and reasons in words."""
    if isinstance(recorded, dict):
        assert set(answer) - (ADDED - set(recorded)) == set(recorded), where
        for key in set(recorded) - VOLATILE:
            compare(answer[key], recorded[key], f"{where} {key}")
    elif isinstance(recorded, list):
        assert len(answer) == len(recorded), where
        for number, (one, other) in enumerate(zip(answer, recorded, strict=True)):
            compare(one, other, f"{where} {number}")
    elif isinstance(recorded, float):
        limit = TOLERANCE_LATENT if "template" in where else TOLERANCE_MM
        assert answer == pytest.approx(recorded, abs=limit), where
    elif isinstance(recorded, str):
        assert without_digits(answer) == without_digits(recorded), where
    else:
        assert answer == recorded, where


def test_the_table_of_locate_is_the_same(inputs: Path, tmp_path: Path) -> None:
    template = ["--template", str(FOLDER / "template.json"), "--model", str(FOLDER / "model")]
    out = tmp_path / "out"
    options = ["--device", "cpu", "--out", str(out), str(inputs / "query.nii.gz")]
    assert main(["locate", *template, *options]) == 0
    lines = (out / "results.csv").read_text(encoding="utf-8").splitlines()
    for row, recorded in zip(csv.reader(lines), csv.reader(expected()["results_csv"]), strict=True):
        # What came since stands behind the columns that there were.
        assert len(row) == len(recorded) + 2
        for cell, text in zip(row, recorded, strict=False):
            if re.fullmatch(r"-?\d+\.\d+", text):
                assert float(cell) == pytest.approx(float(text), abs=TOLERANCE_CSV)
            else:
                assert without_digits(cell) == without_digits(text)


def recorded_session(work: Path) -> list[dict[str, Any]]:
    """The recorded lines between client and worker, with the folders of this run in them."""
    text = (FOLDER / "protocol.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()][1:]
    template = next(
        line["message"]["template"]
        for line in lines
        if line["to"] == "client"
        and line["message"].get("id") == 5
        and "template" in line["message"]
    )
    checkout = FOLDER.parents[2]
    places = {"{WORK}": work, "{COMPAT}": FOLDER, "{CHECKOUT}": checkout}
    session = json.dumps(lines).replace('"{TEMPLATE 5}"', json.dumps(template))
    for word, place in places.items():
        session = session.replace(word, place.as_posix())
    filled: list[dict[str, Any]] = json.loads(session)
    return filled


def without_progress(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events whose number is part of the protocol, without what depends on the machine.

    And without models that were bundled since.
    """
    events = [event for event in events if event["event"] != "progress"]
    no_such_gpu = [event for event in events if event["id"] == 14 and "message" in event]
    for event in no_such_gpu:
        event["message"] = "where there is another GPU, it is named here"
    for event in events:
        if "models" in event:
            event["models"] = [m for m in event["models"] if m["title"] not in BUNDLED_SINCE]
    return events


def test_the_worker_answers_as_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RPRLOC_MODELS", raising=False)
    script = make_inputs()
    script.write_inputs(tmp_path)
    (tmp_path / "rprloc-x1").mkdir()
    np.save(tmp_path / "mask.npy", (script.labels("reference") == 1).astype(np.uint8))
    np.save(tmp_path / "query.npy", script.hounsfield("query"))

    session = recorded_session(tmp_path)
    worker = Worker(tmp_path)
    try:
        while session:
            sent = session.pop(0)
            line = sent["line"] if "line" in sent else json.dumps(sent["message"])
            worker.write(line.encode() + b"\n")
            answers = []
            while session and session[0]["to"] == "client":
                answers.append(session.pop(0)["message"])
            method = sent.get("message", {}).get("method", "no JSON")
            events = worker.until(answers[-1]["id"], "result", "error")
            compare(without_progress(events), without_progress(answers), method)
    finally:
        worker.stop()
