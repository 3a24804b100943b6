"""One run over many queries.

Every query has its own request: one that fails (or ends the worker) costs its own rows only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from rprloc.errors import InputError, RprLocError

from ..scene.resultrows import FAILED, ResultRow
from .workerjob import (
    Event,
    JobObserver,
    Request,
    Steps,
    TemplateSource,
    Worker,
    WorkerJob,
    WorkerProblem,
)

MOST_DEATHS_IN_A_ROW = 2
_CODES_OF_ONE_QUERY = ("input", "memory", "internal")


@dataclass(frozen=True)
class Query:
    """A CT to search: a loaded volume node, or the path of a file or DICOM folder."""

    name: str
    node: Any = None
    path: str = ""


class LocalizationJob(WorkerJob):
    """Searches the queries one after the other; ``onRows(query, rows)`` is called after each."""

    def __init__(
        self,
        worker: Worker,
        source: TemplateSource,
        queries: list[Query],
        model: str,
        device: str,
        listener: JobObserver,
        onRows: Callable[[Query, list[ResultRow]], None],
        options: dict[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(worker, source, model, device, listener)
        self._queries = queries
        self._onRows = onRows
        self._options = options or {}
        self._clock = clock
        self._started = 0.0
        self._deaths = 0
        self.done = 0
        self.failed = 0

    def abandon(self) -> None:
        """Stop without telling anyone but the worker (the scene is closing)."""
        self._onRows = lambda query, rows: None
        super().abandon()

    def work(self, template: dict[str, Any]) -> Steps:
        """Search every query; what goes wrong with one costs its own rows only."""
        self._started = self._clock()

        for number, query in enumerate(self._queries):
            # Whoever was told of the last rows may have ended the job.
            if self.finished:
                return
            self._announce(number, query)
            try:
                yield self._locate(number, query, self._queryVolume(query), template)
            except (RprLocError, OSError, MemoryError) as error:
                self._fail(query, template, str(error) or _("not enough memory"))
            except WorkerProblem as error:
                yield from self._recover(number, query, template, error)
            else:
                if self.done == number:
                    self._fail(query, template, _("the worker gave no answer"))

        if not self.finished:
            self._progress(1.0, _("Done."), 0.0)

    def _announce(self, number: int, query: Query) -> None:
        total = len(self._queries)
        text = _("{name}: volume {number} of {total}")
        self._progress(
            number / total,
            text.format(name=query.name, number=number + 1, total=total),
            self._secondsLeft(),
        )

    def _queryVolume(self, query: Query) -> dict[str, Any]:
        if query.node is None:
            return {"path": query.path, "name": query.name}
        if query.node.GetScene() is None:
            raise InputError(_("the volume was removed from the scene"))
        return {**self._volume(query.node), "name": query.name}

    def _locate(
        self, number: int, query: Query, volume: dict[str, Any], template: dict[str, Any]
    ) -> Request:
        def onPartial(event: Event) -> None:
            self._deaths = 0
            rows = [ResultRow.fromWorker(row, query.name, query.path) for row in event["results"]]
            self._take(query, rows, bool(event.get("problem")))

        params = {**self._engine, "template": template, "options": self._options}
        params["queries"] = [{"key": str(number), "volume": volume}]
        return Request("locate", params, onPartial)

    def _recover(
        self, number: int, query: Query, template: dict[str, Any], error: WorkerProblem
    ) -> Steps:
        """Get ready for the next query; raise the error again if the run cannot go on."""
        problem = error.problem
        died = problem.code == "worker-died"
        if died and problem.details:
            self._listener.onLog("warning", problem.details)
        self._deaths = self._deaths + 1 if died else 0
        if not died and problem.code not in _CODES_OF_ONE_QUERY:
            raise error

        if self.done == number:
            self._fail(query, template, problem.message)

        # A worker that dies again and again would cost every query its rows, one restart each.
        if self._deaths >= MOST_DEATHS_IN_A_ROW:
            raise error
        if died:
            self._listener.onLog("warning", _("The worker ended and is started again."))
            yield self._hello()

    def _fail(self, query: Query, template: dict[str, Any], reason: str) -> None:
        """Rows that say why, one per target: a query never disappears from the results."""
        reason = " ".join(reason.split())
        rows = [_failedRow(query, target, reason) for target in template["targets"]]
        self._take(query, rows, failed=True)

    def _take(self, query: Query, rows: list[ResultRow], failed: bool) -> None:
        self.done += 1
        self.failed += failed
        if failed and rows:
            self._listener.onLog("warning", f"{query.name}: {rows[0].reason}")
        self._onRows(query, rows)

    def _secondsLeft(self) -> float | None:
        if not self.done:
            return None
        return (self._clock() - self._started) / self.done * (len(self._queries) - self.done)


def _failedRow(query: Query, target: dict[str, Any], reason: str) -> ResultRow:
    return ResultRow(
        query.name, str(target["name"]), str(target["kind"]), FAILED, reason, path=query.path
    )


def queriesOf(volumes: Iterable[Any], paths: Iterable[str | Path]) -> list[Query]:
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
