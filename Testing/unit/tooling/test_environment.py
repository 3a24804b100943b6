from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import demo
import environment
import pytest
import run_tests
from environment import EnvironmentSetupError, ensure, python_of
from support.paths import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the files that the environment depends on."""
    root = tmp_path / "check out"
    root.mkdir()
    for name in environment.INPUTS:
        (root / name).write_text(name, encoding="utf-8")
    return root


class FakePip:
    """Stands in for ``venv`` and ``pip``: notes the commands, and answers as told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[list[str]] = []
        self.code = 0
        self.lines = ["Collecting torch\n", "  Downloading torch-2.13.0.whl (200 MB)\n"]

    def run(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        if "venv" in command:
            python = python_of(Path(command[-1]))
            python.parent.mkdir(parents=True)
            python.touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    def popen(self, command: list[str], **_: Any) -> Any:
        self.commands.append(command)
        pip = self

        class Process:
            stdout = pip.lines

            def wait(self) -> int:
                return pip.code

        return Process()


@pytest.fixture
def pip(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    """No processes, no network."""
    fake = FakePip(checkout)
    monkeypatch.setattr(environment.subprocess, "run", fake.run)
    monkeypatch.setattr(environment.subprocess, "Popen", fake.popen)
    monkeypatch.setattr(environment, "cpu_index", lambda: [])
    return fake


def test_first_call_installs_second_call_does_nothing(checkout: Path, pip: FakePip) -> None:
    lines: list[str] = []
    python = ensure(["picture"], checkout, lines.append)
    assert python == python_of(checkout / ".rprloc-env")
    (install,) = [command for command in pip.commands if "install" in command]
    assert install[-2:] == ["--editable", f"{checkout}[picture]"]
    assert str(checkout / "constraints.txt") in install
    assert any("200 MB" in line for line in lines)
    assert "Collecting torch" in (checkout / environment.LOG_NAME).read_text(encoding="utf-8")
    pip.commands.clear()
    assert ensure(["picture"], checkout, lines.append) == python
    assert pip.commands == []


def test_more_extras_or_other_requirements_install_again(checkout: Path, pip: FakePip) -> None:
    ensure(["picture"], checkout, lambda _: None)
    ensure(["dev"], checkout, lambda _: None)
    assert pip.commands[-1][-1] == f"{checkout}[dev,picture]"
    count = len(pip.commands)
    ensure(["picture"], checkout, lambda _: None)
    assert len(pip.commands) == count
    (checkout / "constraints.txt").write_text("numpy==3", encoding="utf-8")
    ensure(["picture"], checkout, lambda _: None)
    assert len(pip.commands) > count
    assert sum("venv" in command for command in pip.commands) == 1


def test_failed_and_interrupted_installs_are_tried_again(checkout: Path, pip: FakePip) -> None:
    pip.code, pip.lines = 1, ["ERROR: No matching distribution found for torch==2.13.0\n"]
    with pytest.raises(EnvironmentSetupError, match="No matching distribution") as caught:
        ensure([], checkout, lambda _: None)
    assert "\n" not in str(caught.value)
    assert not (checkout / ".rprloc-env" / environment.STAMP_NAME).exists()
    pip.code, pip.lines = 0, []
    ensure([], checkout, lambda _: None)
    stamp = json.loads(
        (checkout / ".rprloc-env" / environment.STAMP_NAME).read_text(encoding="utf-8")
    )
    assert stamp["extras"] == []


def test_a_broken_environment_is_made_anew(checkout: Path, pip: FakePip) -> None:
    python_of(ensure([], checkout, lambda _: None).parent.parent).unlink()
    ensure([], checkout, lambda _: None)
    assert sum("venv" in command for command in pip.commands) == 2


def test_missing_venv_module_is_explained(
    checkout: Path, pip: FakePip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(
            command, 1, "", "long\ntext\nensurepip is not available\n"
        )

    monkeypatch.setattr(environment.subprocess, "run", fail)
    with pytest.raises(EnvironmentSetupError, match="python3-venv") as caught:
        ensure([], checkout, lambda _: None)
    assert "\n" not in str(caught.value)


def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.sys, "version_info", (3, 9, 1))
    with pytest.raises(
        EnvironmentSetupError, match=r"3\.10 or newer is needed, but this is Python 3\.9"
    ):
        ensure([])


def test_cpu_builds_are_asked_for_only_on_linux_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment.sys, "platform", "linux")
    monkeypatch.setattr(environment.Path, "exists", lambda self: False)
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    monkeypatch.setattr(environment, "_reachable", lambda url: True)
    assert environment.cpu_index() == ["--extra-index-url", environment.CPU_INDEX]
    monkeypatch.setattr(environment.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert environment.cpu_index() == []
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    monkeypatch.setattr(environment, "_reachable", lambda url: False)
    assert environment.cpu_index() == []
    monkeypatch.setattr(environment, "_reachable", lambda url: True)
    monkeypatch.setattr(environment.sys, "platform", "win32")
    assert environment.cpu_index() == []


def test_the_scripts_start_with_the_standard_library_only() -> None:
    for name in ("demo", "run_tests"):
        script = ROOT / "Testing" / f"{name}.py"
        code = f"import sys; sys.path.insert(0, {str(script.parent)!r}); import {name}"
        subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_demo_default_folder_never_overwrites(tmp_path: Path) -> None:
    folder = tmp_path / "rprloc-results"
    assert demo.free_folder(folder) == folder
    folder.mkdir()
    assert demo.free_folder(folder) == folder
    (folder / "results.csv").touch()
    (tmp_path / "rprloc-results-2").touch()
    assert demo.free_folder(folder) == tmp_path / "rprloc-results-3"


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the demo gives to ``rprloc``, without running them."""
    commands: list[list[str]] = []

    def note(python: Path, *arguments: str) -> int:
        commands.append(list(arguments))
        return 0

    monkeypatch.setattr(demo, "ensure", lambda extras: Path(sys.executable))
    monkeypatch.setattr(demo, "rprloc", note)
    return commands


def make_sample(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(demo, "SAMPLE", folder)
    names = (
        "reference.nii.gz",
        "reference.labels.nii.gz",
        "label_ids.json",
        "query.nii.gz",
        "query.labels.nii.gz",
    )
    for name in names:
        (folder / name).touch()


def test_demo_shows_the_sample_as_synthetic(
    called: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_sample(monkeypatch, tmp_path)
    assert demo.main(["--out", str(tmp_path / "out"), "--threads", "1"]) == 0
    locate, evaluate = called
    assert locate[0] == "locate"
    assert {"--synthetic", "--picture", "--reference"} <= set(locate)
    assert locate[-1] == str(tmp_path / "query.nii.gz")
    assert evaluate[0] == "evaluate"
    assert evaluate[-1].endswith("query.labels.nii.gz")
    assert "NOT A PATIENT" in capsys.readouterr().out


def test_demo_takes_the_users_files(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo, "TEMPLATES", tmp_path)
    for name in ("body", "organs"):
        (tmp_path / f"{name}.json").touch()
    assert demo.main(["my.nii.gz", "--out", "o"]) == 0
    assert (
        demo.main(
            [
                "--reference",
                "r",
                "--targets",
                "t",
                "--label-ids",
                "i",
                "a.nrrd",
                "b.nrrd",
                "--out",
                "o",
            ]
        )
        == 0
    )
    for command, name in zip(called, ("body", "organs"), strict=False):
        expected = ["--template", str(tmp_path / f"{name}.json"), "--out", str(Path("o", name))]
        assert command[1:5] == expected
        assert command[-1] == "my.nii.gz"
    assert called[2][1:7] == ["--reference", "r", "--targets", "t", "--label-ids", "i"]
    assert called[2][-2:] == ["a.nrrd", "b.nrrd"]
    assert not any("--synthetic" in command for command in called)


def test_demo_without_its_files_says_so(
    called: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("SAMPLE", "TEMPLATES"):
        monkeypatch.setattr(demo, name, tmp_path)
    for arguments in ([], ["my.nii.gz"]):
        assert demo.main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert called == []


def test_demo_passes_a_failure_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(extras: list[str]) -> Path:
        raise EnvironmentSetupError("no network")

    make_sample(monkeypatch, tmp_path)
    monkeypatch.setattr(demo, "ensure", fail)
    assert demo.main([]) == 2
    assert capsys.readouterr().err == "demo: no network\n"


def test_test_command_runs_every_check_and_passes_arguments_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], env: dict[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        assert int(env["OMP_NUM_THREADS"]) <= run_tests.MOST_THREADS
        return subprocess.CompletedProcess(command, 1 if "check" in command else 0)

    monkeypatch.setattr(run_tests.subprocess, "run", run)
    assert run_tests.main(["--here", "-k", "cli", "Testing/unit"]) == 1
    assert [command[2] for command in commands] == ["ruff", "ruff", "mypy", "pytest"]
    assert commands[-1][3:] == ["-k", "cli", "Testing/unit"]
    out = capsys.readouterr().out
    assert "lint FAILED" in out
    assert "tests passed" in out


def test_ci_runs_the_test_command_of_the_readme() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "python3 Testing/run_tests.py" in text
    assert "python3 Testing/run_tests.py" in (ROOT / "README.md").read_text(encoding="utf-8")
