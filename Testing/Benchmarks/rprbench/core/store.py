"""Finished units of work on disk, one line each, so that a run goes on after a kill."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Store:
    """A folder with one .jsonl per experiment.

    A line: unit, settings, rows, seconds, and where it was run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, experiment: str) -> Path:
        """The file of an experiment."""
        return self.folder / f"{experiment}.jsonl"

    def finished(self, experiment: str, settings: dict[str, Any]) -> dict[str, Row]:
        """Unit -> its last line, of those made with ``settings``.

        A line cut short by a kill does not count.
        """
        wanted = _as_read(settings)
        entries: dict[str, Row] = {}
        path = self.path(experiment)
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("settings") == wanted:
                entries[str(entry["unit"])] = entry
        return entries

    def add(
        self,
        experiment: str,
        unit: str,
        settings: dict[str, Any],
        rows: Iterable[Row],
        **facts: Any,
    ) -> None:
        """Append one finished unit, on a line of its own whatever the last kill left behind."""
        entry = {"unit": unit, "settings": _as_read(settings), **facts, "rows": list(rows)}
        with self.path(experiment).open("a+b") as file:
            file.seek(0, 2)
            if file.tell():
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write((json.dumps(entry) + "\n").encode())


def _as_read(value: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back, so that tuples and integer keys compare equal."""
    read: dict[str, Any] = json.loads(json.dumps(value))
    return read
