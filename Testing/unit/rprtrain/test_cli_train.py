from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

from rprloc.cli.main import main
from rprloc.errors import InputError

PACKAGES = ["RPRLocalization", "RPRTraining"]


def replace_training(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[Any, Callable[[], bool]], None]
) -> None:
    def train(request: Any, stop: Callable[[], bool], report: Callable[[str], None]) -> Path:
        report("trained a step")
        act(request, stop)
        return Path(request.out) / "model.json"

    monkeypatch.setattr("rprtrain.run.train.train_model", train)


def test_options_reach_the_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests: list[Any] = []
    replace_training(monkeypatch, lambda request, stop: requests.append(request))
    training = ["train", "--images", "cts", "--out", str(tmp_path / "mine"), "--resume"]
    length = ["--stage", "fine", "--steps", "7", "--seed", "3", "--device", "cpu"]
    card = ["--body-region", "chest", "--data-licence", "CC BY 4.0"]
    assert main([*training, *length, *card]) == 0

    (request,) = requests
    assert (request.images, request.out) == (Path("cts"), tmp_path / "mine")
    assert (request.stage, request.steps, request.minutes) == ("fine", 7, None)
    assert request.resume
    assert (request.seed, request.device.type, request.name) == (3, "cpu", "mine")
    assert request.body_region == "chest"
    assert request.data == {"source": "not stated", "licence": "CC BY 4.0"}
    out = capsys.readouterr().out
    assert "trained a step" in out
    assert "model.json" in out


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_early_and_still_exports(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: signal.Signals
) -> None:
    answers: list[bool] = []

    def act(request: Any, stop: Callable[[], bool]) -> None:
        answers.append(stop())
        signal.raise_signal(kind)
        answers.append(stop())

    replace_training(monkeypatch, act)
    previous = signal.getsignal(kind)
    assert main(["train", "--images", "cts", "--out", "o", "--device", "cpu"]) == 0
    assert answers == [False, True]
    assert signal.getsignal(kind) is previous
    assert "stopping" in capsys.readouterr().out


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """As in a terminal; a job that a shell started in the background ignores Ctrl-C."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_a_second_ctrl_c_aborts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(request: Any, stop: Callable[[], bool]) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    replace_training(monkeypatch, act)
    assert main(["train", "--images", "cts", "--out", "o", "--device", "cpu"]) == 130
    assert capsys.readouterr().err == "rprloc: interrupted\n"


def test_bad_input_of_the_training_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(request: Any, stop: Callable[[], bool]) -> None:
        raise InputError("no CTs\nhere")

    replace_training(monkeypatch, act)
    assert main(["train", "--images", "cts", "--out", "o", "--device", "cpu"]) == 2
    assert capsys.readouterr().err == "rprloc: no CTs here\n"


def test_a_missing_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--images", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert main(["train", *folders, "--device", "cpu"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "none" in err


def test_without_the_training_package_it_says_so() -> None:
    code = """
import sys

sys.modules["rprtrain"] = None
from rprloc.cli.main import main

sys.exit(main())
"""
    command = [sys.executable, "-c", code, "train", "--images", "a", "--out", "b"]
    # Missing altogether, and there but impossible to import.
    # Where it is installed, its entry point is found in both cases, and named.
    for packages in (["RPRLocalization"], PACKAGES):
        path = os.pathsep.join(str(ROOT / package) for package in packages)
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 2
        assert "RPRTraining" in done.stderr or "rprtrain" in done.stderr
        assert "no command 'train'" in done.stderr
        assert done.stderr.count("\n") == 1
