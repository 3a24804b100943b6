"""What an experiment is: named units of work that give rows, each kept when it is finished."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from .method import Context
from .provenance import provenance
from .store import Row, Store

PREPARATION = "(preparation)"


class Experiment(ABC):
    """A part of the benchmark. ``name`` is its file, ``title`` its heading."""

    name: str
    title: str

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the rows depend on besides the unit (JSON)."""

    @abstractmethod
    def units(self) -> Sequence[str]:
        """Names of the units, in the order they are run."""

    @abstractmethod
    def run(self, unit: str) -> list[Row]:
        """The rows of one unit."""

    def begin(self) -> None:  # noqa: B027 (most have nothing to begin with)
        """Called once before the first unit that is not finished."""


def carry_out(experiment: Experiment, store: Store) -> list[Row]:
    """Run what is not finished, with progress; the rows of all units."""
    settings, units = experiment.settings(), list(experiment.units())
    done = store.finished(experiment.name, settings)
    missing = [unit for unit in units if unit not in done]
    report = experiment.context.report
    if missing:
        report(f"{experiment.title}: {len(units) - len(missing)} of {len(units)} done before")
        _prepare(experiment, store, settings, done)

    started = time.perf_counter()
    for number, unit in enumerate(missing, start=1):
        begun = time.perf_counter()
        rows = experiment.run(unit)
        seconds = time.perf_counter() - begun
        store.add(experiment.name, unit, settings, rows, seconds=round(seconds, 3), **provenance())
        left = (time.perf_counter() - started) / number * (len(missing) - number)
        report(
            f"  {experiment.name} {number}/{len(missing)} {unit}: {seconds:.1f} s, "
            f"{left / 60:.1f} min left"
        )

    done = store.finished(experiment.name, settings)
    return [row for unit in units for row in done[unit]["rows"]]


def _prepare(
    experiment: Experiment, store: Store, settings: dict[str, Any], done: dict[str, Row]
) -> None:
    """Begin, and keep how long it took beside the units.

    A training is a part of what the benchmark costs.
    """
    begun = time.perf_counter()
    experiment.begin()
    seconds = time.perf_counter() - begun + done.get(PREPARATION, {"seconds": 0.0})["seconds"]
    store.add(experiment.name, PREPARATION, settings, [], seconds=round(seconds, 3), **provenance())
