"""From trained weights to a model folder: TorchScript files with their cards, ``model.json``."""

from __future__ import annotations

import copy
import datetime
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rprloc.errors import ModelError, OutputError
from rprloc.files import atomic_write_text
from rprloc.model.card import CARD_NAME, ModelCard, StageCard, read_card
from rprloc.model.finding import file_sha256, find_model, verify_files
from rprloc.model.pnet import fold_batch_norm
from rprloc.seal import sealed

from ..config import StageConfig
from ..optimization.schedule import History
from .request import TrainingRequest

STAGE_SUFFIX = ".stage.json"
CARD_POINTS = 40
# What a stage tells of the model that it was trained on from, beside that model's identity.
LINEAGE = ("started_from", "before", "steps", "command", "date")
NO_SHA256 = "0" * 64  # until the file is written


def export_stage(
    net: nn.Module, stage: StageConfig, folder: Path, facts: dict[str, Any]
) -> StageCard:
    """Fold the BatchNorm, script, and write ``<stage>.pt`` atomically.

    Args:
        net: a trained ``Pnet`` (left unchanged).
        stage: its settings.
        folder: of the model.
        facts: what the card tells of the training; embedded in the file too, as ``card.json``.

    Returns:
        The card of the file.

    Raises:
        OutputError: if the file cannot be written.
    """
    folded = fold_batch_norm(copy.deepcopy(net).cpu().eval())
    script = torch.jit.script(folded)
    name = f"{stage.name}.pt"
    path, temporary = folder / name, folder / f"{stage.name}.tmp"
    card = StageCard(name, NO_SHA256, stage.spacing, stage.range_mm, stage.net, facts)
    embedded = {k: v for k, v in card.to_json().items() if k != "sha256"}

    try:
        script.save(str(temporary), _extra_files={"card.json": json.dumps(embedded)})
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: the model could not be written ({error})") from error
    return replace(card, sha256=file_sha256(path))


def stage_facts(
    request: TrainingRequest, stage: StageConfig, history: History, batch: int
) -> dict[str, Any]:
    """What the card tells of a stage's training."""
    facts = {
        "steps": history.steps,
        "training_seconds": round(history.seconds),
        "stopped_early": history.stopped_early,
        "seed": request.seed,
        "command": request.command,
        "machine": describe_machine(request.device),
        "date": datetime.date.today().isoformat(),
        "batch": batch,
        "curve": _thinned(history.curve),
        "settings": stage.to_json(),
    }
    if request.start_from:
        facts |= _lineage(read_card(find_model(request.start_from)), stage.name)
    if history.notes:
        facts["notes"] = history.notes
    return facts


def _lineage(card: ModelCard, stage: str) -> dict[str, Any]:
    """Which model a stage was trained on from, and what that one came from in its turn."""
    lineage: dict[str, Any] = {"started_from": card.identity}
    known = card.coarse if stage == "coarse" else card.fine
    if known is not None and "started_from" in known.facts:
        lineage["before"] = {name: known.facts[name] for name in LINEAGE if name in known.facts}
    return lineage


def _thinned(curve: Sequence[dict[str, Any]], points: int = CARD_POINTS) -> list[dict[str, Any]]:
    """First, last and evenly spread entries of the curve, of both kinds."""
    chosen: list[dict[str, Any]] = []
    for is_validation in (True, False):
        entries = [e for e in curve if ("validation" in e) is is_validation]
        every = max(1, len(entries) // points)
        last = len(entries) - 1
        chosen += [e for n, e in enumerate(entries) if n % every == 0 or n == last]
    return sorted(chosen, key=lambda e: int(e["step"]))


def stage_card_path(folder: Path, stage: str) -> Path:
    """Where the card of a stage waits for the other stage."""
    return folder / f"{stage}{STAGE_SUFFIX}"


def update_card(request: TrainingRequest, stage: str, card: StageCard) -> Path | None:
    """Write the stage's card, and ``model.json`` once there is a coarse network.

    The order of the stages does not matter.

    Returns:
        The path of ``model.json``; None without a coarse network.

    Raises:
        ModelError: if the other stage's card or file is damaged.
        OutputError: if something cannot be written.
    """
    write_json(stage_card_path(request.out, stage), card.to_json())
    coarse, fine = _stage_card(request.out, "coarse"), _stage_card(request.out, "fine")
    if coarse is None:
        return None
    training = {**request.data, "images": request.images.name}
    model = ModelCard(request.name, request.version, request.body_region, coarse, fine, training)
    verify_files(request.out, model)
    return write_json(request.out / CARD_NAME, sealed(model.to_json()))


def _stage_card(folder: Path, stage: str) -> StageCard | None:
    path = stage_card_path(folder, stage)
    if not path.exists():
        return None
    try:
        return StageCard.from_json(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged ({error}); train the {stage} stage again") from error


def write_json(path: Path, content: dict[str, Any]) -> Path:
    """Write a JSON object atomically; raises OutputError if that fails."""
    atomic_write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor or GPU, threads and PyTorch version; no host or user names."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": device.type,
        "processor": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The processor's name: on Linux, ``platform`` does not know it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        return platform.machine()
    return platform.processor() or platform.machine()
