"""From a row of the index to its CT: the UID of a series stands in its files, not in the index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..formats.dicom_files import looks_like_dicom, plain
from ..formats.pydicom_reading import damage_refused
from .index_rows import IndexRow, series_id

_SERIES = 0x0020000E


@dataclass(frozen=True)
class SeriesFiles:
    """A file or folder, and the UID of the series in it; empty if it need not be told."""

    path: Path
    uid: str = ""


def find_series(root: Path, row: IndexRow) -> SeriesFiles:
    """Find the files of a row.

    Raises InputError if the path leaves the root, or the series is not there any more.
    """
    path = (root / row.path).resolve()
    if not path.is_relative_to(root.resolve()):
        raise InputError(f"{row.path}: leaves the folder of the index: make the index again")
    if row.format != "dicom":
        return SeriesFiles(path)
    if row.series_id == series_id(row.path, ""):
        return SeriesFiles(path)
    try:
        names = sorted(file for file in path.iterdir() if file.is_file())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    for file in names:
        uid = _uid(file)
        if uid and row.series_id == series_id(row.path, uid):
            return SeriesFiles(path, uid)
    raise InputError(f"{path}: the series is not in the folder any more: make the index again")


def _uid(file: Path) -> str:
    """Return the series UID of a file; empty if it has none."""
    import pydicom

    if file.name.startswith(".") or not looks_like_dicom(file):
        return ""
    try:
        with damage_refused():
            data = pydicom.dcmread(
                file, stop_before_pixels=True, force=True, specific_tags=[_SERIES]
            )
            return plain(data[_SERIES].value) if _SERIES in data else ""
    except (InputError, OSError):
        return ""
