"""Worker methods that do without PyTorch: scan a folder, find trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rprloc.worker.errors import BadRequestError
from rprloc.worker.job import Job

from ..data.scan import ScanRow, scan_folder
from ..run.record import RunRecord, find_runs

CARD_NAME = "model.json"  # as rprloc.model.card has it, which needs torch


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
    runs = {
        notes.folder.resolve(): notes for folder in folders for notes in find_runs(Path(folder))
    }
    return {
        "runs": [run_json(n) for n in sorted(runs.values(), key=lambda n: n.updated, reverse=True)]
    }


def run_json(notes: RunRecord) -> dict[str, Any]:
    """What a client is told of a training on disk."""
    request, sources = notes.request, notes.request.get("sources")
    return {
        "folder": str(notes.folder),
        **{key: request.get(key) for key in ("name", "body_region", "images", "minutes")},
        **{
            key: getattr(notes, key)
            for key in ("state", "unfinished", "stage", "step", "fraction", "updated")
        },
        "volumes": len(sources) if isinstance(sources, list) else None,
        "model": str(notes.folder) if (notes.folder / CARD_NAME).is_file() else "",
    }


def path_of(job: Job, name: str) -> Path:
    """The parameter as a path; raises BadRequestError."""
    text = job.params.get(name)
    if not isinstance(text, str) or not text or "\0" in text:
        raise BadRequestError(f"{name!r} is missing or is not a path")
    return Path(text)
