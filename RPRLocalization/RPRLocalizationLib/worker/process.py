"""One life of the worker process: JSON lines over its pipes, until it ends."""

import json
import logging
import os
import shutil
import sys
from collections import deque
from pathlib import Path
from typing import Any

import qt

STDERR_LINES = 20
SHOWN_LINES = 5
END_GRACE_MS = 5000


class WorkerProcess:
    """Starts a process and talks to it; never waits for it.

    onEvent(event): every event of the worker, a dict. onEnd(link): once, when the process has ended
    or could not be started; nothing comes after it, and on Windows it may come before the
    constructor returns. ``ended`` is True from then on, and ``reason`` says why.
    """

    def __init__(
        self, process: Any, program: Any, arguments: Any, environment: Any, onEvent: Any, onEnd: Any
    ) -> None:
        self._process = process
        self._onEvent = onEvent
        self._onEnd = onEnd
        self._buffer = b""
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self.ended = False
        self.started = False
        self.reason = ""
        process.setProcessEnvironment(environment)
        self._slots: tuple[Any, ...] = (
            ("started()", self._onStarted),
            ("readyReadStandardOutput()", self._readEvents),
            ("readyReadStandardError()", self._readMessages),
            ("finished(int,QProcess::ExitStatus)", self._onFinished),
            ("errorOccurred(QProcess::ProcessError)", self._onErrorOccurred),
        )
        for signal, slot in self._slots:
            process.connect(signal, slot)
        process.start(program, arguments)

    def send(self, message: Any) -> bool:
        """Send one request (a dict that JSON can hold); False if the process has ended."""
        if self.ended:
            return False
        self._process.write(json.dumps(message, allow_nan=False).encode("ascii") + b"\n")
        return True

    def leave(self) -> None:
        """Give the process up: no more events.

        Its stdin closes, so it ends at once, also in the middle of work.

        A process that still does not end is killed. In Slicer that ends the launcher only, which
        closes stdin as well.
        """
        if self.ended:
            return
        process = self._process
        for signal, slot in self._slots:
            process.disconnect(signal, slot)
        process.connect("finished(int,QProcess::ExitStatus)", self._release)
        process.closeWriteChannel()
        self._end("given up")
        qt.QTimer.singleShot(END_GRACE_MS, self._kill)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _release(self) -> None:
        """Let go of a process that has ended, but not within its own signal."""
        process, self._process, self._slots = self._process, None, ()
        qt.QTimer.singleShot(0, lambda: process.deleteLater())

    def details(self) -> str:
        """The last lines that the worker wrote to stderr, and why it ended, as one text."""
        return "\n".join([*list(self._stderr)[-SHOWN_LINES:], *filter(None, [self.reason])])

    def _onStarted(self) -> None:
        self.started = True

    def _readEvents(self) -> None:
        *lines, self._buffer = (
            self._buffer + content(self._process.readAllStandardOutput())
        ).split(b"\n")
        failure = None
        for line in lines:
            try:
                self._handle(line)
            except Exception as error:
                # One callback that fails must not cost the events behind it; it is still reported.
                failure = failure or error
        if failure is not None:
            raise failure

    def _handle(self, line: Any) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            self._onEvent(event)
        else:
            logging.warning(
                "RPRLoc: the worker sent something that is not an event: %r", line[:200]
            )

    def _readMessages(self) -> None:
        text = content(self._process.readAllStandardError()).decode("utf-8", errors="replace")
        for line in filter(str.strip, text.splitlines()):
            self._stderr.append(line)
            logging.info("RPRLoc worker: %s", line)

    def _onFinished(self, exitCode: int = 0, exitStatus: Any = None) -> None:
        try:
            self._readEvents()
            self._readMessages()
        finally:
            self._release()
            self._end(f"exit code {exitCode}")

    def _onErrorOccurred(self, error: Any) -> None:
        if error == qt.QProcess.FailedToStart:
            reason = self._process.errorString()
            self._release()
            self._end(reason)

    def _end(self, reason: Any) -> None:
        if not self.ended:
            self.ended = True
            self.reason = reason
            self._onEnd(self)


def content(byteArray: Any) -> bytes:
    """The bytes of a QByteArray; PythonQt may give None for an empty one."""
    return byteArray.data() or b""


EXTENSION_FOLDER = Path(__file__).resolve().parents[2]


def pythonProgram() -> str:
    """Path of the Python that runs the worker: PythonSlicer in Slicer, else the running Python.

    Raises RuntimeError if there is none.
    """
    found = shutil.which("PythonSlicer")
    if found:
        return found
    running = Path(sys.executable or "")
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    for candidate in (running.with_name(name), running):
        if candidate.is_file() and candidate.stem.lower().startswith("python"):
            return str(candidate)
    raise RuntimeError("PythonSlicer was not found: install Slicer again")


def workerArguments(plugins: Any = ()) -> list[str]:
    """Arguments of ``pythonProgram`` for a worker with these plug-in modules."""
    arguments = ["-m", "rprloc.worker"]
    for plugin in plugins:
        arguments += ["--plugin", plugin]
    return arguments


def workerEnvironment(folders: Any = (EXTENSION_FOLDER,), variables: Any = None) -> Any:
    """This process's environment for a worker.

    ``folders`` come before the others on PYTHONPATH, and ``variables`` are set.
    """
    environment = qt.QProcessEnvironment.systemEnvironment()
    known = [folder for folder in environment.value("PYTHONPATH", "").split(os.pathsep) if folder]
    first = [str(folder) for folder in folders]
    environment.insert(
        "PYTHONPATH", os.pathsep.join([*first, *(f for f in known if f not in first)])
    )
    for name, value in (variables or {}).items():
        environment.insert(name, value)
    return environment
