"""One stage of a training: read the CTs, train, export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from rprloc.errors import InputError

from ..atlas.cross_patient import CrossPatientPairs
from ..config import StageConfig
from ..data.dataset import TrainingVolume, load_volumes, split_held_out
from ..data.sources import ImageSource, images_in
from ..optimization.control import retry_until_written
from ..optimization.events import TrainingEvent
from ..optimization.schedule import TrainingSchedule
from ..optimization.trainer import Trainer
from .export import export_stage, stage_facts, update_card
from .request import TrainingRequest
from .session import TrainingSession
from .warm_start import calibrate, load_folded, start_weights

ATLAS_NAME = "atlas.ckpt"


def checkpoint_path(folder: Path, stage: str) -> Path:
    """The checkpoint of a stage in a model folder."""
    return folder / f"{stage}.ckpt"


def train_stage(session: TrainingSession, stage: StageConfig) -> Path | None:
    """Train and export one stage.

    Returns:
        ``model.json``, or the checkpoint if the model has no coarse network yet; None if it was
        stopped before its first step.

    Raises:
        InputError: without usable CTs, or if nothing at all has been trained.
        OutputError: if something cannot be written, and nobody is there to make room.
    """
    request = session.request
    training, held_out = _read(session, stage)
    trainer = _trainer(session, stage, training, held_out)
    if request.resume and trainer.path.exists():
        trainer.resume()
        session.report(f"{stage.name}: resumed at step {trainer.history.steps}")
    elif request.start_from:
        _start_from_model(session, stage, trainer)

    if session.all_agree(session.control.stopped) and trainer.history.steps == 0:
        if stage.name == request.stage_names[0]:
            raise InputError("stopped before the first step: nothing has been trained")
        return None

    metrics = trainer.run().to_json()
    session.group.wait()
    if not session.group.leads:
        return trainer.path
    facts = {
        **stage_facts(request, stage, trainer.history, session.batch),
        "volumes": {"training": len(training), "held_out": len(held_out)},
        "metrics": metrics,
    }

    def write() -> Path:
        card = export_stage(trainer.kept, stage, request.out, facts)
        text = f"exported {request.out / card.file} ({trainer.history.steps} steps)"
        path = update_card(request, stage.name, card) or trainer.path
        session.report(f"{stage.name}: {text}")
        steps = trainer.history.steps
        session.on_event(TrainingEvent("exported", stage.name, steps, 1.0, text))
        return path

    return retry_until_written(
        write, session.control, lambda reason: session.pause(stage.name, reason)
    )


def _sources(request: TrainingRequest) -> Sequence[ImageSource]:
    return images_in(request.images) if request.sources is None else request.sources


def _read(
    session: TrainingSession, stage: StageConfig
) -> tuple[list[TrainingVolume], list[TrainingVolume]]:
    """The CTs to train on and those held out, at the stage's spacing."""
    request = session.request
    session.report(f"{stage.name}: reading {request.images} at {stage.spacing:g} mm")

    def progress(done: int, total: int) -> None:
        text = f"reading the CTs at {stage.spacing:g} mm: {done} of {total}"
        session.tell("reading", stage.name, text, round(done / max(1, total), 4))
        # Asked for its side effect: a cancelled job ends here, not after the last CT.
        session.control.requested_action()

    def left_out(text: str) -> None:
        session.report(text)
        session.tell("note", stage.name, text)

    volumes = load_volumes(_sources(request), stage.spacing, left_out, progress)
    training, held_out = split_held_out(volumes)
    text = f"{len(training)} CTs to train on, {len(held_out)} held out, on {request.device}"
    session.report(f"{stage.name}: {text}")
    session.tell("begin", stage.name, text)
    return training, held_out


def _trainer(
    session: TrainingSession,
    stage: StageConfig,
    training: list[TrainingVolume],
    held_out: list[TrainingVolume],
) -> Trainer:
    request = session.request
    pairs = None
    if request.across:
        pairs = CrossPatientPairs(
            request.out / ATLAS_NAME, stage, request.teacher, report=session.report
        )

    schedule = TrainingSchedule(
        steps=request.steps or stage.steps,
        minutes=request.stage_minutes,
        seed=request.seed,
        report=session.report,
        cross_patient=pairs,
        control=session.control,
        on_event=session.on_event,
        on_saved=lambda: session.record_progress(trainer),
        batch=session.batch,
        group=session.group,
    )
    path = checkpoint_path(request.out, stage.name)
    trainer = Trainer(stage, schedule, training, held_out, request.device, path)
    return trainer


def _start_from_model(session: TrainingSession, stage: StageConfig, trainer: Trainer) -> None:
    weights, card = start_weights(session.request.start_from, stage)

    def prepare(net: nn.Module) -> None:
        load_folded(net, weights)
        calibrate(net, trainer.training, stage)

    trainer.begin_with(prepare)
    session.report(f"{stage.name}: started from {card.name} {card.version}")
