"""What the sections of the panel ask of the module's logic.

The logic knows nothing of the panel, and the panel knows no more of the logic than this: either can
be read, and be replaced in a test, without the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..jobs.workerjob import JobObserver
from ..library.templatelibrary import TemplateInfo, TemplateLibrary
from ..scene.resultrows import Run


class PanelSettings(Protocol):
    """What the application remembers from one session to the next."""

    model: str
    device: str
    modelFolder: str
    lastFolder: str


class PanelLogic(Protocol):
    """Localization, templates and devices; the logic's own docstrings tell the errors raised."""

    @property
    def settings(self) -> PanelSettings:
        """The user's choices."""

    @property
    def library(self) -> TemplateLibrary:
        """Bundled templates and the user's."""

    @property
    def running(self) -> bool:
        """True while a job works."""

    def localize(self, reference: Any = None, targets: Any = (), **options: Any) -> Run:
        """Search targets or a template in queries."""

    def saveTemplate(self, reference: Any, targets: Any, title: str, **options: Any) -> Any:
        """Keep what is marked as a template."""

    def addToTemplate(
        self, info: TemplateInfo, reference: Any, targets: Any, **options: Any
    ) -> Any:
        """Pool what is marked into a template."""

    def findDevices(
        self,
        onDevices: Callable[[list[dict[str, Any]]], None],
        onFailed: Callable[[str], None],
    ) -> None:
        """Ask the worker for the devices of this computer."""

    def cancel(self) -> None:
        """Stop the job that runs, if any."""


StartRun = Callable[[JobObserver], None]
