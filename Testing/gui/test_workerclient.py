"""The worker client in Slicer's event loop.

Callbacks, cancelling, and workers that die, hang or talk nonsense.
"""

from __future__ import annotations

import os
import sys

import pytest
import qt
from RPRLocalizationLib.worker import process
from RPRLocalizationLib.worker.client import WorkerClient
from slicerhost.qt import failures
from support.paths import SUPPORT

KINDS = ("onProgress", "onPartial", "onLog", "onResult", "onError")
SIGKILL = 9


class Answers:
    """Callbacks of a request that keep what they are given.

    The loop is entered until the last one.
    """

    def __init__(self, host, client, method, params=None):
        self.events = []
        self._host = host
        self.request = client.request(method, params, **dict.fromkeys(KINDS, self.events.append))
        assert not self.events, "callbacks must not come before request() has returned"

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    def begun(self):
        self._host.waitFor(lambda: self.of("progress"))

    def last(self):
        self._host.waitFor(lambda: self.request.finished)
        assert self.events[-1]["event"] in ("result", "error")
        return self.events[-1]


class Launcher:
    """Makes clients, keeps their processes, and closes the clients at the end."""

    def __init__(self, host):
        self.host = host
        self.clients = []
        self.processes = []

    def client(self, **options):
        self.clients.append(WorkerClient(processFactory=self.process, **options))
        return self.clients[-1]

    def process(self):
        self.processes.append(qt.QProcess())
        return self.processes[-1]

    def close(self):
        for client in self.clients:
            client.close()
        self.host.waitFor(lambda: not any(map(isRunning, self.processes)))


def isRunning(process):
    try:
        return process.state() != qt.QProcess.NotRunning
    except (RuntimeError, ValueError):
        return False  # it has been deleted: PySide6 raises the one, PythonQt the other


@pytest.fixture
def launcher(host):
    started = Launcher(host)
    yield started
    started.close()


@pytest.fixture
def client(launcher):
    """A client of a worker that has the methods of unit/worker_plugin.py."""
    return launcher.client(
        arguments=process.workerArguments(["worker_plugin"]),
        environment=process.workerEnvironment([process.EXTENSION_FOLDER, SUPPORT]),
    )


@pytest.fixture
def scripted(launcher):
    """Makes the client of a worker that is a few lines of Python."""

    def make(lines):
        return launcher.client(program=sys.executable, arguments=["-c", "import sys, os\n" + lines])

    return make


def test_theWorkerStartsWithTheFirstRequestAndStays(host, launcher, client):
    assert not client.running
    hello = Answers(host, client, "hello")
    assert client.running and client.busy
    assert hello.last()["protocol"] == 1
    assert not client.busy
    assert Answers(host, client, "hello").last()["event"] == "result"
    assert len(launcher.processes) == 1


def test_everyEventReachesItsCallback(host, client):
    counting, warning = Answers(host, client, "test.count"), Answers(host, client, "test.warn")
    counting.begun()
    client.act(counting.request, "stop")
    assert counting.last()["stopped"] is True
    assert [event["event"] for event in counting.events] == ["progress", "result"]
    assert warning.last()["event"] == "result"
    assert [event["level"] for event in warning.of("log")] == ["warning"]


def test_eventsWithoutACallbackAreDropped(host, client):
    request = client.request("test.warn")
    host.waitFor(lambda: request.finished)


def test_anErrorHasCodeAndMessage(host, client):
    error = Answers(host, client, "no such method").last()
    assert (error["event"], error["code"]) == ("error", "bad-request")


def test_parametersThatJsonCannotHoldAreRefused(host, client):
    for value, kind in ((float("nan"), ValueError), (object(), TypeError)):
        with pytest.raises(kind):
            client.request("hello", {"value": value})
    assert not client.busy


def test_cancelIsObeyed(host, launcher, client):
    counting, waiting = Answers(host, client, "test.count"), Answers(host, client, "test.count")
    counting.begun()
    waiting.request.cancel()
    assert waiting.last()["code"] == "cancelled"
    counting.request.cancel()
    counting.request.cancel()
    assert counting.last()["code"] == "cancelled"
    counting.request.cancel()
    assert Answers(host, client, "hello").last()["event"] == "result"
    assert len(launcher.processes) == 1


