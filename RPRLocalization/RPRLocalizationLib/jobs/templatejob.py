"""Making a template of what is marked on a reference, or pooling it into one (few-shot)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from .workerjob import (
    EngineChoice,
    JobObserver,
    Request,
    Steps,
    TemplateSource,
    Worker,
    WorkerJob,
)


class TemplateJob(WorkerJob):
    """``onTemplate(template)`` is called with the JSON object before the job ends.

    contours: the template keeps the segments' masks too, so that they can be carried.
    addTo: template (JSON object) that the reference is pooled into; None: a template of its own.
    """

    def __init__(
        self,
        worker: Worker,
        source: TemplateSource,
        engine: EngineChoice,
        observer: JobObserver,
        onTemplate: Callable[[dict[str, Any]], None],
        addTo: dict[str, Any] | None = None,
        contours: bool = False,
    ) -> None:
        super().__init__(worker, source, engine, observer)
        self.contours = contours
        self._onTemplate = onTemplate
        self._addTo = addTo

    def abandon(self) -> None:
        """Stop, and tell nothing of it but that (the scene is closing)."""
        self._onTemplate = lambda template: None
        super().abandon()

    def steps(self) -> Steps:
        """Learn the template, and pool it into the other one."""
        yield from self.learnTemplate()

        if self._addTo is not None:
            self._progress(0.5, _("Adding the reference to the template..."))
            parts = [self._addTo, self._ofTheSameModel()]
            merged = yield Request("template.merge", {"templates": parts})
            self.template = merged["template"]

        self._onTemplate(self.template)
        self._progress(1.0, _("Done."), 0.0)

    def _ofTheSameModel(self) -> dict[str, Any]:
        """What the model of the template that is added to has learned, if it was asked."""
        assert self._addTo is not None
        wanted = self._addTo["model"]
        return next((t for t in self.alternatives if t["model"] == wanted), self.template)
