"""The client of the worker (docs/worker-protocol.md).

Requests with callbacks, over a process that may die.

Nothing here waits: callbacks come from the event loop, on the thread of the application.
"""

import itertools
import logging
from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from .process import WorkerProcess, pythonProgram, workerArguments, workerEnvironment

CANCEL_GRACE_MS = 3000
CANCELLED = "cancelled"
WORKER_DIED = "worker-died"


class WorkerRequest:
    """A request on its way; ``finished`` once its result or error was reported."""

    def __init__(self, client: Any, requestId: Any, method: Any, callbacks: Any) -> None:
        self._client = client
        self.id = requestId
        self.method = method
        self.callbacks = callbacks
        self.link = None
        self.cancelled = False
        self.finished = False

    def cancel(self) -> None:
        """Stop the request.

        It ends with the error ``cancelled``, or with its result if that came first.
        """
        self._client.cancel(self)


class WorkerClient:
    """Starts the worker when it is first needed, and again after it has died.

    processFactory: gives a new qt.QProcess. program, arguments, environment: of the process; by
    default the worker of this extension in PythonSlicer. cancelGraceMs: a worker that is still busy
    so long after a cancel is given up.

    Example::

        client = WorkerClient()
        request = client.request("models", onResult=lambda result: print(result["models"]))
    """

    def __init__(
        self,
        processFactory: Any = None,
        program: Any = None,
        arguments: Any = None,
        environment: Any = None,
        cancelGraceMs: Any = CANCEL_GRACE_MS,
    ) -> None:
        self._processFactory = processFactory or qt.QProcess
        self._program = program
        self._arguments = arguments if arguments is not None else workerArguments()
        self._environment = environment
        self._cancelGraceMs = cancelGraceMs
        self._ids = itertools.count(1)
        self._requests: dict[int, Any] = {}
        self._link: Any = None

    @property
    def running(self) -> bool:
        """True while there is a worker process."""
        return self._link is not None

    @property
    def busy(self) -> bool:
        """True while a request has neither a result nor an error."""
        return bool(self._requests)

    def start(self) -> None:
        """Start the worker, if there is none, so that the first request does not wait for it."""
        self._currentLink()

    def request(
        self,
        method: Any,
        params: dict[str, Any] | None = None,
        onProgress: Callable[..., Any] | None = None,
        onPartial: Callable[..., Any] | None = None,
        onLog: Callable[..., Any] | None = None,
        onResult: Callable[..., Any] | None = None,
        onError: Callable[..., Any] | None = None,
    ) -> Any:
        """Send a request; every callback gets one dict, the event (see docs/worker-protocol.md).

        Exactly one of onResult and onError is called, once, after this method has returned. Errors
        of the client itself have the code ``worker-died`` or ``cancelled``, and ``details``: the
        last lines of the worker's stderr. Gives a WorkerRequest. Raises TypeError or ValueError for
        params that JSON cannot hold.
        """
        callbacks = {
            "progress": onProgress,
            "partial": onPartial,
            "log": onLog,
            "result": onResult,
            "error": onError,
        }
        request = WorkerRequest(self, next(self._ids), method, callbacks)
        link = self._currentLink()
        self._requests[request.id] = request
        request.link = link
        try:
            sent = link.send({"id": request.id, "method": method, "params": params or {}})
        except (TypeError, ValueError):
            del self._requests[request.id]
            raise
        if not sent:
            self._failLater([request], link)
        return request

    def cancel(self, request: Any) -> None:
        """Ask the worker to stop a request, and give the worker up if it does not obey in time."""
        if request.finished or request.cancelled:
            return
        request.cancelled = True
        request.link.send({"id": next(self._ids), "method": "cancel", "params": {"id": request.id}})
        qt.QTimer.singleShot(self._cancelGraceMs, lambda: self._enforceCancel(request))

    def act(self, request: Any, action: str) -> None:
        """Send an action (``pause``, ``stop``, ...) to a request that understands it."""
        if not request.finished:
            params = {"id": request.id, "action": action}
            request.link.send({"id": next(self._ids), "method": "action", "params": params})

    def close(self) -> None:
        """End the worker; open requests end with ``cancelled``. It starts again if needed."""
        if self._link is not None:
            self._link.leave()
        for request in list(self._requests.values()):
            self._finish(request, self._cancelledEvent(request))

    def _currentLink(self) -> Any:
        if self._link is not None:
            return self._link
        link = WorkerProcess(
            self._processFactory(),
            self._program or pythonProgram(),
            self._arguments,
            self._environment or workerEnvironment(),
            self._onEvent,
            self._onEnd,
        )
        self._link = None if link.ended else link
        return link

    def _onEvent(self, event: Any) -> None:
        request = self._requests.get(event.get("id"))
        kind = event.get("event")
        if request is None:
            if kind == "error":
                logging.warning("RPRLoc: %s", event.get("message"))
            return
        if kind in ("result", "error"):
            self._finish(request, event)
        elif request.callbacks.get(kind) is not None:
            request.callbacks[kind](event)

    def _finish(self, request: Any, event: Any) -> None:
        """Report the last event of a request."""
        self._requests.pop(request.id, None)
        if not request.finished:
            request.finished = True
            callback = request.callbacks[event["event"]]
            if callback is not None:
                callback(event)

    def _onEnd(self, link: Any) -> None:
        """The process has ended: whoever still waits for it is told."""
        if self._link is link:
            self._link = None
        self._failLater(
            [request for request in self._requests.values() if request.link is link], link
        )

    def _failLater(self, requests: Any, link: Any) -> None:
        """Report the death of the worker from the event loop.

        Callbacks never come while a request is being made.
        """
        for request in requests:
            event = (
                self._cancelledEvent(request)
                if request.cancelled
                else self._diedEvent(request, link)
            )
            qt.QTimer.singleShot(
                0, lambda request=request, event=event: self._finish(request, event)
            )

    def _enforceCancel(self, request: Any) -> None:
        """Give up a worker that did not stop.

        Closing its stdin ends it at once, and the next request starts anew.
        """
        if request.finished:
            return
        self._finish(request, self._cancelledEvent(request))
        request.link.leave()

    @staticmethod
    def _cancelledEvent(request: Any) -> dict[str, str]:
        return {
            "id": request.id,
            "event": "error",
            "code": CANCELLED,
            "message": _("Cancelled"),
            "details": "",
        }

    @staticmethod
    def _diedEvent(request: Any, link: Any) -> dict[str, str]:
        if link.started:
            message = _(
                "The localization process ended unexpectedly; the next run starts a new one"
            )
        else:
            message = _("The localization process could not be started")
        return {
            "id": request.id,
            "event": "error",
            "code": WORKER_DIED,
            "message": message,
            "details": link.details(),
        }
