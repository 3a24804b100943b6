"""Work for the worker process in steps: load the model, learn the template. Nothing here waits.

The base of ``localizationjob`` and ``templatejob``. What a job does reads from top to bottom in its
generator ``steps``: it yields a ``Request`` and goes on with the result when that has come; an
error of the worker is raised there as ``WorkerProblem``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

from slicer.i18n import tr as _

from rprloc.errors import RprLocError

from ..scene import conversion
from ..scene.markedtargets import MarkedTarget, checkNames, targetSpec
from ..worker.exchangefolder import ExchangeFolder

Event = dict[str, Any]
EventHandler = Callable[[Event], None]


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


class WorkerProblem(Exception):
    """A request has failed; if the steps do not catch it, the job ends with ``problem``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def ignoreEvent(event: Event) -> None:
    """For events that are of no interest."""


@dataclass(frozen=True)
class Request:
    """What the worker is asked for; ``onPartial`` gets the events that come before the result."""

    method: str
    params: dict[str, Any]
    onPartial: EventHandler = ignoreEvent


Steps = Generator[Request, Event, None]


class PendingRequest(Protocol):
    """A request that the client has sent."""

    def cancel(self) -> None:
        """Ask for its end; its last event still comes."""


class Client(Protocol):
    """The worker's client as jobs use it; callbacks never come before ``request`` has returned."""

    def request(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        onProgress: EventHandler | None = None,
        onPartial: EventHandler | None = None,
        onLog: EventHandler | None = None,
        onResult: EventHandler | None = None,
        onError: EventHandler | None = None,
    ) -> PendingRequest:
        """Send a request; exactly one of onResult and onError is called, once."""

    def close(self) -> None:
        """End the worker process."""


@dataclass
class JobObserver:
    """What a job tells; any may be left out.

    onProgress(fraction 0..1, text, seconds left or None), onLog(level, text), onFinished(problem or
    None).
    """

    onProgress: Callable[[float, str, float | None], None] = lambda fraction, text, left: None
    onLog: Callable[[str, str], None] = lambda level, text: None
    onFinished: Callable[[Problem | None], None] = lambda problem: None


@dataclass
class TemplateSource:
    """The template as its JSON object; or the reference volume node and its marked targets."""

    template: dict[str, Any] | None = None
    reference: Any = None
    targets: tuple[MarkedTarget, ...] = ()

    def check(self) -> None:
        """Raise RprLocError at once for targets that cannot be used, before the worker is asked."""
        if self.template is None:
            checkNames(self.targets)
            for target in self.targets:
                targetSpec(target, lambda grid: {})


@dataclass
class Worker:
    """The worker's client, and the folder through which voxels reach it."""

    client: Client
    folder: ExchangeFolder


