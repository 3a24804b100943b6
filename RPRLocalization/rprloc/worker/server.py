"""The worker: JSON lines over stdin and stdout (docs/worker-protocol.md).

    python -m rprloc.worker [--plugin MODULE]...

It is the only way Slicer calls the engine. A plug-in is a module with ``register(registry)``. The
process ends as soon as stdin closes, also in the middle of work: killing QProcess kills only
Slicer's launcher, so nothing else tells the worker that its client is gone.
"""

from __future__ import annotations

import argparse
import importlib
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any, BinaryIO

from ..own_warnings import own_warnings
from .errors import BadRequestError, explain
from .job import Job, Registry
from .methods import CONTROL, register
from .pipes import Channel, RequestId, RequestShapeError, claim_pipes, lines_of, parse_request
from .shutdown import Shutdown


class RequestServer:
    """Takes requests from one thread and works them off, one after the other, in another.

    ``packages``: the packages of plug-ins, whose warnings reach the client as the engine's do.
    """

    def __init__(self, channel: Channel, registry: Registry, packages: Sequence[str] = ()) -> None:
        self._channel = channel
        self._registry = registry
        self._packages = packages
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._open: dict[RequestId, Job] = {}
        self._running: Job | None = None
        self._lock = threading.Lock()

    def read(self, requests: BinaryIO) -> None:
        """Take requests until the pipe closes; a line that is wrong is answered by an ``error``."""
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
                    continue  # cancelled while it waited
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
        """Pass a ``cancel`` or ``action`` on; False if its request is not open (any more)."""
        target, action = params.get("id"), params.get("action")
        if not isinstance(target, (int, str)):
            raise BadRequestError(f"{method} needs the id of a request")
        if method == "action" and not isinstance(action, str):
            raise BadRequestError("action needs the id of a request and an action")

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
            with own_warnings(lambda text: job.log(text, "warning"), self._packages):
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
        """Free the id of a job.

        Before its last event is sent: the client may use the id again at once.
        """
        with self._lock:
            self._running = None
            self._open.pop(job.id, None)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stdin closes, which ends the process."""
    parser = argparse.ArgumentParser(
        prog="rprloc.worker", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--plugin", action="append", default=[], metavar="MODULE")
    plugins = parser.parse_args(argv).plugin

    # Before anything else is imported, which might print.
    requests, events = claim_pipes()
    shutdown = Shutdown()
    # Ctrl-C in the terminal that started Slicer reaches the worker too; the client alone decides
    # when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: shutdown.now())

    registry = Registry()
    register(registry, shutdown)
    for name in plugins:
        importlib.import_module(name).register(registry)
    packages = [name.partition(".")[0] for name in plugins]
    server = RequestServer(Channel(events, shutdown.now), registry, packages)

    def read() -> None:
        try:
            server.read(requests)
        finally:
            shutdown.now()

    # Work stays in the main thread: libraries expect to be used there.
    threading.Thread(target=read, name="requests", daemon=True).start()
    server.work()
    return 0
