"""Measuring in a fresh process: one JSON request in, one JSON answer out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .method import Context
from .provenance import ROOT

PACKAGES = ("RPRLocalization", "RPRTraining", "Testing", "Testing/Benchmarks")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


class MeasurementError(RuntimeError):
    """The process that measures ended without an answer; the text holds its last lines."""


def ask(context: Context, what: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run ``python -m rprbench.experiments.measuring`` for ``what`` and return its answer.

    Raises MeasurementError.
    """
    message = {"what": what, "request": request, "context": described(context)}
    done = subprocess.run(
        [sys.executable, "-m", "rprbench.experiments.measuring"],
        input=json.dumps(message),
        capture_output=True,
        text=True,
        env=environment(context.threads),
        check=False,
    )
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise MeasurementError(f"measuring {what} {request} failed ({done.returncode}): {last}")

    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def described(context: Context) -> dict[str, Any]:
    """A context as JSON."""
    return {
        "data": str(context.cohort.folder.resolve()),
        "out": str(Path(context.out).resolve()),
        "quick": context.quick,
        "threads": context.threads,
        "device": context.device,
    }


def environment(threads: int) -> dict[str, str]:
    """Variables of a process with this many threads that finds the packages of the checkout."""
    path = [str(ROOT / name) for name in PACKAGES] + [
        p for p in [os.environ.get("PYTHONPATH", "")] if p
    ]
    limits = {name: str(threads) for name in THREAD_VARIABLES}
    return {**os.environ, **limits, "PYTHONPATH": os.pathsep.join(path)}
