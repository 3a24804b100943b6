"""Worker methods that do without PyTorch: scan a folder, find trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rprloc.model.card import CARD_NAME
from rprloc.worker.errors import BadRequestError
from rprloc.worker.job import Job, Method

from ..data.scan import ScanRow, scan_folder
from ..run.record import RunRecord, find_runs
from .paths import path_of


def train_scan(job: Job) -> dict[str, Any]:
    """Every volume of a folder with a verdict: one ``partial`` each."""
    folder = path_of(job, "folder")

    def progress(done: int, total: int, row: ScanRow) -> None:
        job.partial(row=row.to_json())
        job.progress("scan", row.name, done, total)

    def stop() -> bool:
        job.check()
        return job.take_action() == "stop"

    job.progress("scan", f"looking into {folder.name}")
    rows = scan_folder(folder, progress, stop)
    used = [row for row in rows if row.used]
    patients = len({row.group for row in used})
    return {"used": len(used), "left_out": len(rows) - len(used), "patients": patients}


def train_find(job: Job) -> dict[str, Any]:
    """Trainings in folders and their subfolders, the latest first."""
    folders = job.params.get("folders")
    if not isinstance(folders, list) or not all(
        isinstance(f, str) and f and "\0" not in f for f in folders
    ):
        raise BadRequestError("'folders' must be a list of paths")
    # By folder: a folder that is asked for twice, or lies in another, is told of once.
    records = {
        record.folder.resolve(): record for folder in folders for record in find_runs(Path(folder))
    }
    latest_first = sorted(records.values(), key=lambda record: record.updated, reverse=True)
    return {"runs": [run_json(record) for record in latest_first]}


def run_json(record: RunRecord) -> dict[str, Any]:
    """What a client is told of a training on disk."""
    request, sources = record.request, record.request.get("sources")
    return {
        "folder": str(record.folder),
        **{key: request.get(key) for key in ("name", "body_region", "images", "minutes")},
        "state": record.state,
        "unfinished": record.unfinished,
        "stage": record.stage,
        "step": record.step,
        "fraction": record.fraction,
        "updated": record.updated,
        "volumes": len(sources) if isinstance(sources, list) else None,
        "model": str(record.folder) if (record.folder / CARD_NAME).is_file() else "",
    }


METHODS: dict[str, Method] = {"train.scan": train_scan, "train.find": train_find}
