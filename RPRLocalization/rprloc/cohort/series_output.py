"""Files beside the table: markups and pictures of one series, and the clinic's own formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InputError, OutputError
from ..files import output_errors
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
    return _documents(task, prepared, results)


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
