"""Methods whose code is imported when one is called, so that the worker starts fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import require_torch
from .job import Job, Method, Registry


class LazyMethods:
    """A table of methods that is imported late.

    Example: ``LazyMethods(load_table, needs_torch=True).add_to(registry, ["locate"])``, where
    ``load_table`` imports a module and returns its ``{"locate": locate}``.
    """

    def __init__(self, load: Callable[[], Mapping[str, Method]], *, needs_torch: bool) -> None:
        self._load = load
        self._needs_torch = needs_torch
        self._table: Mapping[str, Method] | None = None

    def add_to(self, registry: Registry, names: tuple[str, ...]) -> None:
        """Add the methods of these names, which the table must have."""
        for name in names:
            registry.add(name, self._method(name))

    def _method(self, name: str) -> Method:
        def call(job: Job) -> dict[str, Any]:
            if self._table is None:
                if self._needs_torch:
                    job.progress("start", "starting PyTorch")
                    require_torch()
                self._table = self._load()
            return self._table[name](job)

        return call
