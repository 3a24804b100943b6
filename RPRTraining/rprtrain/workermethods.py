"""What the worker's plug-in does: scan, plan, train, find unfinished trainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rprloc.card import CARD_NAME, read_card
from rprloc.devices import resolve_device
from rprloc.models import find_model
from rprloc.modelstore import export_model, import_model, install_model
from rprloc.worker_errors import BadRequestError
from rprloc.worker_inputs import need
from rprloc.worker_jobs import Job
from rprloc.worker_locate import card_json

from .api import train_model
from .config import StageConfig
from .events import TrainingEvent
from .jobcontrol import JobControl
from .plan import make_plan
from .presets import FROM_MY_DATA, PRESETS, find_preset
from .request import TrainingRequest
from .runstate import RunNotes, find_runs, read_run
from .scan import ScanRow, scan_folder

TEXTS = {"name": "unnamed", "version": "1.0.0", "body_region": "not stated", "start_from": ""}


def train_scan(job: Job) -> dict[str, Any]:
    """Every volume of a folder with a verdict: one ``partial`` each, and all of them in the result."""
    folder = path_of(job, "folder")

    def progress(done: int, total: int, row: ScanRow) -> None:
        job.partial(row=row.to_json())
        job.progress("scan", f"{row.name}", done, total)

    def stop() -> bool:
        job.check()
        return job.take_action() == "stop"

    job.progress("scan", f"looking into {folder.name}")
    rows = scan_folder(folder, progress, stop)
    used = [row for row in rows if row.used]
    patients = len({row.group for row in used})
    return {"rows": [row.to_json() for row in rows], "used": len(used), "patients": patients}


def train_plan(job: Job) -> dict[str, Any]:
    """The presets, and the plan of one of them for the rows that are used."""
    rows, device = _rows(job), device_of(job)
    preset = find_preset(str(job.params.get("preset", "head-and-neck")), rows)
    minutes, steps = _length(job)
    measure = job.params.get("measure", True) is not False
    if measure:
        job.progress("measure", "timing a few steps")
    plan = make_plan(preset, rows, device, minutes=minutes, steps=steps, measure=measure)
    presets = [{"name": p.name, "title": p.title, "description": p.description} for p in PRESETS.values()]
    mine = {"name": FROM_MY_DATA, "title": "From my data", "description": "settings from the CTs of the folder"}
    return {"plan": plan, "presets": [*presets, mine]}


def train_start(job: Job) -> dict[str, Any]:
    """Train, or go on with what is in the folder; obeys pause, continue and stop."""
    request = _resumed(job) if job.params.get("resume") is True else _new_request(job)

    def tell(event: TrainingEvent) -> None:
        job.partial(**event.to_json())
        if event.kind == "note":
            job.log(event.message, "warning")
        if event.kind in ("reading", "step", "validation"):
            percent = round(100 * event.fraction)
            phase = "read" if event.kind == "reading" else "train"
            job.progress(phase, event.message, percent, 100, event.seconds_left)

    written = train_model(request, report=job.log, tell=tell, control=JobControl(job))
    card = card_json(read_card(request.out)) if (request.out / CARD_NAME).is_file() else None
    notes = read_run(request.out)
    state = "done" if notes is None else notes.state
    return {"folder": str(request.out), "written": str(written), "state": state, "card": card}


def train_find(job: Job) -> dict[str, Any]:
    """Trainings in a folder and its subfolders, the latest first."""
    return {"runs": [run_json(notes) for notes in find_runs(path_of(job, "folder"))]}


def model_install(job: Job) -> dict[str, Any]:
    """Copy a trained model into the user's model folder."""
    return _installed(install_model(path_of(job, "folder"), path_of(job, "into"), _overwrite(job)))


def model_export(job: Job) -> dict[str, Any]:
    """Write a model as one .zip."""
    model = need(job.params, "model", str, "the name or folder of a model")
    return {"file": str(export_model(find_model(model), path_of(job, "file"), _overwrite(job)))}


def model_import(job: Job) -> dict[str, Any]:
    """Install the model of an exported .zip."""
    return _installed(import_model(path_of(job, "file"), path_of(job, "into"), _overwrite(job)))


