"""Write the documents of one series."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError, one_line
from ..files import atomic_write_bytes, output_errors
from ..localization.result import Result
from .report import report_of
from .source_series import SourceSeries
from .structure_set import structure_set_of

SR_NAME, RTSTRUCT_NAME = "results.sr.dcm", "results.rtstruct.dcm"


def write_documents(
    folder: Path,
    source: SourceSeries,
    results: Sequence[Result],
    model: dict[str, str],
    *,
    report: bool,
    structures: bool,
) -> list[Path]:
    """Write the report and the structure set that are asked for; returns their files.

    Raises InputError if the headers of the series cannot carry one, and OutputError.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    try:
        if report:
            written.append(_saved(folder / SR_NAME, report_of(source, results, model)))
        if structures:
            written.append(_saved(folder / RTSTRUCT_NAME, structure_set_of(source, results)))
    except (InputError, OutputError):
        raise
    # highdicom and pydicom raise whatever the first value that does not fit leads to.
    except Exception as error:
        raise InputError(
            f"{source.path}: no DICOM document can be made of its headers ({one_line(error)})"
        ) from error
    return written


def _saved(path: Path, data: Any) -> Path:
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    atomic_write_bytes(path, stream.getvalue())
    return path
