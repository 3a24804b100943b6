"""A training that version 0.1 began is found, and gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from support.version_0_1 import FOLDER, make_inputs

from rprloc.model.card import read_card
from rprtrain.run.record import find_runs
from rprtrain.run.train import train_model

# The recorded training had phantoms of these sizes.
SCALES = (0.9, 0.95, 1.0, 1.05, 1.1)


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """The folder of the training, which knows where its phantoms are."""
    images, script = tmp_path / "phantoms", make_inputs()
    images.mkdir()
    for number, scale in enumerate(SCALES):
        name = f"p{number}"
        shift = (2 * number, -number, 3 * number)
        script.VOLUMES[name] = (scale, shift, 10 + number)
        script.write_image(images / f"{name}.nii.gz", script.hounsfield(name), name)

    folder = tmp_path / "runs" / "interrupted"
    shutil.copytree(FOLDER / "training", folder)
    record = (folder / "run.json").read_text(encoding="utf-8")
    # As JSON has a path: the separators of Windows are escaped.
    place = json.dumps(str(images))[1:-1]
    (folder / "run.json").write_text(record.replace("{IMAGES}", place), encoding="utf-8")
    return folder


def test_a_training_is_found_and_gone_on_with(training: Path) -> None:
    (record,) = find_runs(training.parent)
    assert (record.stage, record.step, record.state) == ("coarse", 34, "stopped")
    lines: list[str] = []
    train_model(record.to_request(torch.device("cpu")), report=lines.append)
    assert any("34" in line for line in lines), lines
    card = read_card(training)
    assert (card.name, card.coarse.facts["steps"]) == ("interrupted", 60)
