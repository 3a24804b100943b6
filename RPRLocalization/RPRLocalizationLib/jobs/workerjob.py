"""Work for the worker process as a generator that reads top to bottom; nothing waits or blocks.

A job's ``steps`` yield ``Request`` items and get the worker's results back; a request that fails
raises ``WorkerProblem`` where it was yielded. ``WorkerJob`` drives the generator from Qt's event
loop. A job ends exactly once, with a problem (code and one line for the user) or None. Volumes pass
as .npy files that are removed as soon as they are answered.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from slicer.i18n import tr as _

from rprloc.errors import InputError, RprLocError

from ..scene import conversion
from ..scene.markedtargets import BOX, LANDMARK, MarkedTarget, checkNames, targetSpec
from ..worker.exchangefolder import ExchangeFolder

Event = dict[str, Any]
EventHandler = Callable[[Event], None]


class PendingRequest(Protocol):
    """A request on its way, as the client returns it."""

    def cancel(self) -> None:
        """Ask the worker to stop; its answer still comes."""


class Client(Protocol):
    """The worker process as a job sees it (``worker.client.WorkerClient``)."""

    def request(
        self,
        method: str,
        params: Event | None = None,
        onProgress: EventHandler | None = None,
        onPartial: EventHandler | None = None,
        onLog: EventHandler | None = None,
        onResult: EventHandler | None = None,
        onError: EventHandler | None = None,
    ) -> PendingRequest:
        """Send a request; one of onResult and onError is called, once, after this has returned."""

    def close(self) -> None:
        """End the worker process."""


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

    @classmethod
    def of(cls, event: Event) -> Problem:
        """The problem that an error event of the worker tells."""
        code, message, details = (
            str(event.get(name, "")) for name in ("code", "message", "details")
        )
        return cls(code, message, details)


class WorkerProblem(Exception):
    """A request failed; raised inside ``steps``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True)
class Request:
    """What a step asks of the worker; ``onPartial`` gets events that come before the result."""

    method: str
    params: Event = field(default_factory=dict)
    onPartial: EventHandler = lambda event: None


Steps = Generator[Request, Event, None]


@dataclass
class JobObserver:
    """What a job tells; any may be left out.

    onProgress(fraction 0..1, text, seconds left or None), onLog(level, text), onFinished(problem or
    None), onAbandoned() instead of the latter where nobody is interested in the end any more.
    """

    onProgress: Callable[[float, str, float | None], None] = lambda fraction, text, left: None
    onLog: Callable[[str, str], None] = lambda level, text: None
    onFinished: Callable[[Problem | None], None] = lambda problem: None
    onAbandoned: Callable[[], None] = lambda: None


@dataclass
class TemplateSource:
    """The template as its JSON object; or the reference volume node and its marked targets."""

    template: dict[str, Any] | None = None
    reference: Any = None
    targets: tuple[MarkedTarget, ...] = ()

    def check(self) -> None:
        """Raise RprLocError at once if no target can be used, before the worker is asked.

        One that cannot be used among others costs itself only: its row says why.
        """
        if self.template is not None:
            return
        checkNames(self.targets)
        problems = []
        for target in self.targets:
            try:
                targetSpec(target, lambda grid: {})
            except InputError as error:
                problems.append(error)
        if len(problems) == len(self.targets):
            raise problems[0]


@dataclass(frozen=True)
class LeftOutTarget:
    """A marked target that cannot be used, and why; it gets a row in every query."""

    name: str
    kind: str
    reason: str

    @classmethod
    def of(cls, data: dict[str, Any]) -> LeftOutTarget:
        """As the worker tells it."""
        reason = _("As marked on the reference it {why}").format(why=data["reason"])
        return cls(str(data["name"]), str(data["kind"]), reason)


@dataclass
class Worker:
    """The worker's client, and the folder through which voxels reach it."""

    client: Client
    folder: ExchangeFolder


@dataclass(frozen=True)
class EngineChoice:
    """What computes: the model, the device, and the engine's ``steps``, ``runs`` and ``seed``."""

    model: str
    device: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, str]:
        """As requests name it."""
        return {"model": self.model, "device": self.device}


