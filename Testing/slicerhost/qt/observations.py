"""VTK observations of a widget, which must end with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Observations:
    """Observations that end when Qt destroys the widget: VTK would call what is no longer there."""

    def __init__(self, widget: Any) -> None:
        self._observations: list[tuple[Any, int]] = []
        widget.destroyed.connect(lambda *_: self.end())

    def add(self, observed: Any, event: Any, callback: Callable[[], Any]) -> None:
        """Call ``callback()`` at an event of a VTK object."""
        self._observations.append((observed, observed.AddObserver(event, lambda *_: callback())))

    def end(self) -> None:
        """End all observations."""
        for observed, tag in self._observations:
            observed.RemoveObserver(tag)
        self._observations.clear()
