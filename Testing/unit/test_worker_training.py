"""The worker's plug-in: scan, plan, train with pause and stop, find and resume, as a client would use it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_training import TINY, TINY_FINE
from workers import RecordedJob, Worker

from rprloc.card import read_card
from rprloc.errors import InputError, RprLocError
from rprloc.worker_errors import BadRequestError, CancelledError
from rprloc.worker_jobs import Registry
from rprtrain import workermethods, workerplugin
from rprtrain.jobcontrol import JobControl

STAGES = {"coarse": TINY.to_json(), "fine": TINY_FINE.to_json()}


def call(method: str, **params: Any) -> tuple[dict[str, Any], RecordedJob]:
    registry = Registry()
    workerplugin.register(registry)
    job = RecordedJob(method, **json.loads(json.dumps(params)))
    answer = registry.find(method)(job)
    json.dumps(answer, allow_nan=False)
    return answer, job


@pytest.fixture
def images(tmp_path: Path, sample: Any) -> Path:
    folder = tmp_path / "cts"
    folder.mkdir()
    for name, source in (("a", sample.reference), ("b", sample.query), ("c", sample.reference)):
        (folder / f"{name}.nii.gz").write_bytes(source.read_bytes())
    return folder


@pytest.fixture
def rows(images: Path) -> list[dict[str, Any]]:
    return call("train.scan", folder=str(images))[0]["rows"]


def test_a_scan_sends_every_row(images: Path) -> None:
    answer, job = call("train.scan", folder=str(images))
    assert [event["row"] for event in job.of_kind("partial")] == answer["rows"]
    assert [(row["name"], row["used"]) for row in answer["rows"]] == [("a", True), ("b", True), ("c", False)]
    assert (answer["used"], answer["patients"]) == (2, 2)
    assert [event["done"] for event in job.of_kind("progress") if event["total"]] == [1, 2, 3]
    with pytest.raises(BadRequestError, match="folder"):
        call("train.scan")
    with pytest.raises(InputError, match="no such folder"):
        call("train.scan", folder=str(images / "none"))


def test_a_plan_comes_with_the_presets(rows: list[dict[str, Any]]) -> None:
    answer, _ = call("train.plan", rows=rows, preset="from-my-data", device="cpu", minutes=6, measure=False)
    assert [preset["name"] for preset in answer["presets"]] == ["head-and-neck", "abdomen", "from-my-data"]
    assert answer["plan"]["volumes"] == 2 and answer["plan"]["stages"][0]["seconds"] == 180
    with pytest.raises(BadRequestError, match="minutes"):
        call("train.plan", rows=rows, minutes=-1)
    with pytest.raises(InputError, match="path"):
        call("train.plan", rows=[3])


def start(folder: Path, images: Path, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    usual = {"images": str(images), "rows": rows, "stages": STAGES, "stage": "coarse", "steps": 2, "device": "cpu"}
    return {"folder": str(folder), **usual, "name": "mine", "body_region": "phantom", **more}


def test_training_sends_events_and_ends_with_the_card(tmp_path: Path, images: Path, rows: list[dict[str, Any]]) -> None:
    rows[2]["used"] = True
    answer, job = call("train.start", **start(tmp_path / "m", images, rows, data_licence="CC0"))
    kinds = [event["kind"] for event in job.of_kind("partial")]
    assert kinds == [*["reading"] * 3, "begin", "validation", "saved", "exported", "finished"]
    assert (answer["state"], answer["card"]["name"]) == ("done", "mine")
    assert any("CTs to train on" in event["message"] for event in job.of_kind("log"))
    card = read_card(tmp_path / "m")
    assert card.training == {"source": "not stated", "licence": "CC0", "images": "cts"}
    runs = call("train.find", folder=str(tmp_path))[0]["runs"]
    assert [(run["folder"], run["state"], run["unfinished"]) for run in runs] == [(str(tmp_path / "m"), "done", False)]
    with pytest.raises(RprLocError, match="already"):
        call("train.start", **start(tmp_path / "m", images, rows))


@pytest.mark.parametrize(
    "wrong",
    [{"stage": "third"}, {"stages": {"coarse": {}}}, {"seed": "x"}, {"steps": 1.5}, {"device": 3}, {"rows": None}],
)
def test_wrong_requests_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        call("train.start", **{**start(tmp_path / "m", tmp_path, []), **wrong})
    with pytest.raises(BadRequestError, match="go on with"):
        call("train.start", folder=str(tmp_path), resume=True)


def test_a_control_obeys_actions() -> None:
    job = RecordedJob()
    control = JobControl(job)
    assert control.wish() == "go" and not control.stopped
    job.act("dance")
    job.act("pause")
    assert control.wish() == "pause" and "dance" in job.of_kind("log")[0]["message"]
    threading.Timer(0.05, lambda: job.act("continue")).start()
    assert control.wait() == "go" and control.wish() == "go"
    job.act("stop")
    assert control.stopped and control.wish() == "stop"
    job.act("continue")
    assert control.wait() == "go" and control.stopped
    job.cancel()
    with pytest.raises(CancelledError):
        control.wait()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    started = Worker(tmp_path, ["rprtrain.workerplugin"])
    yield started
    started.stop()


def wait_for(worker: Worker, request: int, fits: Callable[[dict[str, Any]], bool]) -> None:
    while not fits(event := worker.until(request, "partial", "result", "error")[-1]):
        assert event["event"] == "partial", event


def test_pause_kill_find_resume_stop(worker: Worker, tmp_path: Path, images: Path, rows: list[dict[str, Any]]) -> None:
    assert "train.start" in worker.ask("hello")["methods"]
    request = worker.send("train.start", **start(tmp_path / "m", images, rows, steps=100_000))
    wait_for(worker, request, lambda event: event.get("kind") == "step")
    worker.send("action", id=request, action="pause")
    wait_for(worker, request, lambda event: event.get("kind") == "paused")
    assert worker.close_input() == 0
    again = Worker(tmp_path, ["rprtrain.workerplugin"])
    try:
        (run,) = again.ask("train.find", folder=str(tmp_path))["runs"]
        assert run["unfinished"] and run["step"] >= 50 and run["request"]["name"] == "mine"
        request = again.send("train.start", folder=run["folder"], resume=True, device="cpu")
        wait_for(again, request, lambda event: event.get("kind") == "step" and event["step"] > run["step"])
        again.send("action", id=request, action="stop")
        last = again.until(request, "result", "error")[-1]
        assert last["event"] == "result" and last["state"] == "stopped" and last["card"]["name"] == "mine"
    finally:
        again.stop()
    assert read_card(tmp_path / "m").coarse.facts["stopped_early"]


def test_methods_are_those_registered() -> None:
    assert all(hasattr(workermethods, name.replace(".", "_")) for name in workerplugin.METHODS)
