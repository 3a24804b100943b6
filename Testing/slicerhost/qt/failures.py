"""What went wrong where nobody could catch it.

Slicer prints an exception of a slot or an observer and goes on; a test must fail instead.
Everything of that kind is recorded here, and the test fixture asks for it after every test.
"""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

_recorded: list[str] = []


def record(text: str) -> None:
    """Remember a failure and print it, as Slicer's log would."""
    _recorded.append(text)
    print(text, file=sys.stderr)


def recordException(error: BaseException, where: str) -> None:
    """Remember an exception that was raised in a slot, observer or timer."""
    record(f"exception in {where}:\n{''.join(traceback.format_exception(error))}")


def take() -> list[str]:
    """All failures since the last call; they are forgotten."""
    taken = list(_recorded)
    _recorded.clear()
    return taken


def _excepthook(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """PySide6 and VTK report exceptions of their callbacks through ``sys.excepthook``."""
    recordException(error.with_traceback(trace), "a callback")


def install() -> None:
    """Record from now on what Qt and VTK callbacks raise."""
    sys.excepthook = _excepthook
