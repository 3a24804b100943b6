"""The plug-in of the worker that trains (docs/worker-protocol.md).

    python -m rprloc.worker --plugin rprtrain.worker.plugin

What is slow to import waits until a method is called, so that the worker starts quickly, and also
without PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping

from rprloc.worker.job import Method, Registry
from rprloc.worker.lazy import LazyMethods

LIGHT = ("train.scan", "train.find")
HEAVY = (
    "train.plan",
    "train.start",
    "train.check",
    "model.install",
    "model.export",
    "model.import",
)


def register(registry: Registry) -> None:
    """Add the methods of training and of installing models."""
    LazyMethods(_light, needs_torch=False).add_to(registry, LIGHT)
    LazyMethods(_heavy, needs_torch=True).add_to(registry, HEAVY)


def _light() -> Mapping[str, Method]:
    from . import scan

    return scan.METHODS


def _heavy() -> Mapping[str, Method]:
    from . import methods

    return methods.METHODS
