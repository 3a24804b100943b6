"""What the four sections of the panel have in common."""

from __future__ import annotations

from contextlib import contextmanager

import slicer
from slicer.util import VTKObservationMixin

from rprloc.errors import RprLocError

from ..logic import RPRLocalizationLogic


class Section(VTKObservationMixin):
    """A part of the panel over the shared widgets (``ui``), logic and parameter node.

    changed: called after the user has changed something, so that the other sections can follow.
    """

    def __init__(self, ui, logic: RPRLocalizationLogic, changed) -> None:
        super().__init__()
        self.ui = ui
        self.logic = logic
        self.changed = changed
        self.parameters = None

    def setParameters(self, parameters) -> None:
        """Use another parameter node, or None while the scene is closing."""
        self.parameters = parameters

    def update(self) -> None:
        """Show the state of the scene, the parameter node and the logic."""
        raise NotImplementedError

    def cleanup(self) -> None:
        """The module is being unloaded."""
        self.removeObservers()

    def setEnabled(self, button, reason: str, tooltip: str) -> None:
        """Enable a button with its tooltip, or disable it and say why."""
        button.enabled = not reason
        button.toolTip = reason or tooltip


@contextmanager
def showingErrors(message: str):
    """Context of a user action. What the user can mend is shown in one line, anything else with its traceback."""
    with slicer.util.tryWithErrorDisplay(message):
        try:
            yield
        except RprLocError as error:
            slicer.util.errorDisplay(f"{message}\n\n{error}")
