"""The worker's plug-in as a client would use it: scan, plan, train, pause, find, resume."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.trainings.tiny_training import TINY, TINY_FINE
from support.trainings.training_calls import call
from support.workers import RecordedJob, Worker

from rprloc.errors import InputError, RprLocError
from rprloc.model.card import read_card
from rprloc.worker.errors import BadRequestError, CancelledError, WorkerError
from rprtrain.optimization.events import TrainingEvent
from rprtrain.worker import methods, plugin, scan
from rprtrain.worker.job_control import JobControl

STAGES = {"coarse": TINY.to_json(), "fine": TINY_FINE.to_json()}


@pytest.fixture
def images(tmp_path: Path, sample: Any) -> Path:
    folder = tmp_path / "cts"
    folder.mkdir()
    for name, source in (("a", sample.reference), ("b", sample.query), ("c", sample.reference)):
        (folder / f"{name}.nii.gz").write_bytes(source.read_bytes())
    return folder


@pytest.fixture
def rows(images: Path) -> list[dict[str, Any]]:
    return [event["row"] for event in call("train.scan", folder=str(images))[1].of_kind("partial")]


def test_a_scan_sends_every_row(images: Path) -> None:
    answer, job = call("train.scan", folder=str(images))
    rows = [event["row"] for event in job.of_kind("partial")]
    assert [(row["name"], row["used"]) for row in rows] == [("a", True), ("b", True), ("c", False)]
    assert answer == {"used": 2, "left_out": 1, "patients": 2}
    assert [event["done"] for event in job.of_kind("progress") if event["total"]] == [1, 2, 3]
    with pytest.raises(BadRequestError, match="folder"):
        call("train.scan")
    with pytest.raises(InputError, match="no such folder"):
        call("train.scan", folder=str(images / "none"))


def test_a_plan_of_the_rows(rows: list[dict[str, Any]], tiny_model: Path) -> None:
    changes = {"coarse": {"spacing": 3.0}}
    settings = {
        "rows": rows,
        "preset": "from-data",
        "device": "cpu",
        "minutes": 6,
        "measure": False,
    }
    assert (
        "another shape" in call("train.plan", **settings, start_from=str(tiny_model))[0]["problem"]
    )
    same = call("train.plan", **{**settings, "preset": "abdomen"}, start_from="han-ct")[0]
    assert same["problem"] == "" and any("han-ct" in note for note in same["notes"])
    plan, _ = call("train.plan", **settings, changes=changes, start_from="")
    assert (plan["training"], plan["held_out"], plan["patients"], plan["problem"]) == (1, 1, 2, "")
    assert plan["stages"][0]["seconds"] == 180 and plan["stages"][0]["spacing"] == 3.0
    assert "2 patients" in plan["notes"][0] and plan["memory_gb"] > 0 and plan["gpu_gb"] is None
    assert "at least 2" in call("train.plan", **{**settings, "rows": []})[0]["problem"]
    with pytest.raises(BadRequestError, match="minutes"):
        call("train.plan", rows=rows, minutes=-1)
    with pytest.raises(InputError, match="path"):
        call("train.plan", rows=[3])
    with pytest.raises(InputError, match="cannot be changed"):
        call("train.plan", rows=rows, changes={"coarse": {"name": "x"}})


def start(folder: Path, images: Path, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    settings = {
        "images": str(images),
        "rows": rows,
        "stages": STAGES,
        "stage": "coarse",
        "steps": 2,
        "device": "cpu",
    }
    return {"out": str(folder), **settings, "name": "mine", "body_region": "phantom", **more}


def test_training_sends_events_and_ends_with_the_card(
    tmp_path: Path, images: Path, rows: list[dict[str, Any]]
) -> None:
    rows[2]["used"] = True
    answer, job = call(
        "train.start", **start(tmp_path / "m", images, rows, data={"licence": "CC0"})
    )
    events = [event["progress"] for event in job.of_kind("partial")]
    # How many steps are told depends on how fast they are.
    kinds = [event["kind"] for event in events if event["kind"] != "step"]
    assert kinds == [*["reading"] * 3, "begin", "validation", "saved", "exported", "finished"]
    assert [event["total_fraction"] for event in events][-3:] == [1.0, 1.0, 1.0]
    assert (answer["state"], answer["steps"], answer["card"]["name"]) == ("done", 2, "mine")
    assert answer["model"] == answer["folder"] == str(tmp_path / "m")
    assert any("CTs to train on" in event["message"] for event in job.of_kind("log"))
    card = read_card(tmp_path / "m")
    assert card.training == {"source": "not stated", "licence": "CC0", "images": "cts"}
    runs = call("train.find", folders=[str(tmp_path), str(tmp_path / "m")])[0]["runs"]
    assert [(run["model"], run["state"], run["unfinished"]) for run in runs] == [
        (str(tmp_path / "m"), "done", False)
    ]
    with pytest.raises(RprLocError, match="already"):
        call("train.start", **start(tmp_path / "m", images, rows))


@pytest.mark.parametrize(
    "wrong",
    [
        {"stage": "third"},
        {"stages": {"coarse": {}}},
        {"seed": "x"},
        {"steps": 1.5},
        {"device": 3},
        {"rows": None},
    ],
)
def test_wrong_requests_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        call("train.start", **{**start(tmp_path / "m", tmp_path, []), **wrong})
    with pytest.raises(InputError, match="go on with"):
        call("train.start", resume=str(tmp_path))


def test_a_control_obeys_actions() -> None:
    job = RecordedJob()
    control = JobControl(job)
    assert control.requested_action() == "go" and not control.stopped
    job.act("dance")
    job.act("pause")
    assert control.requested_action() == "pause" and "dance" in job.of_kind("log")[0]["message"]
    threading.Timer(0.05, lambda: job.act("continue")).start()
    assert control.wait() == "go" and control.requested_action() == "go"
    job.act("stop")
    assert control.stopped and control.requested_action() == "stop"
    job.act("continue")
    assert control.wait() == "go" and control.stopped
    job.cancel()
    with pytest.raises(CancelledError):
        control.wait()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    started = Worker(tmp_path, ["rprtrain.worker.plugin"])
    yield started
    started.stop()


def wait_for(worker: Worker, request: int, fits: Callable[[dict[str, Any]], bool]) -> None:
    while not fits(
        (event := worker.until(request, "partial", "result", "error")[-1]).get("progress", {})
    ):
        assert event["event"] == "partial", event


def test_pause_kill_find_resume_stop(
    worker: Worker, tmp_path: Path, images: Path, rows: list[dict[str, Any]]
) -> None:
    assert "train.start" in worker.ask("hello")["methods"]
    request = worker.send("train.start", **start(tmp_path / "m", images, rows, steps=100_000))
    wait_for(worker, request, lambda event: event.get("kind") == "step")
    worker.send("action", id=request, action="pause")
    wait_for(worker, request, lambda event: event.get("kind") == "paused")
    assert worker.close_input() == 0
    again = Worker(tmp_path, ["rprtrain.worker.plugin"])
    try:
        (run,) = again.ask("train.find", folders=[str(tmp_path)])["runs"]
        assert run["unfinished"] and run["step"] >= 1 and run["name"] == "mine"
        request = again.send("train.start", resume=run["folder"], device="cpu")
        wait_for(
            again,
            request,
            lambda event: event.get("kind") == "step" and event["step"] > run["step"],
        )
        again.send("action", id=request, action="stop")
        last = again.until(request, "result", "error")[-1]
        assert (
            last["event"] == "result"
            and last["state"] == "stopped"
            and last["card"]["name"] == "mine"
        )
    finally:
        again.stop()
    assert read_card(tmp_path / "m").coarse.facts["stopped_early"]


def test_the_whole_training_is_told_of() -> None:
    step = TrainingEvent("step", "coarse", 5, 0.5, seconds_left=60.0)
    assert methods.overall(step, ["coarse", "fine"]) == {
        "total_fraction": 0.25,
        "total_seconds_left": 180.0,
    }
    reading = TrainingEvent("reading", "fine", fraction=0.9)
    assert methods.overall(reading, ["coarse", "fine"])["total_fraction"] == 0.5


def test_every_line_is_logged_once() -> None:
    job = RecordedJob()
    lines = methods.TrainingLog(job)
    for line, event in (
        ("coarse: reading", TrainingEvent("begin")),
        ("coarse step 3: out of memory", TrainingEvent("note", message="step 3: out of memory")),
        ("last", None),
    ):
        lines.report(line)
        if event is not None:
            lines.on_event(event)
    lines.flush()
    logged = [(event["level"], event["message"]) for event in job.of_kind("log")]
    assert logged == [
        ("info", "coarse: reading"),
        ("warning", "coarse step 3: out of memory"),
        ("info", "last"),
    ]


def test_models_are_installed_and_exchanged(tiny_model: Path, tmp_path: Path) -> None:
    into, archive = str(tmp_path / "models"), str(tmp_path / "t.zip")
    place = call("model.install", folder=str(tiny_model), into=into)[0]
    assert place["card"]["name"] == "tiny" and Path(place["folder"]).parent == tmp_path / "models"
    with pytest.raises(WorkerError) as caught:
        call("model.install", folder=str(tiny_model), into=into, replace=False)
    assert caught.value.code == "exists"
    written = call("model.export", folder=place["folder"], path=archive)[0]
    assert written == {"path": archive, "bytes": Path(archive).stat().st_size}
    assert call("model.import", path=archive, into=into, replace=True)[0] == place


def test_methods_are_there_and_light_ones_do_without_torch() -> None:
    assert set(methods.METHODS) == set(plugin.HEAVY)
    assert set(scan.METHODS) == set(plugin.LIGHT)
    imports = "import rprtrain.worker.plugin, rprtrain.worker.scan, sys"
    code = f"{imports}; assert 'torch' not in sys.modules"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
