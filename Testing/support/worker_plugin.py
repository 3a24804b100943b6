"""A plug-in of the worker for tests: methods that misbehave."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import warnings
from typing import Any

from rprloc.worker.job import Job, Registry


def register(registry: Registry) -> None:
    """Add the methods."""
    for method in (chatter, flood, hang, count, modules, crash, warn, unsendable):
        registry.add(f"test.{method.__name__}", method)


def chatter(job: Job) -> dict[str, Any]:
    """Print in every way that a library can, and read stdin."""
    print('{"id": 1, "event": "result"}', flush=True)
    os.write(1, b"from the descriptor\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    if os.name != "nt":
        ctypes.CDLL(None).puts(b"from C")
        ctypes.CDLL(None).fflush(None)
    return {"read": sys.stdin.read()}


def flood(job: Job) -> dict[str, Any]:
    """Send events for ever."""
    while True:
        job.progress("test", "flood")


def hang(job: Job) -> dict[str, Any]:
    """Never end."""
    job.progress("test", "hanging")
    threading.Event().wait()
    return {}


def count(job: Job) -> dict[str, Any]:
    """Report progress until cancelled, or until told to ``stop``."""
    done = 0
    job.progress("test", "counting")
    while job.take_action() != "stop":
        job.check(f"{done} rounds")
        done += 1
    return {"stopped": True}


def modules(job: Job) -> dict[str, Any]:
    """The modules loaded so far."""
    return {"modules": sorted(sys.modules)}


def crash(job: Job) -> dict[str, Any]:
    """Raise what no method should."""
    raise KeyError("a bug\nof two lines")


def warn(job: Job) -> dict[str, Any]:
    """Warn as the engine does, and as others do."""
    warnings.warn_explicit(
        "two series,\nthe longer was read",
        UserWarning,
        "x.py",
        1,
        module="rprloc.localization.batch",
    )
    warnings.warn_explicit("noise", UserWarning, "y.py", 1, module="numpy")
    return {}


def unsendable(job: Job) -> dict[str, Any]:
    """Return what JSON cannot hold."""
    return {"number": float("nan")}
