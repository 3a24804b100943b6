"""The worker as a process: protocol, control, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.paths import SUPPORT
from support.workers import PATIENCE_S, Worker


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    started = Worker(tmp_path, plugins=["worker_plugin"])
    yield started
    started.stop()


def test_hello_comes_without_torch(worker: Worker) -> None:
    hello = worker.ask("hello")
    assert hello["protocol"] == 1
    assert hello["torch"]
    assert {
        "hello",
        "models",
        "load",
        "template.make",
        "template.merge",
        "locate",
        "cancel",
    } <= set(hello["methods"])
    loaded = worker.ask("test.modules")["modules"]
    assert not {"torch", "numpy", "SimpleITK"} & set(loaded)


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b"garbage", None),
        (b"", None),
        (b"\xff\xfe", None),
        (b"[1, 2]", None),
        (b"[" * 100_000, None),
        (b'{"method": "hello"}', None),
        (b'{"id": true, "method": "hello"}', None),
        (b'{"id": NaN, "method": "hello"}', None),
        (b'{"id": 5}', 5),
        (b'{"id": 5, "method": "hello", "params": []}', 5),
        (b'{"id": "five", "method": "no such thing"}', "five"),
        (b'{"id": 5, "method": "cancel"}', 5),
        (b'{"id": 5, "method": "action", "params": {"id": 1}}', 5),
    ],
)
def test_a_bad_line_is_answered_and_the_next_one_works(
    worker: Worker, line: bytes, request_id: int | str | None
) -> None:
    worker.write(line + b"\n")
    event = worker.event()
    assert (event["id"], event["event"], event["code"]) == (request_id, "error", "bad-request")
    assert worker.ask("hello")["event"] == "result"


def test_a_line_of_any_length_is_read_as_one(worker: Worker) -> None:
    worker.write(
        b'{"id": 1, "method": "hello", "params": {"filler": "' + b"x" * 3_000_000 + b'"}}\n'
    )
    assert worker.until(1, "result", "error")[-1]["event"] == "result"


def test_what_libraries_print_does_not_reach_the_client(worker: Worker) -> None:
    answer = worker.ask("test.chatter")
    assert answer["read"] == ""
    assert worker.ask("hello")["event"] == "result"
    for text in ("from the descriptor", "from a child", '"event": "result"'):
        assert text in worker.stderr


def test_a_bug_is_one_line_and_the_worker_goes_on(worker: Worker) -> None:
    error = worker.ask("test.crash")
    assert (error["event"], error["code"]) == ("error", "internal")
    assert "KeyError" in error["message"] and "\n" not in error["message"]
    assert "Traceback" in worker.stderr
    assert worker.ask("test.unsendable")["code"] == "internal"
    assert worker.ask("hello")["event"] == "result"


def test_the_engines_warnings_are_log_events(worker: Worker) -> None:
    events = worker.until(worker.send("test.warn"), "result")
    assert [(e["event"], e.get("level"), e.get("message")) for e in events[:-1]] == [
        ("log", "warning", "two series, the longer was read")
    ]


def test_cancel_reaches_a_running_request(worker: Worker) -> None:
    running = worker.send("test.count")
    worker.until(running, "progress")
    cancel = worker.send("cancel", id=running)
    assert worker.until(cancel, "result")[-1]["accepted"] is True
    error = worker.until(running, "error", "result")[-1]
    assert error["code"] == "cancelled" and "rounds" in error["message"]


def test_cancel_ends_a_waiting_request_at_once(worker: Worker) -> None:
    running, waiting = worker.send("test.count"), worker.send("hello")
    worker.send("cancel", id=waiting)
    assert worker.until(waiting, "error", "result")[-1]["code"] == "cancelled"
    worker.send("action", id=running, action="stop")
    assert worker.until(running, "error", "result")[-1]["stopped"] is True
    assert worker.ask("hello")["event"] == "result"


def test_cancelling_what_is_over_is_not_accepted(worker: Worker) -> None:
    assert worker.ask("cancel", id=99)["accepted"] is False


def test_an_id_must_not_be_open_twice(worker: Worker) -> None:
    worker.write(b'{"id": "a", "method": "test.count"}\n')
    worker.until("a", "progress")
    worker.write(b'{"id": "a", "method": "hello"}\n')
    assert worker.until("a", "error", "result")[-1]["code"] == "bad-request"
    worker.send("action", id="a", action="stop")
    assert worker.until("a", "error", "result")[-1]["event"] == "result"


def test_closing_stdin_ends_it_in_the_middle_of_work(worker: Worker, tmp_path: Path) -> None:
    exchange = [tmp_path / "rprloc-one", tmp_path / "rprloc-two"]
    for folder in exchange:
        folder.mkdir()
        np.save(folder / "ct.npy", np.zeros((2, 2, 2)))
        assert worker.ask("hello", folder=str(folder))["event"] == "result"
    (exchange[1] / "mine.txt").write_text("not an array")
    worker.until(worker.send("test.hang"), "progress")
    assert worker.close_input() == 0
    assert not exchange[0].exists()
    assert [path.name for path in exchange[1].iterdir()] == ["mine.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM between processes")
def test_sigterm_ends_it_and_an_interrupt_does_not(worker: Worker, tmp_path: Path) -> None:
    folder = tmp_path / "rprloc-x"
    folder.mkdir()
    worker.ask("hello", folder=str(folder))
    worker.process.send_signal(signal.SIGINT)
    assert worker.ask("hello")["event"] == "result"
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(PATIENCE_S) == 0
    assert not folder.exists()


def test_a_client_that_no_longer_reads_ends_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rprloc.worker", "--plugin", "worker_plugin"]
    path = os.pathsep.join([str(SUPPORT), *sys.path])
    with (
        open(tmp_path / "stderr.txt", "wb") as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": path},
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b'{"id": 1, "method": "test.flood"}\n')
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 0


def test_only_a_folder_of_ours_is_cleaned(worker: Worker, tmp_path: Path) -> None:
    other = tmp_path / "home"
    other.mkdir()
    np.save(other / "ct.npy", np.zeros(1))
    for folder in (str(other), "rprloc-relative", str(tmp_path / "rprloc-missing"), 7):
        assert worker.ask("hello", folder=folder)["code"] == "bad-request"
    assert worker.close_input() == 0
    assert (other / "ct.npy").exists()


def test_a_broken_torch_is_reported(tmp_path: Path) -> None:
    package = tmp_path / "broken" / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise OSError('libc10.so is missing')")
    worker = Worker(tmp_path, python_path=[tmp_path / "broken"])
    try:
        for method in ("models", "devices", "locate"):
            error = worker.ask(method)
            assert error["code"] == "no-torch" and "libc10.so" in error["message"]
        assert worker.ask("hello")["event"] == "result"
    finally:
        worker.stop()
