"""Worker methods that need PyTorch: plan, train, install and exchange models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rprloc.errors import InputError, ModelError, OutputError
from rprloc.model.archive import ModelExistsError, export_model, import_model, install_model
from rprloc.model.card import CARD_NAME, read_card
from rprloc.model.devices import resolve_device
from rprloc.model.loading import load_model
from rprloc.worker.errors import BadRequestError, WorkerError
from rprloc.worker.job import Job, Level
from rprloc.worker.localization import card_json
from rprloc.worker.parameters import require

from ..check.annotated import check_targets, unseen_sources
from ..check.picture import write_check_picture
from ..check.self_check import check_model
from ..config import StageConfig
from ..data.scan import ScanRow
from ..optimization.events import TrainingEvent
from ..run.estimate import estimate_run
from ..run.presets import Preset, changed, find_preset
from ..run.record import read_run
from ..run.request import UNKNOWN_SOURCE, TrainingRequest
from ..run.train import train_model
from ..run.warm_start import start_weights
from .job_control import JobControl
from .scan import path_of

TEXTS = {"name": "unnamed", "version": "1.0.0", "body_region": "not stated", "start_from": ""}


class ExistsError(WorkerError):
    """There is a model of that name already."""

    code = "exists"


def train_plan(job: Job) -> dict[str, Any]:
    """What a training of these rows would be."""
    rows, device = rows_of(job), device_of(job)
    used = [row for row in rows if row.used]
    minutes, steps = _length(job)
    preset = _preset(job, used) if used else find_preset("head-and-neck")
    measure = job.params.get("measure", True) is not False
    plan = estimate_run(preset, rows, device, minutes=minutes, steps=steps, measure=measure)
    start = job.params.get("start_from")
    if isinstance(start, str) and start:
        _judge_start(plan, preset, start)
    return plan


def _judge_start(plan: dict[str, Any], preset: Preset, start: str) -> None:
    """Whether the training can start from a model, as ``problem``; where it differs, as ``notes``."""
    for stage in preset.stages.values():
        try:
            card = start_weights(start, stage)[1]
        except ModelError as error:
            plan["problem"] = plan["problem"] or str(error)
            return
        known = card.coarse if stage.name == "coarse" or card.fine is None else card.fine
        if (known.spacing_mm, known.range_mm) != (stage.spacing, stage.range_mm):
            plan["notes"].append(
                f"the {stage.name} network of {card.name} was trained with voxels of {known.spacing_mm:g} mm and"
                f" r = {known.range_mm:g} mm: starting from it helps less with other numbers"
            )


def train_start(job: Job) -> dict[str, Any]:
    """Train, or go on with what is in a folder; obeys pause, resume and stop."""
    request = _resumed(job) if job.params.get("resume") else _new_request(job)
    names, last, lines = request.stage_names, {"step": 0}, _Lines(job)

    def tell(event: TrainingEvent) -> None:
        last["step"] = event.step
        lines.told(event)
        job.partial(progress={**event.to_json(), **overall(event, names)})

    try:
        train_model(request, report=lines.report, on_event=tell, control=JobControl(job))
    finally:
        lines.flush()
    notes = read_run(request.out)
    answer = {
        "folder": str(request.out),
        "state": "done" if notes is None else notes.state,
        "steps": last["step"],
    }
    if not (request.out / CARD_NAME).is_file():
        return {**answer, "model": "", "card": None}
    return {**answer, "model": str(request.out), "card": card_json(read_card(request.out))}


class _Lines:
    """The lines of a training as ``log`` events, each once: a line that an event repeats as a note is a warning."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._waiting = ""

    def report(self, line: str) -> None:
        """Take a line."""
        self.flush()
        self._waiting = line

    def told(self, event: TrainingEvent) -> None:
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
    progress, model = _told(job), load_model(path_of(job, "model"), device_of(job))
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


def _told(job: Job) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, text: str) -> None:
        job.check()
        job.progress("check", text, done, total)

    return progress


def model_install(job: Job) -> dict[str, Any]:
    """Copy a trained model into the user's model folder."""
    return _installed(
        job, lambda: install_model(path_of(job, "folder"), path_of(job, "into"), _replace(job))
    )


