"""Locate in a whole cohort: what is left to do, the tasks, and the table at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..files import atomic_write_text, output_errors
from .driver import Driver
from .index_rows import READABLE, Index, IndexRow
from .parts import RESULTS_CSV, drop_crashed, finished_keys, merge
from .request import (
    Extras,
    SearchOptions,
    SeriesTask,
    TemplateChoice,
    WorkerOptions,
    content_key,
    together,
)
from .series_output import is_written
from .task import Outcome

REQUEST = "cohort.json"
#: Files that the results folder of a cohort may hold already.
OWN = ("parts", "running", "series", "slurm", REQUEST)


@dataclass(frozen=True)
class LocateRequest:
    """What is asked of a cohort.

    Attributes:
        index: of the CTs. templates: with their models. out: folder of the results.
        retry_failed: compute again what a crash, a hang or an error of the machine ended.
    """

    index: Index
    templates: Sequence[TemplateChoice]
    out: Path
    search: SearchOptions = field(default_factory=SearchOptions)
    extras: Extras = field(default_factory=Extras)
    worker: WorkerOptions = field(default_factory=WorkerOptions)
    retry_failed: bool = False


@dataclass
class Plan:
    """What there is to do.

    Attributes:
        tasks: that are left. wanted: content keys of all answers.
        finished: series that are done. refused: series that the index says cannot be read.
    """

    tasks: list[SeriesTask] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    finished: int = 0
    refused: int = 0


@dataclass
class Tally:
    """What has been done.

    Attributes:
        series: done in this run. statuses: answers of this run. causes: series without an answer.
        peak_mib: the most memory of one worker. busy_s: seconds of all tasks together.
    """

    series: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    peak_mib: float = 0.0
    busy_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.series += 1
        self.statuses.update(outcome.statuses)
        self.causes.update([outcome.cause] if outcome.cause else [])
        self.peak_mib = max(self.peak_mib, outcome.peak_mib)
        self.busy_s += outcome.seconds.get("total", 0.0)


def plan(request: LocateRequest) -> Plan:
    """Find out what is left to do. Raises OutputError."""
    with output_errors(request.out):
        if request.retry_failed:
            drop_crashed(request.out)
        finished = finished_keys(request.out)
    found = Plan()
    for row in request.index.rows:
        if row.verdict != READABLE:
            found.refused += 1
        keyed = [(content_key(row, one, request.search), one) for one in request.templates]
        found.wanted += [key for key, _ in keyed]
        missing = [(key, one) for key, one in keyed if key not in finished]
        found.tasks += _tasks(request, row, missing)
        found.finished += not missing
        if request.extras.names and not missing and row.verdict == READABLE:
            found.tasks += [
                replace(task, located=True)
                for task in _tasks(request, row, keyed)
                if not is_written(replace(task, located=True))
            ]
    # The largest first: else one worker is left with a whole body when the others are done.
    found.tasks.sort(key=lambda task: task.row.extent_mm3, reverse=True)
    return found


def _tasks(
    request: LocateRequest, row: IndexRow, missing: Sequence[tuple[str, TemplateChoice]]
) -> Iterator[SeriesTask]:
    for templates in together(missing):
        yield SeriesTask(
            request.index.root,
            row,
            templates,
            request.search,
            request.extras,
            request.worker,
            request.out,
        )


def write_request(request: LocateRequest) -> None:
    """Write what was asked for into the folder, for the report. Raises OutputError."""
    data: dict[str, Any] = {
        "root": str(request.index.root),
        "series": len(request.index.rows),
        "templates": {one.name: one.digest for one in request.templates},
        "models": {one.name: dict(one.identity) for one in request.templates},
    }
    atomic_write_text(request.out / REQUEST, json.dumps(data, indent=1) + "\n")


def locate_cohort(
    request: LocateRequest, todo: Plan, driver: Driver, report: Callable[[Tally], None]
) -> Tally:
    """Run the tasks that are left, and write the table; ``report`` is called after each.

    Raises InputError if the cluster is gone and OutputError if results cannot be written; what is
    finished stays, and the same call goes on.
    """
    tally = Tally()
    try:
        for outcome in driver.run(todo.tasks):
            tally.add(outcome)
            report(tally)
    except BaseException:
        driver.stop()
        raise
    return tally


def write_table(request: LocateRequest, todo: Plan) -> Counter[str]:
    """Write results.csv and results.parquet; returns the rows by status. Raises OutputError."""
    (request.out / RESULTS_CSV).unlink(missing_ok=True)
    return merge(request.out, todo.wanted)
