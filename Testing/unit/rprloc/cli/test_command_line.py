"""``rprloc`` itself: help, wrong use, and commands of other packages."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from support.command_line import Run, assert_refused
from support.paths import ROOT

from rprloc.cli import registry

PACKAGES = [str(ROOT / "RPRLocalization"), str(ROOT / "RPRTraining")]


def test_help_is_fast_and_does_not_load_torch() -> None:
    code = """
import sys
from rprloc.cli.main import COMMANDS, build_parser
from rprloc.cli.registry import added_commands

build_parser([*COMMANDS, *added_commands().commands])
print({"torch", "SimpleITK", "numpy"} & set(sys.modules))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PACKAGES)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "set()"
    helped = [sys.executable, "-m", "rprloc", "locate", "--help"]
    done = subprocess.run(helped, capture_output=True, text=True, env=environment, check=True)
    assert "--reference" in done.stdout
    assert "exit codes" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "COMMAND"),
        (["find"], "no command 'find', only locate"),
        (["locate", "--out", "x", "q.nii.gz"], "--reference"),
        (["locate", "--template", "t", "--out", "x"], "QUERY"),
        (["locate", "--template", "t", "--reference", "r", "--out", "x", "q"], "not allowed"),
        (["locate", "--template", "t", "--out", "x", "--runs", "0", "q"], "'0' is not all"),
        (["locate", "--template", "t", "--out", "x", "--runs", "some", "q"], "'some' is not all"),
        (["locate", "--template", "t", "--out", "x", "--steps", "finest", "q"], "finest"),
        (["locate", "--template", "t", "--out", "x", "--seed", "-1", "q"], "--seed"),
        (["locate", "--template", "t", "--out", "x", "--threads", "0", "q"], "--threads"),
        (["train", "--images", "i", "--out", "o", "--minutes", "-3"], "--minutes"),
        (["train", "--images", "i", "--out", "o", "--minutes", "3", "--steps", "4"], "not allowed"),
        (["evaluate", "--template", "t", "--json", "j"], "--query"),
        (["template", "make", "--reference", "r", "--out", "o"], "--targets"),
    ],
)
def test_wrong_use_is_one_line(run: Run, arguments: list[str], part: str) -> None:
    assert_refused(run(" ".join(arguments), model=None), part, "--help")


def run_module(
    module: str, *arguments: str, packages: list[str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run a module of the packages in these folders, from a folder that holds none."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(packages)},
        check=False,
    )


@pytest.mark.parametrize("command", ["train", "check"])
def test_commands_of_a_package_on_the_path_are_there(tmp_path: Path, command: str) -> None:
    done = run_module("rprloc", command, "--help", packages=PACKAGES, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"usage: rprloc {command}" in done.stdout
    assert "--images" in done.stdout


def test_the_training_package_is_a_program_of_its_own(tmp_path: Path) -> None:
    done = run_module("rprtrain", "--help", packages=PACKAGES, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "usage: rprloc train" in done.stdout


def test_a_broken_package_costs_its_own_commands_only(tmp_path: Path) -> None:
    package = tmp_path / "path" / "rprbroken" / "cli"
    package.mkdir(parents=True)
    (package / "commands.py").write_text("import no_such_library")
    folders = [str(tmp_path / "path"), PACKAGES[0]]
    done = run_module("rprloc", "locate", "--help", packages=folders, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run_module("rprloc", "mend", packages=folders, cwd=tmp_path)
    assert_refused((done.returncode, done.stdout, done.stderr), "mend", "no_such_library")


def test_a_package_may_add_a_command_and_warnings(tmp_path: Path) -> None:
    package = tmp_path / "path" / "rprmore" / "cli"
    package.mkdir(parents=True)
    (package / "commands.py").write_text("from . import count\n\nCOMMANDS = [count]\n")
    (package / "count.py").write_text("""
import warnings

NAME = "count"


def add_arguments(commands):
    commands.add_parser(NAME, help="count", epilog="").set_defaults(command=run)


def run(args):
    warnings.warn("mine", stacklevel=1)
    warnings.warn_explicit("noise", UserWarning, "numpy.py", 1, module="numpy")
    return 7
""")
    folders = [str(tmp_path / "path"), PACKAGES[0]]
    done = run_module("rprloc", "count", packages=folders, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (7, "rprloc: note: mine\n")


def test_installed_packages_are_found_by_their_entry_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint("other", "other.commands", registry.GROUP)
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [entry])
    assert registry.provider_names([str(tmp_path), str(tmp_path / "none")]) == ["other.commands"]
    assert "rprtrain.cli.commands" in registry.provider_names(PACKAGES)


def test_the_entry_points_of_the_project_are_modules_of_commands() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = text.partition(f'[project.entry-points."{registry.GROUP}"]')[2].partition("[")[0]
    modules = [line.partition("=")[2].strip(' "') for line in table.splitlines() if "=" in line]
    assert modules == ["rprtrain.cli.commands"]
    names = [command.NAME for command in importlib.import_module(modules[0]).COMMANDS]
    assert sorted(names) == ["check", "train"]
