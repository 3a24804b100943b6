"""Makes a template of what is marked on a reference, or adds the reference to one (few-shot)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from .workerjob import JobObserver, Request, Steps, TemplateSource, Worker, WorkerJob


class TemplateJob(WorkerJob):
    """``onTemplate(template)`` is called with the JSON object before the job ends.

    addTo: template (JSON object) that the reference is pooled into; None: a template of its own.
    """

    def __init__(
        self,
        worker: Worker,
        source: TemplateSource,
        model: str,
        device: str,
        listener: JobObserver,
        onTemplate: Callable[[dict[str, Any]], object],
        addTo: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(worker, source, model, device, listener)
        self._onTemplate = onTemplate
        self._addTo = addTo

    def abandon(self) -> None:
        """Stop without telling anyone but the worker (the scene is closing)."""
        self._onTemplate = lambda template: None
        super().abandon()

    def work(self, template: dict[str, Any]) -> Steps:
        """Pool the template into the other one, if there is one, and hand it over."""
        if self._addTo is not None:
            self._progress(0.5, _("Adding the reference to the template..."))
            merged = yield Request("template.merge", {"templates": [self._addTo, template]})
            template = merged["template"]

        self._onTemplate(template)
        self._progress(1.0, _("Done."), 0.0)
