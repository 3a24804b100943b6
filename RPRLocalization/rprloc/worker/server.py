"""The worker: JSON lines over stdin and stdout, the only way Slicer calls the engine (docs/worker-protocol.md).

    python -m rprloc.worker [--plugin MODULE]...

A plug-in is a module with ``register(registry)``. The process ends as soon as stdin closes, also in
the middle of
work: killing QProcess kills only Slicer's launcher, so nothing else tells the worker that its
    client is gone.
"""

from __future__ import annotations

import argparse
import importlib
import queue
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from .errors import BadRequestError, explain
from .job import Job, Registry
from .methods import register
from .pipes import Channel, RequestId, RequestShapeError, claim_pipes, lines_of, parse_request
from .shutdown import Exit

CONTROL = ("cancel", "action")


class RequestServer:
    """Takes requests from one thread and works them off, one after the other, in another."""

    def __init__(self, channel: Channel, registry: Registry) -> None:
        self._channel = channel
        self._registry = registry
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._open: dict[RequestId, Job] = {}
        self._running: Job | None = None
        self._lock = threading.Lock()

    def read(self, requests: BinaryIO) -> None:
        """Take requests until the pipe closes; whatever is wrong with a line becomes an ``error`` event."""
        for line in lines_of(requests):
            request_id: RequestId = None
            try:
                request_id, method, params = parse_request(line)
                if method in CONTROL:
                    self._channel.send(request_id, "result", accepted=self._control(method, params))
                else:
                    self._admit(Job(request_id, method, params, self._channel))
            except BadRequestError as error:
                if isinstance(error, RequestShapeError):
                    request_id = error.request_id
                self._channel.send(request_id, "error", code=error.code, message=str(error))

    def work(self) -> None:
        """Work off the queue, for ever."""
        for job in iter(self._queue.get, None):
            with self._lock:
                if self._open.get(job.id) is not job:
                    continue
                self._running = job
            self._run(job)

    def _admit(self, job: Job) -> None:
        self._registry.find(job.method)
        with self._lock:
            if job.id in self._open:
                raise BadRequestError(
                    f"request {job.id!r} is still open: give every request its own id"
                )
            self._open[job.id] = job
        self._queue.put(job)

    def _control(self, method: str, params: dict[str, Any]) -> bool:
        """Pass a ``cancel`` or ``action`` on; False if the request it is for is not open (any more)."""
        target, action = params.get("id"), params.get("action")
        if not isinstance(target, (int, str)) or (
            method == "action" and not isinstance(action, str)
        ):
            raise BadRequestError(
                f"{method} needs the id of a request{' and an action' * (method == 'action')}"
            )
        with self._lock:
            job = self._open.get(target)
            waiting = job is not None and job is not self._running
            if waiting and method == "cancel":
                del self._open[target]
        if job is None:
            return False
        if isinstance(action, str) and method == "action":
            job.act(action)
        elif waiting:
            job.error("cancelled", "cancelled before it began")
        else:
            job.cancel()
        return True

    def _run(self, job: Job) -> None:
        try:
            with warnings_to(job):
                answer = self._registry.find(job.method)(job)
            self._close(job)
            job.result(**answer)
        except Exception as error:
            code, message = explain(error)
            if code == "internal":
                traceback.print_exc(file=sys.stderr)
            self._close(job)
            job.error(code, message)

    def _close(self, job: Job) -> None:
        """Free the id of a job, before its last event is sent: the client may use the id again at once."""
        with self._lock:
            self._running = None
            self._open.pop(job.id, None)


@contextmanager
def warnings_to(job: Job) -> Iterator[None]:
    """Send the engine's own warnings as log events, and drop those of other packages."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        job.log(" ".join(str(message).split()), "warning")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"rprloc\b|rprtrain\b")
        warnings.showwarning = show
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stdin closes; does not return."""
    parser = argparse.ArgumentParser(
        prog="rprloc.worker", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--plugin", action="append", default=[], metavar="MODULE")
    plugins = parser.parse_args(argv).plugin
    requests, events = claim_pipes()
    leaving = Exit()
    # Ctrl-C in the terminal that started Slicer reaches the worker too; the client alone decides
    # when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: leaving.now())
    registry = Registry()
    register(registry, leaving)
    for name in plugins:
        importlib.import_module(name).register(registry)
    desk = RequestServer(Channel(events, leaving.now), registry)

    def read() -> None:
        try:
            desk.read(requests)
        finally:
            leaving.now()

    threading.Thread(target=read, name="requests", daemon=True).start()
    desk.work()
    return 0
