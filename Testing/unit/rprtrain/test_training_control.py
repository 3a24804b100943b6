"""A training under way: events, pause, stop, memory and disk that run out, what is left on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.trainings.tiny_training import CPU, TINY, TINY_FINE, make_trainer, phantom_volume

from rprloc.errors import InputError, OutputError
from rprloc.model.card import read_card
from rprtrain import checkpoint
from rprtrain.checkpoint import load_checkpoint
from rprtrain.data.dataset import TrainingVolume
from rprtrain.data.sources import ImageSource
from rprtrain.optimization import trainer
from rprtrain.optimization.averaging import better
from rprtrain.optimization.control import Control, RequestedAction, retry_until_written
from rprtrain.optimization.events import TrainingEvent
from rprtrain.optimization.validation import Validation
from rprtrain.run import stage as run_stage
from rprtrain.run.record import find_runs, is_locked, locked, read_run
from rprtrain.run.request import TrainingRequest
from rprtrain.run.train import train_model


class Script(Control):
    """Answers from lists: ``wishes`` before each step (then go), ``answers`` to waits."""

    can_wait = True

    def __init__(self, wishes: list[RequestedAction], answers: list[RequestedAction]) -> None:
        super().__init__()
        self.wishes, self.answers, self.last = wishes, answers, "go"

    def requested_action(self) -> RequestedAction:
        self.last = self.wishes.pop(0) if self.wishes else "go"
        return self.last

    def wait(self) -> RequestedAction:
        self.last = self.answers.pop(0) if self.answers else "stop"
        return self.last

    @property
    def stopped(self) -> bool:
        return self.last == "stop"


@pytest.fixture(scope="module")
def volumes() -> list[TrainingVolume]:
    return [phantom_volume(f"p{n}", 0.9 + 0.05 * n) for n in range(3)]


def kinds(told: list[TrainingEvent]) -> list[str]:
    return [event.kind for event in told]


def test_events_tell_how_it_goes(volumes: list[TrainingVolume], tmp_path: Path) -> None:
    told: list[TrainingEvent] = []
    make_trainer(volumes, tmp_path, told, validate_every=2).run()
    assert kinds(told) == ["step", "validation", "step", "validation", "saved"]
    step = told[2].to_json()
    assert (step["stage"], step["step"], step["fraction"]) == ("coarse", 4, 1.0)
    assert step["loss"] > 0 and step["pair_mm"] > step["near_mm"] >= 0
    assert step["throughput"] > 0 and step["seconds_left"] == 0
    assert told[1].to_json()["validation"]["mean_offset_mm"] > 0
    json.dumps([event.to_json() for event in told], allow_nan=False)


def test_there_are_signs_of_life_between_two_reports(
    volumes: list[TrainingVolume], tmp_path: Path
) -> None:
    told: list[TrainingEvent] = []
    lines: list[str] = []
    make_trainer(
        volumes, tmp_path, told, steps=6, report_every=50, sign_of_life_s=-1.0, report=lines.append
    ).run()
    signs = [event for event in told if event.kind == "step"]
    assert [event.step for event in signs] == [1, 2, 3, 4, 5, 6]
    assert all(event.pair_mm and event.pair_mm > 0 for event in signs)
    assert not any("steps/s" in line for line in lines)


def test_a_pause_saves_and_changes_nothing(volumes: list[TrainingVolume], tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    told: list[TrainingEvent] = []
    whole = make_trainer(volumes, tmp_path / "b", [])
    whole.run()
    paused = make_trainer(volumes, tmp_path, told, control=Script(["go", "pause"], ["go"]))
    paused.run()
    assert kinds(told)[:3] == ["saved", "paused", "continued"]
    for a, b in zip(whole.net.state_dict().values(), paused.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_stop_keeps_the_best(
    volumes: list[TrainingVolume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([9.0, 5.0, 7.0, 8.0])
    monkeypatch.setattr(trainer, "validate", lambda *a: Validation(next(errors), 1.0, 50.0, None))
    seen: list[dict[str, torch.Tensor]] = []
    told: list[TrainingEvent] = []
    made = make_trainer(
        volumes,
        tmp_path,
        told,
        steps=9,
        validate_every=1,
        control=Script(["go"] * 3 + ["stop"], []),
    )
    usual = made._validate

    def validated() -> None:
        usual()
        seen.append({k: v.clone() for k, v in made.average.net.state_dict().items()})

    monkeypatch.setattr(made, "_validate", validated)
    kept = made.run()
    assert kept.pair_mm == 5.0 and made.history.stopped_early
    assert all(torch.equal(v, seen[1][k]) for k, v in made.kept.state_dict().items())
    assert any("step 2" in event.message for event in told if event.kind == "note")
    again = make_trainer(volumes, tmp_path, [], steps=9)
    again.resume()
    assert again.best is not None and (again.best.step, again.best.validation.pair_mm) == (2, 5.0)
    assert all(torch.equal(v, seen[-1][k]) for k, v in again.average.net.state_dict().items())


def test_figures_of_different_phases_are_not_compared() -> None:
    net = torch.nn.Linear(1, 1)
    first = better(None, 1, 0, Validation(5.0, 1.0, 9.0, None), net)
    later = better(first, 2, 1, Validation(7.0, 1.0, 9.0, None), net)
    assert later is not None and later.step == 2
    assert better(later, 3, 1, Validation(8.0, 1.0, 9.0, None), net) is later
    assert better(later, 3, 1, Validation(float("nan"), 1.0, 9.0, None), net) is later
    by_match = better(later, 3, 1, Validation(8.0, 1.0, 9.0, 2.0), net)
    assert by_match is not None and by_match.step == 3


def test_where_memory_runs_out_the_step_shrinks(
    volumes: list[TrainingVolume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = TINY.with_changes(supports=400, queries=400, crop=(48, 48, 48))
    sizes: list[tuple[int, tuple[int, int, int]]] = []
    usual = trainer.run_step

    def run_step(net: Any, volume: Any, working: Any, *more: Any) -> Any:
        sizes.append((working.supports, working.crop))
        if len(sizes) < 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return usual(net, volume, working, *more)

    monkeypatch.setattr(trainer, "run_step", run_step)
    told: list[TrainingEvent] = []
    made = make_trainer(volumes, tmp_path, told, stage=stage)
    made.run()
    assert sizes[:4] == [
        (400, (48, 48, 48)),
        (200, (48, 48, 48)),
        (100, (48, 48, 48)),
        (100, (36, 36, 36)),
    ]
    assert [event.kind for event in told[:3]] == ["note"] * 3 and "out of memory" in told[0].message
    assert len(made.history.notes) == 3 and made.history.steps == 4
    again = make_trainer(volumes, tmp_path, [], stage=stage)
    again.resume()
    assert again.working == made.working != again.stage


def test_other_failures_and_a_step_that_cannot_shrink_are_raised(
    volumes: list[TrainingVolume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(text: str) -> Callable[..., None]:
        def run_step(*args: Any) -> None:
            raise RuntimeError(text)

        return run_step

    monkeypatch.setattr(trainer, "run_step", fail("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes"):
        make_trainer(volumes, tmp_path, []).run()
    monkeypatch.setattr(trainer, "run_step", fail("out of memory"))
    with pytest.raises(RuntimeError, match="memory"):
        make_trainer(volumes, tmp_path, []).run()


def test_steps_shrink_to_an_end() -> None:
    stage, count = TINY.with_changes(supports=900), 0
    while (smaller := stage.smaller()) is not None:
        stage, count = smaller, count + 1
    assert (
        count < 20
        and min(stage.crop) >= 32
        and all(edge % stage.net.alignment == 0 for edge in stage.crop)
    )


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the first two checkpoints fail."""
    failures: list[int] = []
    usual = checkpoint.os.fsync

    def fsync(descriptor: int) -> None:
        if len(failures) < 2:
            failures.append(descriptor)
            raise OSError(28, "No space left on device")
        usual(descriptor)

    monkeypatch.setattr(checkpoint.os, "fsync", fsync)
    return failures


