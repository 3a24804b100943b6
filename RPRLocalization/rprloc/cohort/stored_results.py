"""Answers that are finished, as results again: files beside the table are made without a search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..geometry import Geometry
from ..image.volume import read_volume
from ..localization.result import Result
from .index_rows import IndexRow
from .parts import parts_of_series, read_part
from .preparation import Prepared
from .request import SeriesTask
from .series_files import find_series


def stored_results(out: Path, series_id: str, keys: Sequence[str]) -> list[Result]:
    """Return the results of a series with these content keys, as their parts hold them.

    Raises OutputError for a damaged part.
    """
    wanted, found = set(keys), []
    for path, held in parts_of_series(out, series_id):
        use = wanted.intersection(held)
        wanted -= use
        found += [row for row in read_part(path).to_pylist() if row["key"] in use]
    return [_result(row) for row in found]


def _result(row: dict[str, Any]) -> Result:
    return Result(
        query=row["series_id"],
        target=row["target"],
        kind=row["kind"],
        status=row["status"],
        reason=row["reason"],
        center=_three(row, "cx", "cy", "cz"),
        size=_three(row, "sx", "sy", "sz"),
        spread_mm=row["spread_mm"],
        cycle_mm=row["cycle_mm"],
        similarity=row["similarity"],
        radius90_mm=row["radius90_mm"],
        model=row["model"],
    )


def _three(row: dict[str, Any], *names: str) -> Any:
    values = [row[name] for name in names]
    return None if values[0] is None else np.array(values, dtype=np.float64)


def source_of(task: SeriesTask) -> Prepared:
    """Return what files beside the table need of a CT: its place, and its voxels for pictures.

    Raises InputError.
    """
    files = find_series(task.root, task.row)
    volume = read_volume(files.path, files.uid) if task.extras.pictures else None
    geometry = _geometry(task.row) if volume is None else volume.geometry
    return Prepared(files, task.row.series_id, geometry, (), {}, {}, volume)


def _geometry(row: IndexRow) -> Geometry:
    if row.size is None or row.spacing is None or row.origin is None or row.direction is None:
        raise InputError(f"{row.path}: the index does not tell its lattice: make it again")
    direction = np.array(row.direction).reshape(3, 3)
    return Geometry(row.size, np.array(row.spacing), np.array(row.origin), direction)
