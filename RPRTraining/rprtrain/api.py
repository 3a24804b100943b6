"""Training from a folder of CTs to a model folder: what ``rprloc train`` and the RPRTraining module call."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from rprloc.card import CARD_NAME, ModelCard, StageCard
from rprloc.errors import InputError, ModelError, OutputError
from rprloc.models import verify_files

from .across import Across
from .config import STAGES, StageConfig
from .dataset import find_images, load_volumes, split_held_out
from .export import export_stage, write_json
from .machine import describe_machine
from .trainer import Plan, Trainer

StageChoice = Literal["coarse", "fine", "both"]
ATLAS_NAME = "atlas.ckpt"
STAGE_SUFFIX = ".stage.json"
UNKNOWN_SOURCE = {"source": "not stated", "licence": "not stated"}


@dataclass(frozen=True)
class TrainingRequest:
    """What to train.

    Attributes:
        images: folder of unannotated CTs. out: model folder to write.
        stage: which network; ``both`` trains the coarse one first.
        minutes, steps: length per stage (for ``both``, the minutes are shared); the stage's default steps if None.
        name, version, body_region, data: go into the card; ``data`` names the source and licence of the CTs.
        command: the command line, for the card.
        across: pairs across patients in the second half of each stage (``rprtrain.atlas``); takes longer.
        stages: settings by name.
    """

    images: Path
    out: Path
    stage: StageChoice = "both"
    minutes: float | None = None
    steps: int | None = None
    seed: int = 0
    resume: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    name: str = "unnamed"
    version: str = "1.0.0"
    body_region: str = "not stated"
    data: dict[str, str] = field(default_factory=lambda: dict(UNKNOWN_SOURCE))
    command: str = ""
    across: bool = False
    stages: dict[str, StageConfig] = field(default_factory=lambda: dict(STAGES))


def train_model(
    request: TrainingRequest, stop: Callable[[], bool] = lambda: False, report: Callable[[str], None] = print
) -> Path:
    """Train and export; returns the path of ``model.json``, or of the checkpoint if there is no coarse network yet.

    ``stop`` is asked before every step; True ends the stage early and still exports. Raises InputError for a folder
    without usable CTs or a checkpoint of other settings, OutputError if the model cannot be written.
    """
    names: list[str] = ["coarse", "fine"] if request.stage == "both" else [request.stage]
    _prepare(request, names)
    result = request.out
    for name in names:
        stage = request.stages[name]
        minutes = None if request.minutes is None else request.minutes / len(names)
        result = _train_stage(request, stage, minutes, stop, report)
        if stop():
            break
    return result


def _prepare(request: TrainingRequest, names: list[str]) -> None:
    if request.minutes is not None and not request.minutes > 0:
        raise InputError(f"--minutes {request.minutes}: must be above 0")
    if request.steps is not None and request.steps < 1:
        raise InputError(f"--steps {request.steps}: must be at least 1")
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{request.out}: the model folder cannot be made ({error.strerror})") from error
    for name in names:
        if not request.resume and (request.out / f"{name}.ckpt").exists():
            raise OutputError(
                f"{request.out}: there is a {name} training already; --resume it or choose another folder"
            )


def _train_stage(
    request: TrainingRequest,
    stage: StageConfig,
    minutes: float | None,
    stop: Callable[[], bool],
    report: Callable[[str], None],
) -> Path:
    report(f"{stage.name}: reading {request.images} at {stage.spacing:g} mm")
    training, held_out = split_held_out(load_volumes(find_images(request.images), stage.spacing, report))
    report(f"{stage.name}: {len(training)} CTs to train on, {len(held_out)} held out, on {request.device}")
    across = Across(request.out / ATLAS_NAME, stage, report=report) if request.across else None
    steps = request.steps or stage.steps
    plan = Plan(steps=steps, minutes=minutes, seed=request.seed, stop=stop, report=report, across=across)
    checkpoint = request.out / f"{stage.name}.ckpt"
    trainer = Trainer(stage, plan, training, held_out, request.device, checkpoint)
    if request.resume and checkpoint.exists():
        trainer.resume()
        report(f"{stage.name}: resumed at step {trainer.history.steps}")
    validation = trainer.run()
    facts = {
        "steps": trainer.history.steps,
        "training_seconds": round(trainer.history.seconds),
        "stopped_early": trainer.history.stopped_early,
        "seed": request.seed,
        "command": request.command,
        "machine": describe_machine(request.device),
        "date": datetime.date.today().isoformat(),
        "volumes": {"training": len(training), "held_out": len(held_out)},
        "metrics": validation.to_json(),
        "curve": _thinned(trainer.history.curve),
        "settings": stage.to_json(),
    }
    card = export_stage(trainer.average.net, stage, request.out, facts)
    report(f"{stage.name}: exported {request.out / card.file} ({trainer.history.steps} steps)")
    return _update_card(request, stage.name, card, checkpoint)


def _thinned(curve: list[dict[str, Any]], points: int = 40) -> list[dict[str, Any]]:
    """First, last and evenly spread entries of the curve, of both kinds."""
    kept: list[dict[str, Any]] = []
    for kind in (True, False):
        entries = [e for e in curve if ("validation" in e) is kind]
        every = max(1, len(entries) // points)
        kept += [e for n, e in enumerate(entries) if n % every == 0 or n == len(entries) - 1]
    return sorted(kept, key=lambda e: int(e["step"]))


def _update_card(request: TrainingRequest, name: str, stage: StageCard, checkpoint: Path) -> Path:
    """Note the stage's card, and write ``model.json`` once a coarse network is there; the order does not matter."""
    write_json(request.out / f"{name}{STAGE_SUFFIX}", stage.to_json())
    coarse, fine = _noted_stage(request.out, "coarse"), _noted_stage(request.out, "fine")
    if coarse is None:
        return checkpoint
    training = {**request.data, "images": request.images.name}
    card = ModelCard(request.name, request.version, request.body_region, coarse, fine, training)
    verify_files(request.out, card)
    return write_json(request.out / CARD_NAME, card.to_json())


def _noted_stage(folder: Path, name: str) -> StageCard | None:
    path = folder / f"{name}{STAGE_SUFFIX}"
    if not path.exists():
        return None
    try:
        return StageCard.from_json(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged ({error}); train the {name} stage again") from error
