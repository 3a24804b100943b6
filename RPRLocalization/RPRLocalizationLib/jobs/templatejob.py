"""Making a template of what is marked on a reference, or adding the reference to a template (few-shot)."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _

from .workerjob import JobObserver, TemplateSource, Worker, WorkerJob


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
        onTemplate: Callable,
        addTo: dict | None = None,
    ) -> None:
        super().__init__(worker, source, model, device, listener)
        self._onMade = onTemplate
        self._addTo = addTo

    def abandon(self) -> None:
        """Stop without telling anyone but the worker (the scene is closing)."""
        self._onMade = lambda template: None
        super().abandon()

    def _work(self) -> None:
        if self._addTo is None:
            self._complete({"template": self.template})
            return
        self._progress(0.5, _("Adding the reference to the template..."))
        self._ask("template.merge", {"templates": [self._addTo, self.template]}, self._complete)

    def _complete(self, event) -> None:
        self._onMade(event["template"])
        self._progress(1.0, _("Done."), 0.0)
        self._end()