def test_aWorkerThatDoesNotObeyIsGivenUp(host, launcher):
    client = launcher.client(
        arguments=process.workerArguments(["worker_plugin"]),
        environment=process.workerEnvironment([process.EXTENSION_FOLDER, SUPPORT]),
        cancelGraceMs=50,
    )
    hanging, behind = Answers(host, client, "test.hang"), Answers(host, client, "hello")
    hanging.begun()
    hanging.request.cancel()
    assert hanging.last()["code"] == "cancelled"
    assert behind.last()["code"] == "worker-died"
    host.waitFor(lambda: not isRunning(launcher.processes[0]))
    assert Answers(host, client, "hello").last()["event"] == "result"
    assert len(launcher.processes) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_aKilledWorkerIsReportedToAllAndTheNextRequestWorks(host, launcher, client):
    for number in (1, 2):
        hanging, waiting = Answers(host, client, "test.hang"), Answers(host, client, "hello")
        hanging.begun()
        os.kill(launcher.processes[-1].processId(), SIGKILL)
        for request in (hanging, waiting):
            error = request.last()
            assert error["code"] == "worker-died" and error["message"]
            assert len(request.of("error")) == 1
        assert not client.running and not client.busy
        assert Answers(host, client, "hello").last()["event"] == "result"
        assert len(launcher.processes) == number + 1


def test_theLastWordsOfAWorkerArePassedOnAndLogged(host, scripted, caplog):
    caplog.set_level("INFO")
    client = scripted("print('line 1\\nno space left', file=sys.stderr)\nsys.exit(3)")
    error = Answers(host, client, "hello").last()
    assert error["code"] == "worker-died"
    assert error["details"].splitlines() == ["line 1", "no space left", "exit code 3"]
    assert "RPRLoc worker: no space left" in caplog.messages


def test_aProgramThatCannotBeStartedIsReported(host, launcher, tmp_path):
    client = launcher.client(program=str(tmp_path / "missing"))
    for _ in range(2):
        error = Answers(host, client, "hello").last()
        assert error["code"] == "worker-died" and "started" in error["message"] and error["details"]
    assert not client.running


def test_linesMayComeInPiecesAndNonsenseIsSkipped(host, scripted, caplog):
    client = scripted(
        "sys.stdin.readline()\n"
        'for part in (b\'nonsense\\n\\xff\\n[1]\\n\', b\'{"id": 1, "event": "pro\','
        ' b\'gress"}\\n{"id": 1, \','
        ' b\'"event": "new"}\\n{"id": 99, "event": "result"}\\n\','
        ' b\'{"id": 1, "event": "result"}\\n\'):\n'
        "    os.write(1, part)\n"
        "sys.stdin.read()"
    )
    answers = Answers(host, client, "hello")
    answers.last()
    assert [event["event"] for event in answers.events] == ["progress", "result"]
    assert len([record for record in caplog.records if "not an event" in record.message]) == 3


def test_aCallbackThatFailsCostsNoOtherEvent(host, scripted):
    client = scripted(
        "sys.stdin.readline()\n"
        'os.write(1, b\'{"id": 1, "event": "progress"}\\n{"id": 1, "event": "result"}\\n\')\n'
        "sys.stdin.read()"
    )
    results = []
    client.request("hello", onProgress=lambda event: 1 / 0, onResult=results.append)
    host.waitFor(lambda: results)
    assert any("ZeroDivisionError" in problem for problem in failures.take())


def test_closingEndsTheProcessAndItsRequests(host, launcher, client):
    hanging = Answers(host, client, "test.hang")
    hanging.begun()
    client.close()
    assert hanging.last()["code"] == "cancelled"
    assert not client.running
    host.waitFor(lambda: not isRunning(launcher.processes[0]))
    client.close()
    assert Answers(host, client, "hello").last()["event"] == "result"


def test_theEventLoopTurnsWhileTheWorkerWorks(host, client):
    ticks = []
    timer = qt.QTimer()
    timer.connect("timeout()", lambda: ticks.append(1))
    counting = Answers(host, client, "test.count")
    timer.start(1)
    counting.begun()
    before = len(ticks)
    host.waitFor(lambda: len(ticks) > before + 20)
    assert not counting.request.finished
    timer.stop()
    counting.request.cancel()
    counting.last()


def test_pythonIsSlicersIfThereIsOne(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert process.pythonProgram() == sys.executable
    program = tmp_path / ("PythonSlicer.exe" if os.name == "nt" else "PythonSlicer")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert process.pythonProgram() == str(program)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "SlicerApp-real"))
    assert process.pythonProgram() == str(program)
    program.unlink()
    with pytest.raises(RuntimeError, match="PythonSlicer"):
        process.pythonProgram()


def test_theEnvironmentFindsTheEngineFirst(monkeypatch):
    own = str(process.EXTENSION_FOLDER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/other", own, ""]))
    environment = process.workerEnvironment(variables={"RPRLOC_MODELS": "/models"})
    assert environment.value("PYTHONPATH").split(os.pathsep) == [own, "/other"]
    assert environment.value("RPRLOC_MODELS") == "/models"
    assert (process.EXTENSION_FOLDER / "rprloc" / "worker" / "__main__.py").is_file()
