"""Requests as jobs, which the reading thread can cancel and steer while they are worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Literal

from .errors import BadRequestError, CancelledError
from .pipes import Channel, RequestId

Level = Literal["info", "warning"]
Method = Callable[["Job"], dict[str, Any]]


class Job:
    """One request while it is worked on; what a method talks to the client with.

    A method returns the fields of its ``result`` event, or raises: an RprLocError becomes the
    ``error`` event. Long work calls ``check`` between its steps and may obey ``take_action``
    (``pause``, ``stop``, ...).
    """

    def __init__(
        self, request_id: RequestId, method: str, params: dict[str, Any], channel: Channel
    ) -> None:
        self.id = request_id
        self.method = method
        self.params = params
        self._channel = channel
        self._cancelled = threading.Event()
        self._actions: queue.SimpleQueue[str] = queue.SimpleQueue()

    @property
    def cancelled(self) -> bool:
        """True once the client has cancelled this request."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the method to stop."""
        self._cancelled.set()

    def act(self, action: str) -> None:
        """Hand an action of the client to the method."""
        self._actions.put(action)

    def take_action(self, wait_s: float = 0.0) -> str | None:
        """The oldest action not yet taken, or None if none comes within ``wait_s`` seconds."""
        try:
            return self._actions.get(block=wait_s > 0, timeout=wait_s or None)
        except queue.Empty:
            return None

    def check(self, done: str = "") -> None:
        """Raise CancelledError if the client has cancelled; ``done`` says what is complete."""
        if self.cancelled:
            raise CancelledError(f"cancelled{': ' if done else ''}{done}")

    def progress(
        self,
        phase: str,
        message: str,
        done: int = 0,
        total: int = 0,
        seconds_left: float | None = None,
    ) -> None:
        """Send where the work is.

        Args:
            phase: where the work is, for programs.
            message: the same for people.
            done: how many parts are complete.
            total: how many parts there are; 0 if unknown.
            seconds_left: None if unknown.
        """
        left = None if seconds_left is None else round(seconds_left, 1)
        self._channel.send(
            self.id,
            "progress",
            phase=phase,
            message=message,
            done=done,
            total=total,
            seconds_left=left,
        )

    def partial(self, **fields: Any) -> None:
        """Send a finished part of the result."""
        self._channel.send(self.id, "partial", **fields)

    def log(self, message: str, level: Level = "info") -> None:
        """Send a line for the log."""
        self._channel.send(self.id, "log", level=level, message=message)

    def result(self, **fields: Any) -> None:
        """Send the result."""
        self._channel.send(self.id, "result", **fields)

    def error(self, code: str, message: str) -> None:
        """Send why there is no result."""
        self._channel.send(self.id, "error", code=code, message=message)


class Registry:
    """The methods by name; a plug-in's ``register(registry)`` adds its own."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def add(self, name: str, method: Method) -> None:
        """Add a method. Raises ValueError if the name is taken."""
        if name in self._methods:
            raise ValueError(f"method {name!r} is there already")
        self._methods[name] = method

    def names(self) -> list[str]:
        """All method names, sorted."""
        return sorted(self._methods)

    def find(self, name: str) -> Method:
        """The method of that name; raises BadRequestError."""
        if name not in self._methods:
            raise BadRequestError(
                f"there is no method {name[:80]!r}: see the methods that hello lists"
            )
        return self._methods[name]
