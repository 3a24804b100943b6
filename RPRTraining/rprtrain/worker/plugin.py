"""The plug-in of the worker that trains (docs/worker-protocol.md).

    python -m rprloc.worker --plugin rprtrain.worker.plugin

What is slow to import waits until a method is called, so that the worker starts quickly, and also
without PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rprloc.worker.errors import require_torch
from rprloc.worker.job import Job, Method, Registry

LIGHT = ("train.scan", "train.find")
HEAVY = (
    "train.plan",
    "train.start",
    "train.check",
    "model.install",
    "model.export",
    "model.import",
)
METHODS = (*LIGHT, *HEAVY)


def register(registry: Registry) -> None:
    """Add the methods of training and of installing models."""
    for name in LIGHT:
        registry.add(name, _light(name.replace(".", "_")))
    for name in HEAVY:
        registry.add(name, _heavy(name.replace(".", "_")))


def _light(name: str) -> Method:
    """The function of that name in ``workerscan``, imported when it is called."""

    def call(job: Job) -> dict[str, Any]:
        from . import scan

        method: Callable[[Job], dict[str, Any]] = getattr(scan, name)
        return method(job)

    return call


def _heavy(name: str) -> Method:
    """The function of that name in ``workermethods``, imported when it is called; raises NoTorchError without torch."""

    def call(job: Job) -> dict[str, Any]:
        job.progress("start", "starting PyTorch")
        require_torch()
        from . import methods

        method: Callable[[Job], dict[str, Any]] = getattr(methods, name)
        return method(job)

    return call