def _overwrite(job: Job) -> bool:
    return job.params.get("overwrite") is True


def _installed(place: Path) -> dict[str, Any]:
    return {"folder": str(place), "card": card_json(read_card(place))}


def run_json(notes: RunNotes) -> dict[str, Any]:
    """What a client is told of a training on disk."""
    request, keys = notes.request, ("name", "images", "stage", "minutes", "steps")
    sources = request.get("sources")
    return {
        "folder": str(notes.folder),
        "state": notes.state,
        "unfinished": notes.unfinished,
        "at_stage": notes.stage,
        "step": notes.step,
        "fraction": notes.fraction,
        "updated": notes.updated,
        "volumes": len(sources) if isinstance(sources, list) else None,
        "request": {key: request.get(key) for key in keys},
    }


def path_of(job: Job, name: str) -> Path:
    """The parameter as a path; raises BadRequestError."""
    text = need(job.params, name, str, "a path")
    if not text or "\0" in text:
        raise BadRequestError(f"{name!r} is not a path")
    return Path(text)


def device_of(job: Job) -> torch.device:
    """The parameter ``device``; raises BadRequestError or DeviceError."""
    name = job.params.get("device", "auto")
    if not isinstance(name, str):
        raise BadRequestError("'device' must be a text")
    return resolve_device(name)


def _rows(job: Job) -> list[ScanRow]:
    rows = need(job.params, "rows", list, "a list of rows of train.scan")
    return [ScanRow.from_json(row) for row in rows]


def _number(job: Job, name: str, kind: type) -> Any:
    """An optional number above 0; raises BadRequestError."""
    value = job.params.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9 or kind(value) != value:
        raise BadRequestError(f"{name!r} must be a number above 0")
    return kind(value)


def _length(job: Job) -> tuple[float | None, int | None]:
    return _number(job, "minutes", float), _number(job, "steps", int)


def _resumed(job: Job) -> TrainingRequest:
    folder = path_of(job, "folder")
    notes = read_run(folder)
    if notes is None:
        raise BadRequestError(f"{folder}: there is no training to go on with")
    minutes, steps = _length(job)
    request = notes.to_request(device_of(job))
    return replace(request, minutes=minutes or request.minutes, steps=steps or request.steps)


def _new_request(job: Job) -> TrainingRequest:
    rows = [row for row in _rows(job) if row.used]
    minutes, steps = _length(job)
    texts = {name: str(job.params.get(name) or usual) for name, usual in TEXTS.items()}
    sources = {key: str(job.params.get(f"data_{key}") or "not stated") for key in ("source", "licence")}
    stage = job.params.get("stage", "both")
    if stage not in ("coarse", "fine", "both"):
        raise BadRequestError("'stage' must be coarse, fine or both")
    seed = job.params.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise BadRequestError("'seed' must be a whole number")
    return TrainingRequest(
        images=path_of(job, "images"),
        out=path_of(job, "folder"),
        stage=stage,
        minutes=minutes,
        steps=steps,
        seed=seed,
        device=device_of(job),
        data=sources,
        command="RPRTraining",
        across=job.params.get("across") is True,
        stages=_stages(job, rows),
        sources=tuple(row.source for row in rows),
        batch=_number(job, "batch", int) or 1,
        name=texts["name"],
        version=texts["version"],
        body_region=texts["body_region"],
        start_from=texts["start_from"],
    )


def _stages(job: Job, rows: list[ScanRow]) -> dict[str, StageConfig]:
    """The settings of ``stages`` (as a plan has them), or those of a preset."""
    given = job.params.get("stages")
    if given is None:
        return dict(find_preset(str(job.params.get("preset", "head-and-neck")), rows).stages)
    try:
        stages = {str(name): StageConfig.from_json(settings) for name, settings in given.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadRequestError("'stages' must hold the settings of a plan") from error
    if set(stages) != {"coarse", "fine"} or any(stage.name != name for name, stage in stages.items()):
        raise BadRequestError("'stages' must hold coarse and fine")
    return stages
