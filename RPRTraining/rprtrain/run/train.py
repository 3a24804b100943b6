"""Training from CTs to a model folder: what ``rprloc train`` and the RPRTraining module call."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rprloc.errors import InputError, OutputError
from rprloc.model.card import CARD_NAME

from ..distributed import ProcessGroup
from ..optimization.control import Control
from ..optimization.events import OnEvent, TrainingEvent, ignore_events
from .export import stage_card_path
from .record import RunRecord, locked, read_run
from .request import TrainingRequest
from .session import TrainingSession
from .stage import checkpoint_path, train_stage
from .warm_start import start_weights

__all__ = ["TrainingRequest", "train_model"]


def train_model(
    request: TrainingRequest,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = print,
    on_event: OnEvent = ignore_events,
    control: Control | None = None,
) -> Path:
    """Train and export.

    Args:
        request: what to train, and where it goes.
        stop: asked before every step; True ends the stage early and still exports.
        report: gets lines for people.
        on_event: gets events for programs.
        control: instead of ``stop``, one that can pause too.

    Returns:
        The path of ``model.json``, or of the checkpoint if there is no coarse network yet.

    Raises:
        InputError: for a folder without usable CTs, or a checkpoint of other settings.
        ModelError: if the model to start from does not fit.
        OutputError: if the model cannot be written, or another training writes to its folder.
    """
    if not ProcessGroup().leads:
        return _train_stages(_silent_session(request, Control(stop)))

    control = control or Control(stop)
    _prepare(request)
    with locked(request.out):
        record = _new_record(request)
        record.write()
        session = TrainingSession(request, control, report, on_event, record)
        result = _train_stages(session)
        record.state = "stopped" if control.stopped else "done"
        record.write()
    on_event(TrainingEvent("finished", record.stage, record.step, record.fraction, str(result)))
    return result


def _silent_session(request: TrainingRequest, control: Control) -> TrainingSession:
    """The session of a process that does not lead: it trains along and says nothing."""
    record = RunRecord(request.out, {})
    return TrainingSession(request, control, lambda line: None, ignore_events, record)


def _train_stages(session: TrainingSession) -> Path:
    """Train the stages in order; those that another session finished are passed over."""
    request, finished = session.request, session.record.finished
    result = request.out / CARD_NAME

    for name in request.stage_names:
        before = name in finished and stage_card_path(request.out, name).exists()
        if session.all_agree(before):
            session.report(f"{name}: finished before")
            continue
        written = train_stage(session, request.stages[name])
        if written is None:
            break
        result = written
        if session.all_agree(session.control.stopped):
            break
        finished.append(name)
    return result


def _new_record(request: TrainingRequest) -> RunRecord:
    """A new record; on resuming the same request, with the stages that are complete already."""
    # Through JSON and back, so that it is as read from disk: lists for tuples.
    record = RunRecord(request.out, json.loads(json.dumps(request.to_json())))
    before = read_run(request.out) if request.resume else None
    if before is not None and before.state != "done" and _same_training(before, request):
        record.finished = before.finished
    return record


def _same_training(before: RunRecord, request: TrainingRequest) -> bool:
    """Whether a record asks for the same, settings that it does not know yet aside."""
    try:
        known = before.to_request(request.device).to_json()
    except InputError:
        return False
    return {**known, "command": ""} == {**request.to_json(), "command": ""}


def _prepare(request: TrainingRequest) -> None:
    """Make the folder, and refuse before any work what cannot be trained."""
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

    for name in request.stage_names:
        if request.start_from:
            start_weights(request.start_from, request.stages[name])
        if not request.resume and checkpoint_path(request.out, name).exists():
            raise OutputError(
                f"{request.out}: there is a {name} training already;"
                " --resume it or choose another folder"
            )
