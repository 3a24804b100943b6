"""What has been read of a tree so far, a line of JSON per folder: an interrupted index goes on.

The journal stays beside the index, so that a later run reads only the folders that have changed.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

from ..files import atomic_write_text, output_errors
from .folder_rows import FolderRows
from .folders import Folder
from .index_rows import IndexRow

_SUFFIX = ".journal"
_VERSION = 1


class Journal:
    """Finished folders; lines are appended as folders are finished, and a torn last line is lost.

    Args:
        index: path of the index file.
        root: of the tree.
        salt: label of the salt of the pseudonyms, empty without: a journal of other ones is of no
            use, and begun anew.
    """

    def __init__(self, index: Path, root: Path, salt: str) -> None:
        self.path = index.with_name(index.name + _SUFFIX)
        self._head = {"version": _VERSION, "root": str(root), "salt": salt}
        self._known: dict[str, dict[str, Any]] = {}
        self._stream: TextIO | None = None
        self._read()

    def __enter__(self) -> Journal:
        """Open the journal for writing, without folders that are known twice."""
        lines = [self._head, *self._known.values()]
        atomic_write_text(self.path, "".join(json.dumps(line) + "\n" for line in lines))
        with output_errors(self.path):
            self._stream = open(self.path, "a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the journal."""
        if self._stream is not None:
            self._stream.close()

    def find(self, folder: Folder) -> FolderRows | None:
        """Return what is known of a folder, if it has not changed since."""
        line = self._known.get(str(folder.path))
        if line is None or line["state"] != folder.state:
            return None
        rows = [IndexRow.from_json(row) for row in line["rows"]]
        return FolderRows(rows, Counter(line["others"]))

    def add(self, folder: Folder, found: FolderRows) -> None:
        """Write down a finished folder. Raises OutputError."""
        assert self._stream is not None
        line = {
            "folder": str(folder.path),
            "state": folder.state,
            "rows": [row.to_json() for row in found.rows],
            "others": dict(found.others),
        }
        with output_errors(self.path):
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()

    def _read(self) -> None:
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError):
            return
        records = [record for record in map(_parsed, lines) if record is not None]
        if not records or records[0] != self._head:
            return
        for record in records[1:]:
            if _is_folder(record):
                self._known[record["folder"]] = record


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_folder(record: dict[str, Any]) -> bool:
    """Tell a line that was written as a whole, by its content."""
    try:
        for row in record["rows"]:
            IndexRow.from_json(row)
        return {"folder", "state", "others"} <= record.keys()
    except (KeyError, TypeError):
        return False
