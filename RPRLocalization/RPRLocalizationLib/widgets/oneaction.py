"""One action of the user at a time, in both panels together.

Slicer handles events, and so clicks, while it installs a package, loads a file or shows a dialog:
without this, a second click would begin the same action within the first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

SectionT = TypeVar("SectionT")
_acting: list[str] = []


def oneAction(action: Callable[[SectionT], None]) -> Callable[[SectionT], None]:
    """Decorator of what a button calls: nothing happens while such an action is under way."""

    @functools.wraps(action)
    def call(self: SectionT) -> None:
        if _acting:
            return
        _acting.append(action.__name__)
        try:
            action(self)
        finally:
            _acting.clear()

    return call
