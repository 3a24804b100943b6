"""Files beside the table: markups and pictures of one series, and the clinic's own formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, OutputError
from ..files import atomic_write_text, output_errors
from ..localization.result import Result, write_markups
from .request import SeriesTask

if TYPE_CHECKING:
    from .preparation import Prepared

#: Folder of one folder per series.
SERIES = "series"
PICTURE = "picture.png"


def write_series_output(
    task: SeriesTask, prepared: Prepared, results: Sequence[Result]
) -> tuple[str, ...]:
    """Write what is asked for beside the table; returns notes on what could not be.

    Raises OutputError.
    """
    top = task.out / SERIES
    folder = top / task.row.series_id
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if task.extras.markups:
        write_markups(top, results)
    if task.extras.pictures:
        from ..evaluation.picture import save_picture

        if prepared.volume is None:
            raise OutputError(f"{folder}: the CT is not there any more for a picture")
        save_picture(folder / PICTURE, prepared.volume, results, task.row.series_id)
    notes = _documents(task, prepared, results)
    atomic_write_text(_mark(task.out, task.row.series_id), json.dumps(_content(task)) + "\n")
    return notes


def is_written(task: SeriesTask) -> bool:
    """Tell whether all that a task asks for beside the table has been written."""
    try:
        text = _mark(task.out, task.row.series_id).read_text(encoding="utf-8")
        held: dict[str, list[str]] = json.loads(text)
        return all(set(wanted) <= set(held[name]) for name, wanted in _content(task).items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _mark(out: Path, series_id: str) -> Path:
    return out / SERIES / series_id / ".written.json"


def _content(task: SeriesTask) -> dict[str, list[str]]:
    return {"keys": task.keys, "files": task.extras.names}


def _documents(task: SeriesTask, prepared: Prepared, results: Sequence[Result]) -> tuple[str, ...]:
    """Write DICOM documents; a series that cannot have one keeps its answers, and a note."""
    wanted = task.extras
    if not (wanted.dicom_sr or wanted.rtstruct):
        return ()
    from ..dicom_output.source_series import read_source
    from ..dicom_output.writing import write_documents

    try:
        source = read_source(prepared.files.path, prepared.files.uid, prepared.geometry)
        write_documents(
            task.out / SERIES / task.row.series_id,
            source,
            results,
            dict(task.templates[0][1].identity),
            report=wanted.dicom_sr,
            structures=wanted.rtstruct,
        )
    except InputError as error:
        text = str(error).removeprefix(f"{prepared.files.path}: ")
        return (f"no DICOM document: {text}",)
    return ()