def test_a_full_disk_pauses(
    volumes: list[TrainingVolume], tmp_path: Path, full_disk: list[int]
) -> None:
    told: list[TrainingEvent] = []
    made = make_trainer(volumes, tmp_path, told, control=Script([], ["go", "go"]))
    made.run()
    assert kinds(told)[-3:] == ["paused", "paused", "saved"]
    assert "No space left" in told[-2].message and len(full_disk) == 2
    assert load_checkpoint(made.path, CPU)["step"] == 4


def test_a_full_disk_ends_what_nobody_watches(
    volumes: list[TrainingVolume], tmp_path: Path, full_disk: list[int]
) -> None:
    with pytest.raises(OutputError, match="No space left"):
        make_trainer(volumes, tmp_path, []).run()
    assert list(tmp_path.iterdir()) == []
    told: list[str] = []
    with pytest.raises(OutputError):
        retry_until_written(
            lambda: checkpoint.save_checkpoint(tmp_path / "x", {}),
            Script([], ["stop"]),
            told.append,
        )
    assert len(told) == 1


def test_one_training_per_folder(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(OutputError, match="another training"):
            train_model(TrainingRequest(tmp_path, tmp_path))
    assert not is_locked(tmp_path)


@pytest.fixture
def request_of(tmp_path: Path, sample: Any) -> TrainingRequest:
    chosen = (
        ImageSource(sample.reference, name="a", group="a"),
        ImageSource(sample.query, name="b", group="g"),
    )
    stages = {"coarse": TINY, "fine": TINY_FINE}
    out = tmp_path / "model"
    return TrainingRequest(sample.folder, out, steps=2, name="t", stages=stages, sources=chosen)


def test_an_interrupted_training_is_found_and_goes_on(
    request_of: TrainingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = request_of.out

    class Killed(BaseException):
        """Stands for the end of the process."""

    def killed(*args: Any, **more: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run_stage, "export_stage", killed)
        with pytest.raises(Killed):
            train_model(replace(request_of, stage="coarse"), report=lambda line: None)
    notes = read_run(out)
    assert notes is not None and notes.unfinished
    assert (notes.state, notes.stage, notes.step, notes.fraction) == (
        "interrupted",
        "coarse",
        2,
        1.0,
    )
    assert (
        [run.folder for run in find_runs(out.parent)]
        == [out]
        == [run.folder for run in find_runs(out)]
    )
    request = notes.to_request(CPU)
    assert request == replace(request_of, stage="coarse", resume=True)
    told: list[TrainingEvent] = []
    train_model(request, report=lambda line: None, on_event=told.append)
    assert kinds(told)[-2:] == ["exported", "finished"] and "step" not in kinds(told)
    done = read_run(out)
    assert done is not None and done.state == "done" and not done.unfinished
    assert read_card(out).coarse.facts["volumes"] == {"training": 1, "held_out": 1}


def test_finished_stages_are_not_trained_again(request_of: TrainingRequest) -> None:
    control = Script([], [])
    told: list[TrainingEvent] = []

    def tell(event: TrainingEvent) -> None:
        told.append(event)
        if event.stage == "fine" and event.kind == "begin":
            control.wishes = ["go", "stop"]

    request = replace(request_of, steps=2)
    train_model(request, report=lambda line: None, on_event=tell, control=control)
    notes = read_run(request.out)
    assert notes is not None and (notes.state, notes.finished) == ("stopped", ["coarse"])
    told.clear()
    train_model(replace(request, resume=True), report=lambda line: None, on_event=told.append)
    assert {event.stage for event in told} == {"fine"} and read_card(request.out).fine is not None


def test_a_stop_before_the_first_step_exports_nothing(request_of: TrainingRequest) -> None:
    with pytest.raises(InputError, match="before the first step"):
        train_model(request_of, stop=lambda: True, report=lambda line: None)
    assert not (request_of.out / "coarse.pt").exists()


def test_damaged_notes_are_refused(tmp_path: Path) -> None:
    assert read_run(tmp_path) is None and find_runs(tmp_path / "none") == []
    for text in ("", "[]", '{"schema": "other", "schema_version": 1}', '{"schema": "rprloc-run"}'):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(InputError):
            read_run(tmp_path)
    assert find_runs(tmp_path) == []
