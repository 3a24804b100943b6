"""Worker methods that plan, train and check; they need PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rprloc.errors import ModelError, OutputError
from rprloc.model.card import CARD_NAME, read_card
from rprloc.model.loading import load_model
from rprloc.worker.job import Job, Level, Method
from rprloc.worker.localization import card_json

from ..check.annotated import check_targets, unseen_sources
from ..check.picture import write_check_picture
from ..check.self_check import check_model
from ..optimization.events import TrainingEvent
from ..run.estimate import estimate_run
from ..run.presets import Preset, find_preset
from ..run.record import read_run
from ..run.train import train_model
from ..run.warm_start import start_weights
from .job_control import JobControl
from .models import model_export, model_import, model_install
from .parameters import device_of, length_of, new_request, preset_of, resumed_request, rows_of
from .paths import path_of


def train_plan(job: Job) -> dict[str, Any]:
    """What a training of these rows would be."""
    rows, device = rows_of(job), device_of(job)
    used = [row for row in rows if row.used]
    minutes, steps = length_of(job)
    # Without any row there is nothing to derive a preset from; the plan then says what is missing.
    preset = preset_of(job, used) if used else find_preset("head-and-neck")
    measure = job.params.get("measure", True) is not False
    plan = estimate_run(preset, rows, device, minutes=minutes, steps=steps, measure=measure)
    start = job.params.get("start_from")
    if isinstance(start, str) and start:
        _judge_start(plan, preset, start)
    return plan


def _judge_start(plan: dict[str, Any], preset: Preset, start: str) -> None:
    """Add to a plan why it cannot start from a model, or else how that differs from it."""
    for stage in preset.stages.values():
        try:
            card = start_weights(start, stage)[1]
        except ModelError as error:
            plan["problem"] = plan["problem"] or str(error)
            return
        trained = card.coarse if stage.name == "coarse" or card.fine is None else card.fine
        if (trained.spacing_mm, trained.range_mm) != (stage.spacing, stage.range_mm):
            plan["notes"].append(
                f"the {stage.name} network of {card.name} was trained with voxels of "
                f"{trained.spacing_mm:g} mm and r = {trained.range_mm:g} mm: "
                "starting from it helps less with other numbers"
            )


def train_start(job: Job) -> dict[str, Any]:
    """Train, or go on with what is in a folder; obeys pause, resume and stop."""
    request = resumed_request(job) if job.params.get("resume") else new_request(job)
    names, log, last_step = request.stage_names, TrainingLog(job), 0

    def on_event(event: TrainingEvent) -> None:
        nonlocal last_step
        last_step = event.step
        log.on_event(event)
        job.partial(progress={**event.to_json(), **overall(event, names)})

    try:
        train_model(request, report=log.report, on_event=on_event, control=JobControl(job))
    finally:
        log.flush()

    record = read_run(request.out)
    answer = {
        "folder": str(request.out),
        "state": "done" if record is None else record.state,
        "steps": last_step,
    }
    if not (request.out / CARD_NAME).is_file():
        return {**answer, "model": "", "card": None}
    return {**answer, "model": str(request.out), "card": card_json(read_card(request.out))}


class TrainingLog:
    """The lines of a training as ``log`` events, each once.

    A line waits for the event that may follow it: if that repeats the line as a note or as the
    reason of a pause, the line is a warning.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._waiting = ""

    def report(self, line: str) -> None:
        """Take a line."""
        self.flush()
        self._waiting = line

    def on_event(self, event: TrainingEvent) -> None:
        """Send the line that waits, now that it is clear what it is."""
        warns = (
            event.kind in ("note", "paused")
            and event.message != ""
            and event.message in self._waiting
        )
        self.flush("warning" if warns else "info")

    def flush(self, level: Level = "info") -> None:
        """Send the line that waits."""
        if self._waiting:
            self._job.log(self._waiting, level)
        self._waiting = ""


def overall(event: TrainingEvent, names: list[str]) -> dict[str, float | None]:
    """Fraction of the whole training, and seconds left of it, if every stage takes as long."""
    if event.kind == "finished":
        return {"total_fraction": 1.0, "total_seconds_left": 0.0}
    stage = names.index(event.stage) if event.stage in names else 0
    done = 0.0 if event.kind in ("reading", "begin") else event.fraction
    left = event.seconds_left
    if left is not None and done < 1.0:
        left += (len(names) - stage - 1) * left / (1.0 - done)
    total = round((stage + done) / len(names), 4)
    return {"total_fraction": total, "total_seconds_left": None if left is None else round(left, 1)}


def train_check(job: Job) -> dict[str, Any]:
    """Judge a model on CTs that its training did not see, or on the rows given."""
    progress = _check_progress(job)
    model = load_model(path_of(job, "model"), device_of(job))
    unseen: dict[str, bool] = {}
    if job.params.get("run"):
        sources, unseen["held_out"] = unseen_sources(path_of(job, "run"))
    else:
        sources = [row.source for row in rows_of(job) if row.used]

    report = check_model(model, sources, progress)
    if job.params.get("targets"):
        report.rows += check_targets(model, sources, path_of(job, "targets"), progress)

    picture = ""
    if job.params.get("picture"):
        try:
            picture = str(write_check_picture(path_of(job, "picture"), report))
        except OutputError as error:
            job.log(str(error), "warning")
    return {**report.to_json(), **unseen, "picture": picture}


def _check_progress(job: Job) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, text: str) -> None:
        job.check()
        job.progress("check", text, done, total)

    return progress


METHODS: dict[str, Method] = {
    "train.plan": train_plan,
    "train.start": train_start,
    "train.check": train_check,
    "model.install": model_install,
    "model.export": model_export,
    "model.import": model_import,
}
