"""What is said of one target in one query: the words of CSV, panel, reports and documents.

Without imports of the engine, so that Slicer's process, which never loads PyTorch, has them too.
"""

from __future__ import annotations

from typing import Final, Literal

Status = Literal["ok", "low-confidence", "outside", "failed"]

OK: Final = "ok"
LOW_CONFIDENCE: Final = "low-confidence"
OUTSIDE: Final = "outside"
FAILED: Final = "failed"

# From what can be used as it is to what gave no position at all.
STATUSES: tuple[Status, ...] = (OK, LOW_CONFIDENCE, OUTSIDE, FAILED)
