"""The logic as the sections of the panel see it; ``logic.RPRLocalizationLogic`` is the real one."""

from __future__ import annotations

from typing import Any, Protocol

from ..library.templatelibrary import TemplateLibrary
from ..scene.resultrows import Run
from ..settings import Settings


class PanelLogic(Protocol):
    """What the panel asks for; a test may give a smaller one."""

    settings: Settings
    library: TemplateLibrary
    job: Any

    @property
    def running(self) -> bool:
        """True while a job works."""

    def localize(self, reference: Any = None, targets: Any = (), **options: Any) -> Run:
        """Start a run."""

    def saveTemplate(self, reference: Any, targets: Any, title: str, **options: Any) -> Any:
        """Learn the targets, and keep them in the user's library."""

    def addToTemplate(self, info: Any, reference: Any, targets: Any, **options: Any) -> Any:
        """Pool the reference into a template of the user's library."""

    def findDevices(self, onDevices: Any, onFailed: Any) -> None:
        """Ask the worker for its devices."""

    def cancel(self) -> None:
        """Stop the job that runs, if any."""
