"""The private Python environment of a checkout, made once in ``.rprloc-env``.

Standard library only: it is what installs everything else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
FOLDER_NAME, LOG_NAME, STAMP_NAME = ".rprloc-env", ".rprloc-env.log", "rprloc-stamp.json"
OLDEST_PYTHON = (3, 10)
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
INPUTS = ("constraints.txt", "pyproject.toml")
LARGE = (" MB)", " GB)")


class EnvironmentSetupError(Exception):
    """The environment cannot be set up; ``str(error)`` is one line for the user."""


def ensure(extras: Iterable[str], root: Path = ROOT, report: Callable[[str], None] = print) -> Path:
    """The Python of the private environment of ``root``, which is made if need be.

    It has the package and these extras. Raises EnvironmentSetupError.
    """
    check_python()
    folder, requested = root / FOLDER_NAME, set(extras)
    stamp = read_stamp(folder)
    installed = set(stamp.get("extras", []))
    if stamp.get("inputs") == fingerprint(root) and requested <= installed:
        return python_of(folder)

    # The stamp goes first and comes last: an interrupted installation leaves none.
    report(f"Setting up a private Python environment in {folder} (once; a few minutes) ...")
    (folder / STAMP_NAME).unlink(missing_ok=True)
    make_venv(folder)
    both = sorted(requested | installed)
    install(folder, root, both, report)
    write_stamp(folder, {"inputs": fingerprint(root), "extras": both})
    return python_of(folder)


def check_python() -> None:
    """Raise EnvironmentSetupError if the running Python is too old."""
    if sys.version_info < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        running = ".".join(map(str, sys.version_info[:2]))
        raise EnvironmentSetupError(
            f"Python {needed} or newer is needed, but this is Python {running}"
        )


def fingerprint(root: Path) -> str:
    """What the environment depends on: the requirements, and the place of the checkout."""
    digest = hashlib.sha256(str(root.resolve()).encode())
    for name in INPUTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def read_stamp(folder: Path) -> dict[str, object]:
    """What was installed; {} if the environment is missing, incomplete or broken."""
    try:
        stamp = json.loads((folder / STAMP_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and python_of(folder).exists() else {}


def write_stamp(folder: Path, stamp: dict[str, object]) -> None:
    """Mark the environment as complete, in one step."""
    temporary = folder / f"{STAMP_NAME}.tmp"
    temporary.write_text(json.dumps(stamp), encoding="utf-8")
    os.replace(temporary, folder / STAMP_NAME)


def python_of(folder: Path) -> Path:
    """Path of the environment's Python."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv(folder: Path) -> None:
    """Make the environment, unless there is one already whose pip works."""
    if python_of(folder).exists() and _works([str(python_of(folder)), "-m", "pip", "--version"]):
        return
    try:
        shutil.rmtree(folder, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise EnvironmentSetupError(f"{folder}: cannot be made ({error})") from error
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        hint = "on Debian or Ubuntu: apt install python3-venv"
        raise EnvironmentSetupError(
            f"`{sys.executable} -m venv` failed: {lines[-1].strip()} ({hint})"
        )


def install(folder: Path, root: Path, extras: list[str], report: Callable[[str], None]) -> None:
    """Install the checkout (editable) with its extras; output goes to a log, but for downloads."""
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    versions = ["--constraint", str(root / "constraints.txt"), *cpu_index()]
    checkout = f"{root}[{','.join(extras)}]" if extras else str(root)
    pip = [str(python_of(folder)), "-m", "pip", "install"]
    command = [*pip, *quiet, *versions, "--editable", checkout]

    log = root / LOG_NAME
    with open(log, "w", encoding="utf-8") as stream:
        code, errors = _logged(command, stream, report)
    if code:
        reason = errors[0] if errors else f"pip ended with code {code}"
        raise EnvironmentSetupError(
            f"the packages could not be installed: {reason[:200]} (see {log})"
        )


def _logged(
    command: list[str], stream: TextIO, report: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run a pip command into a log; returns its exit code and its error lines."""
    errors = []
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    for line in process.stdout or ():
        stream.write(line)
        if "Downloading" in line and line.rstrip().endswith(LARGE):
            report(f"  {line.strip()}")
        if line.startswith("ERROR"):
            errors.append(line[6:].strip())
    return process.wait(), errors


def cpu_index() -> list[str]:
    """Pip options for CPU builds of PyTorch (0.2 GB, not 3), on Linux without an NVIDIA GPU."""
    nvidia = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    if not sys.platform.startswith("linux") or nvidia or not _reachable(f"{CPU_INDEX}/torch/"):
        return []
    return ["--extra-index-url", CPU_INDEX]


def _reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=5):
            return True
    except (OSError, ValueError):
        return False


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