def model_export(job: Job) -> dict[str, Any]:
    """Write a model as one .zip; the client has asked before it replaces a file."""
    path = export_model(path_of(job, "folder"), path_of(job, "path"), overwrite=True)
    return {"path": str(path), "bytes": path.stat().st_size}


def model_import(job: Job) -> dict[str, Any]:
    """Install the model of an exported .zip."""
    return _installed(
        job, lambda: import_model(path_of(job, "path"), path_of(job, "into"), _replace(job))
    )


def rows_of(job: Job) -> list[ScanRow]:
    """The parameter ``rows``; raises BadRequestError or InputError."""
    return [
        ScanRow.from_json(row)
        for row in require(job.params, "rows", list, "a list of rows of train.scan")
    ]


def device_of(job: Job) -> torch.device:
    """The parameter ``device``; raises BadRequestError or DeviceError."""
    name = job.params.get("device", "auto")
    if not isinstance(name, str):
        raise BadRequestError("'device' must be a text")
    return resolve_device(name)


def _replace(job: Job) -> bool:
    return job.params.get("replace") is True


def _installed(job: Job, act: Callable[[], Path]) -> dict[str, Any]:
    try:
        place = act()
    except ModelExistsError as error:
        raise ExistsError(str(error)) from error
    return {"folder": str(place), "card": card_json(read_card(place))}


def _number(job: Job, name: str, kind: type) -> Any:
    """An optional number above 0; raises BadRequestError."""
    value = job.params.get(name)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 < value < 1e9
        or kind(value) != value
    ):
        raise BadRequestError(f"{name!r} must be a number above 0")
    return kind(value)


def _length(job: Job) -> tuple[float | None, int | None]:
    return _number(job, "minutes", float), _number(job, "steps", int)


def _preset(job: Job, rows: list[ScanRow]) -> Preset:
    name = job.params.get("preset", "head-and-neck")
    if not isinstance(name, str):
        raise BadRequestError("'preset' must be a text")
    return changed(find_preset(name, rows), job.params.get("changes"))


def _resumed(job: Job) -> TrainingRequest:
    folder = path_of(job, "resume")
    notes = read_run(folder)
    if notes is None:
        raise InputError(f"{folder}: there is no training to go on with")
    minutes, steps = _length(job)
    request = notes.to_request(device_of(job))
    return replace(request, minutes=minutes or request.minutes, steps=steps or request.steps)


def _new_request(job: Job) -> TrainingRequest:
    rows = [row for row in rows_of(job) if row.used]
    minutes, steps = _length(job)
    texts = {name: str(job.params.get(name) or usual) for name, usual in TEXTS.items()}
    data = job.params.get("data") or {}
    if not isinstance(data, dict):
        raise BadRequestError("'data' must hold source and licence")
    stage, seed = job.params.get("stage", "both"), job.params.get("seed", 0)
    if stage not in ("coarse", "fine", "both"):
        raise BadRequestError("'stage' must be coarse, fine or both")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise BadRequestError("'seed' must be a whole number")
    return TrainingRequest(
        images=path_of(job, "images"),
        out=path_of(job, "out"),
        stage=stage,
        minutes=minutes,
        steps=steps,
        seed=seed,
        device=device_of(job),
        name=texts["name"],
        version=texts["version"],
        body_region=texts["body_region"],
        data={key: str(data.get(key) or usual) for key, usual in UNKNOWN_SOURCE.items()},
        command="RPRTraining",
        across=job.params.get("across") is True,
        stages=_stages(job, rows),
        sources=tuple(row.source for row in rows),
        batch=_number(job, "batch", int) or 1,
        start_from=texts["start_from"],
    )


def _stages(job: Job, rows: list[ScanRow]) -> dict[str, StageConfig]:
    """The settings of ``stages`` (as a plan has them), or those of a preset."""
    given = job.params.get("stages")
    if given is None:
        return dict(_preset(job, rows).stages)
    try:
        stages = {str(name): StageConfig.from_json(settings) for name, settings in given.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadRequestError("'stages' must hold the settings of a plan") from error
    if set(stages) != {"coarse", "fine"} or any(
        stage.name != name for name, stage in stages.items()
    ):
        raise BadRequestError("'stages' must hold coarse and fine")
    return stages
