"""Training from a folder of CTs to a model folder: what ``rprloc train`` and the RPRTraining module call."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from rprloc.errors import InputError, ModelError, OutputError
from rprloc.model.card import CARD_NAME, ModelCard, StageCard, read_card
from rprloc.model.loading import find_model, verify_files

from ..atlas.cross_patient import CrossPatientPairs
from ..config import StageConfig
from ..data.dataset import TrainingVolume, load_volumes, split_held_out
from ..data.sources import ImageSource, images_in
from ..distributed import ProcessGroup
from ..optimization.control import Control, retry_until_written
from ..optimization.events import Tell, TrainingEvent, ignore_events
from ..optimization.trainer import Trainer, TrainingSchedule
from .export import describe_machine, export_stage, write_json
from .record import RunRecord, locked, read_run
from .request import TrainingRequest
from .warm_start import calibrate, load_folded, start_weights

__all__ = ["TrainingRequest", "train_model"]

ATLAS_NAME = "atlas.ckpt"
STAGE_SUFFIX = ".stage.json"


@dataclass
class Run:
    """A training while it runs: the request, whom to tell, and its notes on disk."""

    request: TrainingRequest
    control: Control
    report: Callable[[str], None]
    tell: Tell
    notes: RunRecord
    team: ProcessGroup = field(default_factory=ProcessGroup)

    def all_agree(self, value: bool) -> bool:
        """What the leader of the team found, in every process."""
        return self.team.share(float(value), self.request.device) > 0

    def note_progress(self, trainer: Trainer) -> None:
        """Write how far it is, after a checkpoint."""
        self.notes.stage, self.notes.step = trainer.stage.name, trainer.history.steps
        self.notes.fraction = round(trainer.progress(), 4)
        self.notes.write()

    def pause(self, stage: str, reason: str) -> None:
        """Tell that something must be done before the training can go on."""
        self.report(reason)
        self.tell(TrainingEvent("paused", stage, message=reason))


def train_model(
    request: TrainingRequest,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = print,
    tell: Tell = ignore_events,
    control: Control | None = None,
) -> Path:
    """Train and export; returns the path of ``model.json``, or of the checkpoint if there is no coarse network yet.

    ``stop`` is asked before every step; True ends the stage early and still exports. ``control``
    instead of it can pause too. ``report`` gets lines for people, ``tell`` events for programs.
    Raises InputError for a folder without usable CTs or a checkpoint of other settings, OutputError
    if the model cannot be written.
    """
    if not ProcessGroup().leads:
        silent = Run(
            request, Control(stop), lambda line: None, ignore_events, RunRecord(request.out, {})
        )
        return _train_stages(silent)
    _prepare(request)
    with locked(request.out):
        control = control or Control(stop)
        notes = _notes(request)
        notes.write()
        run = Run(request, control, report, tell, notes)
        result = _train_stages(run)
        notes.state = "stopped" if control.stopped else "done"
        notes.write()
    tell(TrainingEvent("finished", notes.stage, notes.step, notes.fraction, str(result)))
    return result


def _train_stages(run: Run) -> Path:
    request = run.request
    result = request.out / CARD_NAME
    for name in request.stage_names:
        before = name in run.notes.finished and (request.out / f"{name}{STAGE_SUFFIX}").exists()
        if run.all_agree(before):
            run.report(f"{name}: finished before")
            continue
        written = _train_stage(run, request.stages[name])
        if written is None:
            break
        result = written
        if run.all_agree(run.control.stopped):
            break
        run.notes.finished.append(name)
    return result


def _notes(request: TrainingRequest) -> RunRecord:
    """New notes; on resuming the same request, with the stages that are complete already."""
    notes = RunRecord(request.out, json.loads(json.dumps(request.to_json())))
    before = read_run(request.out) if request.resume else None
    if before is not None and before.state != "done":
        same = {**before.request, "device": "", "command": ""} == {
            **notes.request,
            "device": "",
            "command": "",
        }
        notes.finished = before.finished if same else []
    return notes


def _prepare(request: TrainingRequest) -> None:
    if request.minutes is not None and not request.minutes > 0:
        raise InputError(f"--minutes {request.minutes}: must be above 0")
    if request.steps is not None and request.steps < 1:
        raise InputError(f"--steps {request.steps}: must be at least 1")
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{request.out}: the model folder cannot be made ({error.strerror})"
        ) from error
    for name in request.stage_names if request.start_from else ():
        start_weights(request.start_from, request.stages[name])
    for name in request.stage_names:
        if not request.resume and (request.out / f"{name}.ckpt").exists():
            raise OutputError(
                f"{request.out}: there is a {name} training already; --resume it or choose another folder"
            )


def _sources(request: TrainingRequest) -> Sequence[ImageSource]:
    return images_in(request.images) if request.sources is None else request.sources


def _read(run: Run, stage: StageConfig) -> tuple[list[TrainingVolume], list[TrainingVolume]]:
    request = run.request
    run.report(f"{stage.name}: reading {request.images} at {stage.spacing:g} mm")

    def progress(done: int, total: int) -> None:
        text = f"reading the CTs at {stage.spacing:g} mm: {done} of {total}"
        run.tell(
            TrainingEvent(
                "reading", stage.name, fraction=round(done / max(1, total), 4), message=text
            )
        )
        run.control.requested_action()

    def left_out(text: str) -> None:
        run.report(text)
        run.tell(TrainingEvent("note", stage.name, message=text))

    training, held_out = split_held_out(
        load_volumes(_sources(request), stage.spacing, left_out, progress)
    )
    text = f"{len(training)} CTs to train on, {len(held_out)} held out, on {request.device}"
    run.report(f"{stage.name}: {text}")
    run.tell(TrainingEvent("begin", stage.name, message=text))
    return training, held_out


def _train_stage(run: Run, stage: StageConfig) -> Path | None:
    """Train and export one stage; None if it was stopped before its first step."""
    request = run.request
    training, held_out = _read(run, stage)
    trainer = _trainer(run, stage, training, held_out)
    if request.resume and trainer.path.exists():
        trainer.resume()
        run.report(f"{stage.name}: resumed at step {trainer.history.steps}")
    elif request.start_from:
        _start_from(run, stage, trainer)
    if run.all_agree(run.control.stopped) and trainer.history.steps == 0:
        if stage.name == request.stage_names[0]:
            raise InputError("stopped before the first step: nothing has been trained")
        return None
    metrics = trainer.run().to_json()
    run.team.wait()
    if not run.team.leads:
        return trainer.path
    facts = {
        **_facts(request, stage, trainer),
        "volumes": {"training": len(training), "held_out": len(held_out)},
        "metrics": metrics,
    }

    def write() -> Path:
        card = export_stage(trainer.kept, stage, request.out, facts)
        text = f"exported {request.out / card.file} ({trainer.history.steps} steps)"
        path = _update_card(request, stage.name, card, trainer.path)
        run.report(f"{stage.name}: {text}")
        run.tell(TrainingEvent("exported", stage.name, trainer.history.steps, 1.0, text))
        return path

    return retry_until_written(write, run.control, lambda reason: run.pause(stage.name, reason))


def _start_from(run: Run, stage: StageConfig, trainer: Trainer) -> None:
    weights, card = start_weights(run.request.start_from, stage)

    def prepare(net: nn.Module) -> None:
        load_folded(net, weights)
        calibrate(net, trainer.training, stage)

    trainer.begin_with(prepare)
    run.report(f"{stage.name}: started from {card.name} {card.version}")


def _trainer(
    run: Run, stage: StageConfig, training: list[TrainingVolume], held_out: list[TrainingVolume]
) -> Trainer:
    request = run.request
    across = (
        CrossPatientPairs(request.out / ATLAS_NAME, stage, report=run.report)
        if request.across
        else None
    )
    plan = TrainingSchedule(
        steps=request.steps or stage.steps,
        minutes=request.stage_minutes,
        seed=request.seed,
        report=run.report,
        across=across,
        control=run.control,
        tell=run.tell,
        saved=lambda: run.note_progress(trainer),
        batch=_batch(request, run.team),
    )
    trainer = Trainer(
        stage, plan, training, held_out, request.device, request.out / f"{stage.name}.ckpt"
    )
    return trainer


def _batch(request: TrainingRequest, team: ProcessGroup) -> int:
    """Volumes per step: one per process unless the request asks for more."""
    batch = max(request.batch, team.size)
    if batch % team.size:
        raise InputError(
            f"--batch {batch} cannot be shared by {team.size} processes: choose a multiple"
        )
    return batch


def _facts(request: TrainingRequest, stage: StageConfig, trainer: Trainer) -> dict[str, Any]:
    facts = {
        "steps": trainer.history.steps,
        "training_seconds": round(trainer.history.seconds),
        "stopped_early": trainer.history.stopped_early,
        "seed": request.seed,
        "command": request.command,
        "machine": describe_machine(request.device),
        "date": datetime.date.today().isoformat(),
        "batch": _batch(request, trainer.team),
        "curve": _thinned(trainer.history.curve),
        "settings": stage.to_json(),
    }
    if request.start_from:
        facts["started_from"] = read_card(find_model(request.start_from)).identity
    return facts | ({"notes": trainer.history.notes} if trainer.history.notes else {})


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
