"""Parameters of the training's requests that need PyTorch; everything is checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from rprloc.errors import InputError
from rprloc.model.devices import resolve_device
from rprloc.worker.errors import BadRequestError
from rprloc.worker.job import Job
from rprloc.worker.parameters import require

from ..config import StageConfig
from ..data.scan import ScanRow
from ..run.presets import Preset, changed, find_preset
from ..run.record import read_run
from ..run.request import UNKNOWN_SOURCE, TrainingRequest
from .paths import path_of

TEXTS = {"name": "unnamed", "version": "1.0.0", "body_region": "not stated", "start_from": ""}
STAGES = ("coarse", "fine", "both")
MOST = 1e9


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


def _number(job: Job, name: str, kind: type) -> Any:
    """An optional number above 0; raises BadRequestError."""
    value = job.params.get(name)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 < value < MOST
        or kind(value) != value
    ):
        raise BadRequestError(f"{name!r} must be a number above 0")
    return kind(value)


def length_of(job: Job) -> tuple[float | None, int | None]:
    """Minutes and steps, each None if left out; raises BadRequestError."""
    return _number(job, "minutes", float), _number(job, "steps", int)


def preset_of(job: Job, rows: list[ScanRow]) -> Preset:
    """The preset with the client's changes; raises BadRequestError or InputError."""
    name = job.params.get("preset", "head-and-neck")
    if not isinstance(name, str):
        raise BadRequestError("'preset' must be a text")
    return changed(find_preset(name, rows), job.params.get("changes"))


def resumed_request(job: Job) -> TrainingRequest:
    """The request of the training in the folder ``resume``, perhaps with another length."""
    folder = path_of(job, "resume")
    record = read_run(folder)
    if record is None:
        raise InputError(f"{folder}: there is no training to go on with")
    minutes, steps = length_of(job)
    request = record.to_request(device_of(job))
    return replace(request, minutes=minutes or request.minutes, steps=steps or request.steps)


def new_request(job: Job) -> TrainingRequest:
    """The request of a new training; raises BadRequestError or InputError."""
    rows = [row for row in rows_of(job) if row.used]
    minutes, steps = length_of(job)
    texts = {name: str(job.params.get(name) or default) for name, default in TEXTS.items()}
    data = job.params.get("data") or {}
    if not isinstance(data, dict):
        raise BadRequestError("'data' must hold source and licence")
    stage, seed = job.params.get("stage", "both"), job.params.get("seed", 0)
    if stage not in STAGES:
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
        data={key: str(data.get(key) or default) for key, default in UNKNOWN_SOURCE.items()},
        command="RPRTraining",
        across=job.params.get("across") is True,
        stages=_stages(job, rows),
        sources=tuple(row.source for row in rows),
        batch=_number(job, "batch", int) or 1,
        start_from=texts["start_from"],
    )


def _stages(job: Job, rows: list[ScanRow]) -> dict[str, StageConfig]:
    """The settings of ``stages`` (as a plan has them), or those of a preset."""
    settings_of = job.params.get("stages")
    if settings_of is None:
        return dict(preset_of(job, rows).stages)
    try:
        stages = {
            str(name): StageConfig.from_json(settings) for name, settings in settings_of.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadRequestError("'stages' must hold the settings of a plan") from error
    if set(stages) != {"coarse", "fine"} or any(
        stage.name != name for name, stage in stages.items()
    ):
        raise BadRequestError("'stages' must hold coarse and fine")
    return stages
