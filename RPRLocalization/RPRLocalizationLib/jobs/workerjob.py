"""Work for the worker process in steps: load the model, learn the template. Nothing here waits or blocks.

The base of ``localizationjob`` and ``templatejob``. A job ends exactly once: ``onFinished`` is
called with a problem (None, or code and one line for the user). Volumes pass as .npy files that are
removed as soon as they are answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slicer.i18n import tr as _

from rprloc.errors import RprLocError

from ..scene import conversion
from ..scene.markedtargets import checkNames, targetSpec
from ..worker.exchangefolder import ExchangeFolder


@dataclass(frozen=True)
class Problem:
    """Why a job ended early: the worker protocol's code, and one line for the user."""

    code: str
    message: str
    details: str = ""

    @property
    def cancelled(self) -> bool:
        """True if the user wanted it."""
        return self.code == "cancelled"


@dataclass
class JobObserver:
    """What a job tells; any may be left out. onProgress(fraction 0..1, text, seconds left or None)."""

    onProgress: Callable = lambda fraction, text, secondsLeft: None
    onLog: Callable = lambda level, text: None
    onFinished: Callable = lambda problem: None


@dataclass
class TemplateSource:
    """The template as its JSON object; or the reference volume node and its marked targets."""

    template: dict | None = None
    reference: object = None
    targets: tuple = ()

    def check(self) -> None:
        """Raise RprLocError at once for targets that cannot be used, before the worker is asked."""
        if self.template is None:
            checkNames(self.targets)
            for target in self.targets:
                targetSpec(target, lambda grid: {})


@dataclass
class Worker:
    """The worker's client, and the folder through which voxels reach it."""

    client: object
    folder: ExchangeFolder


class WorkerJob:
    """Start, template, work, end; see the subclasses."""

    def __init__(
        self, worker: Worker, source: TemplateSource, model: str, device: str, listener: JobObserver
    ) -> None:
        self._worker = worker
        self._source = source
        self._engine = {"model": model, "device": device}
        self._listener = listener
        self._request = None
        self.device = device
        self.template: dict | None = None
        self.problem: Problem | None = None
        self.finished = False
        self._then: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin; whatever goes wrong from now on ends the job with a problem."""
        self._progress(0.0, _("Starting the worker..."))
        self._hello(self._onHello)

    def whenFinished(self, then: Callable[[], None]) -> None:
        """Call ``then`` at the end, after the listener."""
        self._then.append(then)

    def cancel(self) -> None:
        """Stop at once; what is done is kept."""
        if self.finished:
            return
        request = self._request
        self._end(Problem("cancelled", _("Cancelled.")))
        if request is not None:
            request.cancel()

    def abandon(self) -> None:
        """Stop without telling anyone but the worker (the scene is closing)."""
        self._listener = JobObserver()
        self.cancel()

    @property
    def busy(self) -> bool:
        """True while the worker still works for this job, also after it was cancelled."""
        return self._request is not None

    def _work(self) -> None:
        """What a subclass does with ``self.template``; it calls ``_end`` when done."""
        raise NotImplementedError

    def _ask(self, method, params, onResult, onPartial=lambda event: None, onError=None) -> None:
        """One request at a time; answers that come after the end only free the arrays."""

        def guarded(then):
            def call(event):
                if not self.finished:
                    self._try(then, event)

            return call

        def last(then):
            def call(event):
                self._request = None
                if self.finished:
                    self._worker.folder.clear()
                else:
                    self._try(then, event)

            return call

        self._request = self._worker.client.request(
            method,
            params,
            onProgress=guarded(self._onWorkerProgress),
            onPartial=guarded(onPartial),
            onLog=guarded(
                lambda event: self._listener.onLog(
                    str(event.get("level", "info")), str(event["message"])
                )
            ),
            onResult=last(onResult),
            onError=last(onError or self._onError),
        )

    def _try(self, then, event) -> None:
        """What goes wrong while an answer is handled ends the job; it must not get lost in Qt's event loop."""
        try:
            then(event)
        except RprLocError as error:
            self._end(Problem("input", str(error)))
        except Exception as error:
            self._end(Problem("internal", _("Internal error: {error}").format(error=repr(error))))
            raise

    def _hello(self, then) -> None:
        """Introduce the folder to the worker (again, if it was started anew)."""
        self._ask("hello", {"folder": self._worker.folder.path}, then)

    def _onHello(self, event) -> None:
        if event.get("torch") is None:
            self._end(
                Problem(
                    "no-torch", _("PyTorch is not installed: it is needed to run the networks.")
                )
            )
            return
        self._progress(0.0, _("Loading the model..."))
        self._ask("load", self._engine, self._onLoaded)

    def _onLoaded(self, event) -> None:
        self.device = str(event.get("device", self.device))
        if self._source.template is not None:
            self._onTemplate({"template": self._source.template})
            return
        self._progress(0.0, _("Learning the targets on the reference..."))
        reference = self._volume(self._source.reference)
        targets = [targetSpec(target, self._saved) for target in self._source.targets]
        self._ask(
            "template.make",
            {**self._engine, "reference": reference, "targets": targets},
            self._onTemplate,
        )

    def _onTemplate(self, event) -> None:
        self.template = event["template"]
        self._worker.folder.clear()
        self._work()

    def _onError(self, event) -> None:
        self._end(problemOf(event))

    def _onWorkerProgress(self, event) -> None:
        """Only the first phases are of interest here; a job over queries knows its own progress better."""

    def _progress(self, fraction: float, text: str, secondsLeft: float | None = None) -> None:
        self._listener.onProgress(fraction, text, secondsLeft)

    def _volume(self, node) -> dict:
        """Write a volume node for the worker; gives its VOLUME object. Raises InputError, OutputError."""
        return self._saved(conversion.volumeGrid(node))

    def _saved(self, grid: conversion.VoxelGrid) -> dict:
        path = self._worker.folder.write(grid.array)
        return {"npy": path, "ijk_to_lps": grid.ijkToLps.tolist(), "name": grid.name}

    def _end(self, problem: Problem | None = None) -> None:
        if self.finished:
            return
        self.finished, self.problem = True, problem
        if not self.busy:
            self._worker.folder.clear()
        try:
            self._listener.onFinished(problem)
        finally:
            for then in self._then:
                then()


def problemOf(event: dict) -> Problem:
    """The problem that an error event of the worker tells."""
    texts = (str(event.get(field, "")) for field in ("code", "message", "details"))
    return Problem(*texts)
