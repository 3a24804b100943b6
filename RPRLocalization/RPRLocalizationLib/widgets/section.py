"""What the sections of both panels have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import slicer
from slicer.util import VTKObservationMixin

from rprloc.errors import RprLocError

LogicT = TypeVar("LogicT")


class Section(VTKObservationMixin, Generic[LogicT]):
    """A part of the panel over the shared widgets (``ui``), logic and parameter node.

    Generic in the logic, of which it uses nothing itself: each module has its own, and a section
    names what it asks of it.

    changed: called after the user has changed something, so that the other sections can follow.
    """

    def __init__(self, ui: Any, logic: LogicT, changed: Callable[[], None]) -> None:
        super().__init__()
        self.ui = ui
        self.logic = logic
        self.changed = changed
        self.parameters: Any = None

    def setParameters(self, parameters: Any) -> None:
        """Use another parameter node, or None while the scene is closing."""
        self.parameters = parameters

    def update(self) -> None:
        """Show the state of the scene, the parameter node and the logic."""
        raise NotImplementedError

    def cleanup(self) -> None:
        """The module is being unloaded."""
        self.removeObservers()

    def setEnabled(self, button: Any, reason: str, tooltip: str) -> None:
        """Enable a button with its tooltip, or disable it and say why."""
        button.enabled = not reason
        button.toolTip = reason or tooltip


@contextmanager
def showingErrors(message: str) -> Iterator[None]:
    """Show what goes wrong in a user's action, under ``message``.

    What the user can mend (RprLocError) is shown in one line, anything else with its traceback.
    """
    with slicer.util.tryWithErrorDisplay(message):
        try:
            yield
        except RprLocError as error:
            slicer.util.errorDisplay(f"{message}\n\n{error}")