class WorkerJob:
    """Start, template, ``work``, end. A job ends exactly once, and says so with ``onFinished``."""

    def __init__(
        self, worker: Worker, source: TemplateSource, model: str, device: str, listener: JobObserver
    ) -> None:
        self._worker = worker
        self._source = source
        self._engine = {"model": model, "device": device}
        self._listener = listener
        self._pending: PendingRequest | None = None
        self._then: list[Callable[[], None]] = []
        self.device = device
        self.problem: Problem | None = None
        self.finished = False

    def start(self) -> None:
        """Begin; whatever goes wrong from now on ends the job with a problem."""
        self._running = self.steps()
        self._advance(lambda: next(self._running))

    def whenFinished(self, then: Callable[[], None]) -> None:
        """Call ``then`` at the end, after the listener."""
        self._then.append(then)

    def cancel(self) -> None:
        """Stop at once; what is done is kept."""
        if self.finished:
            return
        pending = self._pending
        self._end(Problem("cancelled", _("Cancelled.")))
        if pending is not None:
            pending.cancel()

    def abandon(self) -> None:
        """Stop without telling anyone but the worker (the scene is closing)."""
        self._listener = JobObserver()
        self.cancel()

    @property
    def busy(self) -> bool:
        """True while the worker still works for this job, also after it was cancelled."""
        return self._pending is not None

    def steps(self) -> Steps:
        """Everything that the job does, in order."""
        self._progress(0.0, _("Starting the worker..."))
        hello = yield self._hello()
        if hello.get("torch") is None:
            text = _("PyTorch is not installed: it is needed to run the networks.")
            raise WorkerProblem(Problem("no-torch", text))

        self._progress(0.0, _("Loading the model..."))
        loaded = yield Request("load", self._engine)
        self.device = str(loaded.get("device", self.device))

        template = self._source.template
        if template is None:
            self._progress(0.0, _("Learning the targets on the reference..."))
            made = yield self._makeTemplate()
            template = made["template"]

        yield from self.work(template)

    def work(self, template: dict[str, Any]) -> Steps:
        """What a subclass does with the template."""
        raise NotImplementedError

    def _hello(self) -> Request:
        """Introduce the folder to the worker (again, if it was started anew)."""
        return Request("hello", {"folder": self._worker.folder.path})

    def _makeTemplate(self) -> Request:
        reference = self._volume(self._source.reference)
        targets = [targetSpec(target, self._saved) for target in self._source.targets]
        return Request(
            "template.make", {**self._engine, "reference": reference, "targets": targets}
        )

    def _advance(self, resume: Callable[[], Request]) -> None:
        """Let the steps go on to their next request, and send it."""

        def proceed() -> None:
            try:
                request = resume()
            except StopIteration:
                self._end()
                return
            # The job may have been cancelled by what the steps have just reported.
            if not self.finished:
                self._send(request)

        self._guarded(proceed)

    def _send(self, request: Request) -> None:
        """One request at a time; answers that come after the job's end only free the arrays."""

        def whileRunning(handle: EventHandler) -> EventHandler:
            return lambda event: None if self.finished else self._guarded(lambda: handle(event))

        def last(resume: Callable[[Event], Request]) -> EventHandler:
            def answered(event: Event) -> None:
                self._pending = None
                self._worker.folder.clear()
                if not self.finished:
                    self._advance(lambda: resume(event))

            return answered

        self._pending = self._worker.client.request(
            request.method,
            request.params,
            onPartial=whileRunning(request.onPartial),
            onLog=whileRunning(self._onLog),
            onResult=last(self._running.send),
            onError=last(lambda event: self._running.throw(WorkerProblem(problemOf(event)))),
        )

    def _guarded(self, handle: Callable[[], None]) -> None:
        """What goes wrong ends the job; it must not get lost in Qt's event loop."""
        try:
            handle()
        except WorkerProblem as error:
            self._end(error.problem)
        except RprLocError as error:
            self._end(Problem("input", str(error)))
        except Exception as error:
            self._end(Problem("internal", _("Internal error: {error}").format(error=repr(error))))
            raise

    def _onLog(self, event: Event) -> None:
        self._listener.onLog(str(event.get("level", "info")), str(event["message"]))

    def _progress(self, fraction: float, text: str, secondsLeft: float | None = None) -> None:
        self._listener.onProgress(fraction, text, secondsLeft)

    def _volume(self, node: Any) -> dict[str, Any]:
        """Write a volume node for the worker, as its VOLUME object. Raises InputError, OSError."""
        return self._saved(conversion.volumeGrid(node))

    def _saved(self, grid: conversion.VoxelGrid) -> dict[str, Any]:
        path = self._worker.folder.write(grid.array)
        return {"npy": path, "ijk_to_lps": grid.ijkToLps.tolist(), "name": grid.name}

    def _end(self, problem: Problem | None = None) -> None:
        if self.finished:
            return
        self.finished, self.problem = True, problem
        # The worker may still read the arrays of a request that was not answered yet.
        if not self.busy:
            self._worker.folder.clear()

        try:
            self._listener.onFinished(problem)
        finally:
            for then in self._then:
                then()


def problemOf(event: Event) -> Problem:
    """The problem that an error event of the worker tells."""
    code, message, details = (str(event.get(key, "")) for key in ("code", "message", "details"))
    return Problem(code or "internal", message, details)
