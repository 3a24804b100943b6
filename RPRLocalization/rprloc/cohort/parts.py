"""Results of a cohort on disk: one Parquet part per task, and at the end one table of all.

A part is written as a whole or not at all, and its name holds the content keys of its rows, so that
what is finished is known from the names alone.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError
from ..files import atomic_write_bytes, output_errors

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = "parts"
RESULTS_CSV, RESULTS_PARQUET = "results.csv", "results.parquet"
_SUFFIX = ".parquet"
#: Folders of parts: by the first digits of the series id, as no folder should hold a million files.
_FOLDER_DIGITS = 2
_TEXTS = ("key", "series_id", "path", "template", "model", "target", "kind", "status")
_NUMBERS = ("cx", "cy", "cz", "sx", "sy", "sz", "spread_mm", "cycle_mm", "similarity")
_OF_TASK = ("attempts", "read_s", "total_s", "cpu_s", "peak_mib")
#: Behind all others, so that readers of columns by number find the old ones; null in older parts.
_ADDED = ("radius90_mm",)


def schema() -> pa.Schema:
    """Return the columns of a part; positions and sizes in LPS mm."""
    import pyarrow as pa

    return pa.schema(
        [
            *((name, pa.string()) for name in _TEXTS),
            *((name, pa.float64()) for name in _NUMBERS),
            *((name, pa.string()) for name in ("reason", "cause")),
            ("attempts", pa.int32()),
            *((name, pa.float64()) for name in (*_OF_TASK[1:], *_ADDED)),
        ]
    )


def part_path(out: Path, series_id: str, keys: Sequence[str]) -> Path:
    """Return the file of the rows of a series with these content keys."""
    name = ".".join([series_id, *sorted(keys)]) + _SUFFIX
    return out / PARTS / series_id[:_FOLDER_DIGITS] / name


def write_part(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows of one task. Raises OutputError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema()), sink, compression="zstd")
    with output_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path, sink.getvalue().to_pybytes())


def parts(out: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield every part with its content keys, folder by folder."""
    top = out / PARTS
    if not top.is_dir():
        return
    for folder in sorted(path for path in top.iterdir() if path.is_dir()):
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            if name.endswith(_SUFFIX) and not name.startswith("."):
                yield folder / name, name.removesuffix(_SUFFIX).split(".")[1:]


def parts_of_series(out: Path, series_id: str) -> list[tuple[Path, list[str]]]:
    """Return the parts of one series with their content keys."""
    folder = part_path(out, series_id, []).parent
    names = sorted(folder.glob(f"{series_id}.*{_SUFFIX}"))
    return [(path, path.name.removesuffix(_SUFFIX).split(".")[1:]) for path in names]


def finished_keys(out: Path) -> set[str]:
    """Return the content keys of all answers that there are."""
    return {key for _, keys in parts(out) for key in keys}


def drop_crashed(out: Path) -> int:
    """Delete the parts of tasks that a crash, a hang or an error of the machine ended.

    Returns how many; refusals of the gate stay, as they would be the same again.
    """
    import pyarrow.parquet as pq

    count = 0
    for path, _ in parts(out):
        causes = set(pq.read_table(path, columns=["cause"])["cause"].to_pylist())
        if causes - {"", "refused"}:
            path.unlink(missing_ok=True)
            count += 1
    return count


def merge(out: Path, wanted: Collection[str]) -> Counter[str]:
    """Write results.parquet and results.csv of the rows with these keys, each once.

    Returns the number of rows by status.

    Both are written beside their place, folder by folder, and moved there as a whole. Raises
    OutputError; for a damaged part after it was deleted, so that the next run makes it again.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    temporary = [out / f".{name}.tmp" for name in (RESULTS_PARQUET, RESULTS_CSV)]
    statuses: Counter[str] = Counter()
    try:
        with (
            output_errors(out),
            pq.ParquetWriter(temporary[0], schema(), compression="zstd") as whole,
            pa.csv.CSVWriter(temporary[1], _csv_schema()) as lines,
        ):
            for table in _tables(out, set(wanted)):
                whole.write_table(table)
                lines.write_table(_for_csv(table))
                statuses.update(table["status"].to_pylist())
        for file, name in zip(temporary, (RESULTS_PARQUET, RESULTS_CSV), strict=True):
            os.replace(file, out / name)
    finally:
        for file in temporary:
            with suppress(OSError):
                file.unlink(missing_ok=True)
    return statuses


def _tables(out: Path, wanted: set[str]) -> Iterator[pa.Table]:
    """Yield the rows of every folder of parts; each key from one part only."""
    import pyarrow as pa
    import pyarrow.compute as pc

    seen: set[str] = set()
    folder: Path | None = None
    tables: list[pa.Table] = []
    for path, keys in parts(out):
        use = [key for key in keys if key in wanted and key not in seen]
        if not use:
            continue
        if folder not in (None, path.parent) and tables:
            yield pa.concat_tables(tables)
            tables = []
        folder = path.parent
        seen.update(use)
        table = read_part(path)
        tables.append(table.filter(pc.is_in(table["key"], pa.array(use))))
    if tables:
        yield pa.concat_tables(tables)


def read_part(path: Path) -> pa.Table:
    """Read one part. Raises OutputError for a damaged one, after it was deleted."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, schema=schema())
    except (pa.ArrowException, OSError) as error:
        with suppress(OSError):
            path.unlink()
        raise OutputError(
            f"{path}: the part is damaged, and was deleted: repeat the command"
        ) from error


def _csv_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([field for field in schema() if field.name not in ("key", *_OF_TASK)])


def _for_csv(table: pa.Table) -> pa.Table:
    """Round to two decimals, as ``results.csv`` of single CTs has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for field in _csv_schema():
        column = table[field.name]
        if pa.types.is_floating(field.type):
            # Adding 0 turns -0 into 0.
            column = pc.add(pc.round(column, 2), 0.0)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=_csv_schema())
