"""A row of the index: one CT series, its lattice, and what the gate says of it.

Nothing of the patient is in it but, if asked for, pseudonyms; the path is needed to read the CT.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from ..errors import InputError, OutputError
from ..files import atomic_write_bytes
from ..geometry import Geometry

if TYPE_CHECKING:
    import pyarrow as pa

Verdict = Literal["readable", "refused"]
READABLE: Final = "readable"
REFUSED: Final = "refused"
#: Key of the folder that paths are relative to, in the file's metadata.
_ROOT = b"rprloc.root"
_VERSION, _VERSION_KEY = b"1", b"rprloc.index"
_ID_DIGITS = 16


@dataclass(frozen=True)
class IndexRow:
    """One CT series or CT file.

    Attributes:
        series_id: digest of the path and of the series UID, which itself is not kept.
        path: of the folder (DICOM) or file, from the root, with slashes.
        format: dicom, nifti, nrrd or metaimage.
        files: that it consists of. bytes: of them together.
        verdict: ``refused`` if its headers show that it cannot be read as a CT.
        reason: why it is refused, else the notes of the gate; voxels are not looked at.
        size: voxels along i, j, k. spacing: mm. origin, direction: LPS, the latter row by row;
            None where the header alone does not tell.
        patient, study: pseudonyms, or None.
        fingerprint: of the headers of its files; changes when they do.
    """

    series_id: str
    path: str
    format: str
    files: int
    bytes: int
    verdict: Verdict
    reason: str
    size: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    origin: tuple[float, float, float] | None = None
    direction: tuple[float, ...] | None = None
    patient: str | None = None
    study: str | None = None
    fingerprint: str = ""

    @property
    def extent_mm3(self) -> float:
        """How much the CT shows, which is what locating in it takes long for; 0 if unknown."""
        if self.size is None or self.spacing is None:
            return 0.0
        return math.prod(self.size) * math.prod(self.spacing)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> IndexRow:
        """Inverse of ``to_json``; raises TypeError or KeyError for anything else."""
        values = {field.name: data[field.name] for field in fields(cls)}
        for name in ("size", "spacing", "origin", "direction"):
            values[name] = None if values[name] is None else tuple(values[name])
        return cls(**values)


def series_id(path: str, uid: str) -> str:
    """Return the identity of a series in an index: of its path from the root, and its UID."""
    return hashlib.sha256(f"{path}\0{uid}".encode()).hexdigest()[:_ID_DIGITS]


def lattice_fields(geometry: Geometry) -> dict[str, Any]:
    """Return the fields of a row that tell a lattice, rounded to what headers can tell."""
    return {
        "size": geometry.size,
        "spacing": _rounded(geometry.spacing),
        "origin": _rounded(geometry.origin),
        "direction": _rounded(geometry.direction.ravel()),
    }


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 6) + 0.0 for value in values)


@dataclass(frozen=True)
class Index:
    """The rows of an index file, and the folder that their paths begin at."""

    root: Path
    rows: list[IndexRow]


def schema() -> pa.Schema:
    """Return the columns of the Parquet file."""
    import pyarrow as pa

    three = pa.list_(pa.float64(), 3)
    return pa.schema(
        [
            *((name, pa.string()) for name in ("series_id", "path", "format")),
            ("files", pa.int32()),
            ("bytes", pa.int64()),
            *((name, pa.string()) for name in ("verdict", "reason")),
            ("size", pa.list_(pa.int32(), 3)),
            ("spacing", three),
            ("origin", three),
            ("direction", pa.list_(pa.float64(), 9)),
            *((name, pa.string()) for name in ("patient", "study", "fingerprint")),
        ]
    )


def write_index(path: Path, root: Path, rows: Sequence[IndexRow]) -> None:
    """Write the Parquet file as a whole, sorted by path. Raises OutputError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ordered = sorted(rows, key=lambda row: (row.path, row.series_id))
    metadata = {_ROOT: str(root).encode(), _VERSION_KEY: _VERSION}
    table = pa.Table.from_pylist(
        [row.to_json() for row in ordered], schema=schema().with_metadata(metadata)
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    atomic_write_bytes(path, sink.getvalue().to_pybytes())


def read_index(path: Path) -> Index:
    """Read an index file. Raises InputError if it is none, or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        metadata = table.schema.metadata or {}
        if metadata.get(_VERSION_KEY) != _VERSION:
            raise InputError(f"{path}: is no index of this version: make it with `cohort index`")
        rows = [IndexRow.from_json(row) for row in table.to_pylist()]
        return Index(Path(metadata[_ROOT].decode()), rows)
    except OSError as error:
        reason = error.strerror or "not a Parquet file"
        raise InputError(f"{path}: the index cannot be read ({reason})") from error
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is no index, or damaged: make it again") from error


def check_index_path(path: Path) -> None:
    """Raise OutputError unless the name of an index is one of a Parquet file."""
    if path.suffix.lower() != ".parquet":
        raise OutputError(f"{path}: the index is a Parquet file: give a name that ends on .parquet")
