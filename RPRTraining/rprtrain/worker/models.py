"""Worker methods that install, export and import models; they need PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rprloc.model.archive import ModelExistsError, export_model, import_model, install_model
from rprloc.model.card import read_card
from rprloc.worker.errors import WorkerError
from rprloc.worker.job import Job
from rprloc.worker.localization import card_json

from .paths import path_of


class ExistsError(WorkerError):
    """There is a model of that name already."""

    code = "exists"


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


def _replace(job: Job) -> bool:
    return job.params.get("replace") is True


def _installed(job: Job, act: Callable[[], Path]) -> dict[str, Any]:
    try:
        place = act()
    except ModelExistsError as error:
        raise ExistsError(str(error)) from error
    return {"folder": str(place), "card": card_json(read_card(place))}