class WorkerJob:
    """Drives ``steps``; see the subclasses."""

    def __init__(
        self, worker: Worker, source: TemplateSource, engine: EngineChoice, observer: JobObserver
    ) -> None:
        self._worker = worker
        self._source = source
        self._engine = engine
        self._observer = observer
        self._request: PendingRequest | None = None
        self._steps: Steps | None = None
        self._then: list[Callable[[], None]] = []
        self.device = engine.device
        # True: what carries the segments is learned as well.
        self.contours = False
        self.template: dict[str, Any] = {}
        # The same targets as other models learned them, where the model was left to the worker.
        self.alternatives: list[dict[str, Any]] = []
        self.leftOut: list[LeftOutTarget] = []
        self.problem: Problem | None = None
        self.finished = False

    def steps(self) -> Steps:
        """What is done, one request after the other."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin; whatever goes wrong from now on ends the job with a problem."""
        self._progress(0.0, _("Starting the worker..."))
        self._steps = self.steps()
        self._advance(lambda steps: next(steps))

    def whenFinished(self, then: Callable[[], None]) -> None:
        """Call ``then`` at the end, after the observer."""
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
        """Stop, and tell nothing of it but that (the scene is closing)."""
        if self.finished:
            return
        observer, self._observer = self._observer, JobObserver()
        self.cancel()
        observer.onAbandoned()

    @property
    def busy(self) -> bool:
        """True while the worker still works for this job, also after it was cancelled."""
        return self._request is not None

    def learnTemplate(self) -> Steps:
        """The steps that every job begins with: worker, model, and ``self.template``."""
        yield from self.greet()

        self._progress(0.0, _("Loading the model..."))
        loaded = yield Request("load", dict(self._engine.params))
        self.device = str(loaded.get("device", self.device))

        if self._source.template is not None:
            self.template = self._source.template
            return
        self._progress(0.0, _("Learning the targets on the reference..."))
        learned = yield Request("template.make", self._reference())
        self._worker.folder.clear()
        self.template = learned["template"]
        self.alternatives = learned.get("alternatives", [])
        self.leftOut += [LeftOutTarget.of(target) for target in learned.get("left_out", [])]
        for target in self.leftOut:
            self._observer.onLog("warning", f"{target.name}: {target.reason}")

    def greet(self) -> Steps:
        """Introduce the folder to the worker; again if it was started anew."""
        hello = yield Request("hello", {"folder": self._worker.folder.path})
        if hello.get("torch") is None:
            text = _("PyTorch is not installed: it is needed to run the networks.")
            raise WorkerProblem(Problem("no-torch", text))

    def _reference(self) -> Event:
        reference = self._volume(self._source.reference)
        targets = []
        for target in self._source.targets:
            try:
                targets.append(targetSpec(target, self._saved))
            except InputError as error:
                kind = target.kind if target.kind == LANDMARK else BOX
                self.leftOut.append(LeftOutTarget(target.name, kind, str(error)))
        params = {**self._engine.params, "reference": reference, "targets": targets}
        return {**params, "contours": True} if self.contours else params

    def _volume(self, node: Any) -> Event:
        """Write a volume node for the worker: its VOLUME object. Raises InputError, OutputError."""
        return self._saved(conversion.volumeGrid(node))

    def _saved(self, grid: conversion.VoxelGrid) -> Event:
        path = self._worker.folder.write(grid.array)
        return {"npy": path, "ijk_to_lps": grid.ijkToLps.tolist(), "name": grid.name}

    def _progress(self, fraction: float, text: str, secondsLeft: float | None = None) -> None:
        self._observer.onProgress(fraction, text, secondsLeft)

    def _advance(self, move: Callable[[Steps], Request]) -> None:
        """Let the steps run to their next request, and send it."""
        if self._steps is None:
            return
        request, done = None, False
        with self._endingOnErrors():
            try:
                request = move(self._steps)
            except StopIteration:
                done = True

        if done:
            self._end()
        # The steps may have ended the job from within, e.g. when a row's observer cancels.
        if request is not None and not self.finished:
            self._send(request)

    @contextmanager
    def _endingOnErrors(self) -> Iterator[None]:
        """End the job with what goes wrong: it must not get lost in Qt's event loop."""
        try:
            yield
        except WorkerProblem as error:
            self._end(error.problem)
        except RprLocError as error:
            self._end(Problem("input", str(error)))
        except Exception as error:
            self._end(Problem("internal", _("Internal error: {error}").format(error=repr(error))))
            raise

    def _send(self, request: Request) -> None:
        """Send one request; answers that come after the end only free the arrays."""

        def answered(move: Callable[[Steps, Event], Request]) -> Callable[[Event], None]:
            def call(event: Event) -> None:
                self._request = None
                if self.finished:
                    self._worker.folder.clear()
                else:
                    self._advance(lambda steps: move(steps, event))

            return call

        def log(event: Event) -> None:
            self._observer.onLog(str(event.get("level", "info")), str(event["message"]))

        def fail(steps: Steps, event: Event) -> Request:
            return steps.throw(WorkerProblem(Problem.of(event)))

        self._request = self._worker.client.request(
            request.method,
            request.params,
            onPartial=self._whileRunning(request.onPartial),
            onLog=self._whileRunning(log),
            onResult=answered(lambda steps, event: steps.send(event)),
            onError=answered(fail),
        )

    def _whileRunning(self, handle: EventHandler) -> EventHandler:
        def call(event: Event) -> None:
            if not self.finished:
                with self._endingOnErrors():
                    handle(event)

        return call

    def _end(self, problem: Problem | None = None) -> None:
        if self.finished:
            return
        self.finished, self.problem = True, problem

        if not self.busy:
            self._worker.folder.clear()
        try:
            self._observer.onFinished(problem)
        finally:
            for then in self._then:
                then()
