"""One run: every query in its own request, so that one that fails costs its own rows only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from rprloc.errors import InputError, RprLocError
from rprloc.localization.status import FAILED

from ..scene.resultrows import ResultRow
from .workerjob import (
    EngineChoice,
    Event,
    JobObserver,
    LeftOutTarget,
    Problem,
    Request,
    Steps,
    TemplateSource,
    Worker,
    WorkerJob,
    WorkerProblem,
)

MOST_DEATHS_IN_A_ROW = 2
WORKER_DIED = "worker-died"
#: Problems of one query; any other ends the run, because the next query would meet it too.
_OF_THE_QUERY = ("input", "memory", "internal", WORKER_DIED)


@dataclass(frozen=True)
class Query:
    """A CT to search: a loaded volume node, or the path of a file or DICOM folder."""

    name: str
    node: Any = None
    path: str = ""


class LocalizationJob(WorkerJob):
    """Searches the queries one after the other; ``onRows(query, rows)`` is called for each.

    ``onContours(query, contours)``: called after it with what was carried to a loaded query (the
    CONTOURS object of the worker protocol); without it nothing is carried.
    """

    def __init__(
        self,
        worker: Worker,
        source: TemplateSource,
        queries: list[Query],
        engine: EngineChoice,
        observer: JobObserver,
        onRows: Callable[[Query, list[ResultRow]], None],
        clock: Callable[[], float] = time.monotonic,
        onContours: Callable[[Query, Event], None] | None = None,
    ) -> None:
        super().__init__(worker, source, engine, observer)
        self._onContours = onContours
        self.contours = onContours is not None
        self._queries = queries
        self._onRows = onRows
        self._clock = clock
        self.done = 0
        self.failed = 0

    def abandon(self) -> None:
        """Stop, and tell nothing of it but that (the scene is closing)."""
        self._onRows = lambda query, rows: None
        self._onContours = None
        super().abandon()

    def steps(self) -> Steps:
        """Learn the template, then search query after query."""
        yield from self.learnTemplate()

        started, deaths = self._clock(), 0
        for number, query in enumerate(self._queries):
            self._tellProgress(query, number, started)
            try:
                yield self._searchFor(query)
            except WorkerProblem as error:
                self._worker.folder.clear()
                died = error.problem.code == WORKER_DIED
                deaths = deaths + 1 if died and self.done == number else int(died)
                self._takeProblem(query, error.problem, answered=self.done > number)
                if deaths >= MOST_DEATHS_IN_A_ROW:
                    raise
                if died:
                    self._observer.onLog("warning", _("The worker ended and is started again."))
                    yield from self.greet()
            except (RprLocError, OSError, MemoryError) as error:
                self._fail(query, str(error) or _("not enough memory"))
            else:
                # Outside the try: an observer of rows that fails must not be taken for the query.
                deaths = 0
                self._worker.folder.clear()
                if self.done == number:
                    self._fail(query, _("the worker gave no answer"))

            # Whoever is told of the rows may cancel; then there is nothing left to do.
            if self.finished:
                return

        self._progress(1.0, _("Done."), 0.0)

    def _searchFor(self, query: Query) -> Request:
        """The request for one query, whose rows come as a partial event.

        Raises InputError or OSError if its voxels cannot be read, or not be written for the worker.
        """

        def take(event: Event) -> None:
            rows = [ResultRow.fromWorker(row, query.name, query.path) for row in event["results"]]
            self._take(query, rows, bool(event.get("problem")))
            if self._onContours is not None and event.get("contours") and not self.finished:
                self._onContours(query, event["contours"])

        params: Event = {
            **self._engine.params,
            "template": self.template,
            "alternatives": self.alternatives,
            "options": self._engine.options,
            "queries": [{"key": str(self.done), "volume": self._queryVolume(query)}],
        }
        # What is carried is shown in the scene, where a query that is not loaded has no place.
        if self._onContours is not None and query.node is not None:
            params["contours"] = True
        return Request("locate", params, onPartial=take)

    def _queryVolume(self, query: Query) -> Event:
        if query.node is None:
            return {"path": query.path, "name": query.name}
        if query.node.GetScene() is None:
            raise InputError(_("the volume was removed from the scene"))
        return {**self._volume(query.node), "name": query.name}

    def _takeProblem(self, query: Query, problem: Problem, answered: bool) -> None:
        """Make rows of a problem that is this query's own; raises it again if it is the run's."""
        if problem.code == WORKER_DIED and problem.details:
            self._observer.onLog("warning", problem.details)
        if problem.code not in _OF_THE_QUERY:
            raise WorkerProblem(problem)
        if not answered:
            self._fail(query, problem.message)

    def _fail(self, query: Query, reason: str) -> None:
        """Rows that say why, one per target: a query never disappears from the results."""
        line = " ".join(reason.split())
        self._take(query, [_failedRow(query, t, line) for t in self.template["targets"]], True)

    def _take(self, query: Query, rows: list[ResultRow], failed: bool) -> None:
        self.done += 1
        self.failed += failed
        if failed and rows:
            self._observer.onLog("warning", f"{query.name}: {rows[0].reason}")
        shown = asOneRow(rows) if failed else rows
        self._onRows(query, shown + [_leftOutRow(query, target) for target in self.leftOut])

    def _tellProgress(self, query: Query, number: int, started: float) -> None:
        total = len(self._queries)
        text = _("{name}: volume {number} of {total}")
        left = None
        if number:
            left = (self._clock() - started) / number * (total - number)
        text = text.format(name=query.name, number=number + 1, total=total)
        self._progress(number / total, text, left)


def asOneRow(rows: list[ResultRow]) -> list[ResultRow]:
    """One row for a CT that failed as a whole, instead of the same reason once per target."""
    first = rows[0] if rows else None
    same = [row for row in rows if row.status == FAILED and row.reason == rows[0].reason]
    if first is None or len(same) < len(rows):
        return rows
    return [ResultRow(first.query, "", "", FAILED, first.reason, path=first.path)]


def _failedRow(query: Query, target: dict[str, Any], reason: str) -> ResultRow:
    name, kind = str(target["name"]), str(target["kind"])
    return ResultRow(query.name, name, kind, FAILED, reason, path=query.path)


def _leftOutRow(query: Query, target: LeftOutTarget) -> ResultRow:
    reason = " ".join(target.reason.split())
    return ResultRow(query.name, target.name, target.kind, FAILED, reason, path=query.path)


def queriesOf(volumes: Iterable[Any], paths: Iterable[str]) -> list[Query]:
    """Queries with names that all differ: a name that occurs twice gets its number."""
    pairs = [(node.GetName(), node, "") for node in volumes]
    pairs += [(Path(path).name, None, str(path)) for path in paths]

    queries: list[Query] = []
    taken: set[str] = set()
    for name, node, path in pairs:
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name} ({number})", number + 1
        taken.add(unique)
        queries.append(Query(unique, node, path))
    return queries
