"""The scanned volumes, and which of them the user wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ScanRows:
    """Rows as the worker sent them (``train.scan``), and a tick for each.

    Only rows that the scan found usable can be ticked; ``ticks`` tells what the user has left of
    them.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    ticks: list[bool] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> int:
        """Add a row, ticked if it can be used; returns its index."""
        self.rows.append(row)
        self.ticks.append(bool(row.get("used")))
        return len(self.rows) - 1

    def usable(self, index: int) -> bool:
        """Whether the row may be ticked."""
        return bool(self.rows[index].get("used"))

    def tick(self, index: int, on: bool) -> None:
        """Tick or untick a row; a row that cannot be used stays unticked."""
        self.ticks[index] = on and self.usable(index)

    def tickAll(self, on: bool) -> None:
        """Tick or untick every row that can be used."""
        self.ticks = [on and self.usable(index) for index in range(len(self.rows))]

    def chosen(self) -> list[dict[str, Any]]:
        """The ticked rows."""
        return [row for row, ticked in zip(self.rows, self.ticks, strict=True) if ticked]

    def patients(self) -> int:
        """Number of patients among the ticked rows."""
        return len({row.get("group") for row in self.chosen()})
