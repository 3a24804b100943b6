"""A worker process under test, and jobs without a process."""

from __future__ import annotations

import io
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rprloc.worker.job import Job
from rprloc.worker.pipes import Channel
from support.paths import SUPPORT, TESTING

PATIENCE_S = 120
Event = dict[str, Any]


class Worker:
    """Starts ``python -m rprloc.worker`` and talks to it; fails instead of waiting for ever."""

    def __init__(
        self, folder: Path, plugins: Sequence[str] = (), python_path: Sequence[Path] = ()
    ) -> None:
        arguments = [argument for plugin in plugins for argument in ("--plugin", plugin)]
        path = [*map(str, python_path), str(TESTING), str(SUPPORT), *sys.path]
        self._stderr = folder / "stderr.txt"
        with open(self._stderr, "wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rprloc.worker", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
            )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._others: list[Event] = []
        self._ids = itertools.count(1)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def write(self, line: bytes) -> None:
        """Send raw bytes."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def send(self, method: str, **params: Any) -> int:
        """Send a request and return its id."""
        request_id = next(self._ids)
        self.write(
            json.dumps({"id": request_id, "method": method, "params": params}).encode() + b"\n"
        )
        return request_id

    def event(self) -> Event:
        """The next event. Every line on stdout must be one."""
        line = self._lines.get(timeout=PATIENCE_S)
        assert line is not None, f"the worker has ended: {self.stderr}"
        event = json.loads(line)
        assert isinstance(event, dict) and {"id", "event"} <= set(event)
        return event

    def until(self, request_id: int | str | None, *kinds: str) -> list[Event]:
        """The events of a request up to the first of one of these kinds, that one included."""
        events: list[Event] = []
        while not events or events[-1]["event"] not in kinds:
            waiting = [event for event in self._others if event["id"] == request_id]
            event = waiting[0] if waiting else self.event()
            if waiting:
                self._others.remove(event)
            if event["id"] == request_id:
                events.append(event)
            else:
                self._others.append(event)
        return events

    def ask(self, method: str, **params: Any) -> Event:
        """The last event of a request."""
        return self.until(self.send(method, **params), "result", "error")[-1]

    def close_input(self) -> int:
        """Close stdin and return the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    @property
    def stderr(self) -> str:
        """What the worker has written to stderr so far."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End the process if it still runs, and close the pipes."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class RecordedJob(Job):
    """A job whose events are kept."""

    def __init__(self, method: str = "test", **params: Any) -> None:
        self._stream = io.BytesIO()
        super().__init__(1, method, params, Channel(self._stream, lambda: None))

    @property
    def events(self) -> list[Event]:
        """The events sent so far."""
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def of_kind(self, kind: str) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if event["event"] == kind]
