"""Files beside the table: markups and pictures of one series, and the clinic's own formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import OutputError
from ..files import output_errors
from ..localization.result import Result, write_markups
from .request import SeriesTask

if TYPE_CHECKING:
    from .preparation import Prepared

#: Folder of one folder per series.
SERIES = "series"
PICTURE = "picture.png"


def write_series_output(task: SeriesTask, prepared: Prepared, results: Sequence[Result]) -> None:
    """Write what is asked for beside the table. Raises OutputError, and InputError."""
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
