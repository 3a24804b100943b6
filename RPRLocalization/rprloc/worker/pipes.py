"""The two pipes of the worker: requests in, events out, one JSON object per line.

What any library prints must not end up between the events, and none may read the requests: both
pipes are moved to private descriptors; the standard ones lead to stderr and to nothing.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn

from .errors import BadRequestError

# Far above any template; a client that sends no line end must not fill the memory.
MAX_LINE_BYTES = 256 * 1024 * 1024
RequestId = int | str | None


class Channel:
    """Sends events; may be used from every thread.

    lost: called when the client no longer reads.
    """

    def __init__(self, stream: BinaryIO, lost: Callable[[], None]) -> None:
        self._stream = stream
        self._lost = lost
        self._lock = threading.Lock()

    def send(self, request_id: RequestId, event: str, **fields: Any) -> None:
        """Write one event.

        Raises ValueError for numbers that JSON does not have (NaN), TypeError for other objects.
        """
        line = json.dumps(
            {"id": request_id, "event": event, **fields}, allow_nan=False, separators=(",", ":")
        )
        try:
            with self._lock:
                self._stream.write(line.encode("ascii") + b"\n")
                self._stream.flush()
        except OSError:
            self._lost()


def claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol: (requests, events)."""
    sys.stdout.flush()
    requests, events = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(events, "wb")


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Whole lines until the pipe closes.

    A line that is too long comes as an empty one, without being kept in memory.
    """
    while line := stream.readline(MAX_LINE_BYTES):
        whole = line.endswith(b"\n")
        if not whole and len(line) < MAX_LINE_BYTES:
            return
        while not whole:
            rest = stream.readline(MAX_LINE_BYTES)
            if not rest:
                return
            line, whole = b"", rest.endswith(b"\n")
        yield line


def parse_request(line: bytes) -> tuple[RequestId, str, dict[str, Any]]:
    """Id, method and parameters of a request line; raises BadRequestError."""
    try:
        data = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("the request is not one line of JSON") from error
    if not isinstance(data, dict):
        raise BadRequestError("the request is not a JSON object")
    request_id, method, params = data.get("id"), data.get("method"), data.get("params", {})
    if isinstance(request_id, bool) or not isinstance(request_id, (int, str)):
        raise BadRequestError("the request needs an id, a number or a text")
    if not isinstance(method, str) or not isinstance(params, dict):
        raise RequestShapeError(request_id)
    return request_id, method, params


class RequestShapeError(BadRequestError):
    """A request that has an id, but no method or no parameters."""

    def __init__(self, request_id: RequestId) -> None:
        super().__init__("the request needs a method (text) and params (an object)")
        self.request_id = request_id


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
