"""One run: every query in its own request, so that a query (or a worker) that fails costs its own rows only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from rprloc.errors import InputError, RprLocError
from rprloc.localization.status import FAILED

from ..scene.resultrows import ResultRow
from .workerjob import JobObserver, TemplateSource, Worker, WorkerJob, problemOf

MOST_DEATHS_IN_A_ROW = 2
_OF_THE_QUERY = ("input", "memory", "internal")


@dataclass(frozen=True)
class Query:
    """A CT to search: a loaded volume node, or the path of a file or DICOM folder."""

    name: str
    node: object = None
    path: str = ""


class LocalizationJob(WorkerJob):
    """Searches the queries one after the other; ``onRows(query, rows)`` is called for each when it is done."""

    def __init__(
        self,
        worker: Worker,
        source: TemplateSource,
        queries: list[Query],
        model: str,
        device: str,
        listener: JobObserver,
        onRows: Callable,
        options: dict | None = None,
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

    def _work(self) -> None:
        self._started = self._clock()
        self._next()

    def _next(self) -> None:
        """Ask for the next query that can be read; end after the last."""
        while self.done < len(self._queries) and not self.finished:
            query = self._queries[self.done]
            text = _("{name}: volume {number} of {total}")
            self._progress(
                self.done / len(self._queries),
                text.format(name=query.name, number=self.done + 1, total=len(self._queries)),
                self._secondsLeft(),
            )
            try:
                volume = self._queryVolume(query)
            except (RprLocError, OSError, MemoryError) as error:
                self._fail(query, str(error) or _("not enough memory"))
                continue
            self._locate(query, volume)
            return
        if not self.finished:
            self._progress(1.0, _("Done."), 0.0)
            self._end()

    def _queryVolume(self, query: Query) -> dict:
        if query.node is None:
            return {"path": query.path, "name": query.name}
        if query.node.GetScene() is None:
            raise InputError(_("the volume was removed from the scene"))
        return {**self._volume(query.node), "name": query.name}

    def _locate(self, query: Query, volume: dict) -> None:
        answered = []

        def onPartial(event):
            answered.append(True)
            self._deaths = 0
            rows = [ResultRow.fromWorker(row, query.name, query.path) for row in event["results"]]
            self._take(query, rows, bool(event.get("problem")))

        def onResult(event):
            self._worker.folder.clear()
            if not answered:
                self._fail(query, _("the worker gave no answer"))
            self._next()

        def onError(event):
            self._worker.folder.clear()
            self._onQueryError(query, event, bool(answered))

        params = {**self._engine, "template": self.template, "options": self._options}
        params["queries"] = [{"key": str(self.done), "volume": volume}]
        self._ask("locate", params, onResult, onPartial, onError)

    def _onQueryError(self, query: Query, event: dict, answered: bool) -> None:
        code, message = str(event.get("code", "internal")), str(event.get("message", ""))
        died = code == "worker-died"
        if died and event.get("details"):
            self._listener.onLog("warning", str(event["details"]))
        self._deaths = self._deaths + 1 if died else 0
        if not died and code not in _OF_THE_QUERY:
            self._end(problemOf(event))
            return
        if not answered:
            self._fail(query, message)
        if self._deaths >= MOST_DEATHS_IN_A_ROW:
            self._end(problemOf(event))
            return
        if died:
            self._listener.onLog("warning", _("The worker ended and is started again."))
            self._hello(lambda event: self._next())
        else:
            self._next()

    def _fail(self, query: Query, reason: str) -> None:
        """Rows that say why, one per target: a query never disappears from the results."""
        reason = " ".join(reason.split())
        self._take(
            query, [_failedRow(query, target, reason) for target in self.template["targets"]], True
        )

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


def _failedRow(query: Query, target: dict, reason: str) -> ResultRow:
    return ResultRow(
        query.name, str(target["name"]), str(target["kind"]), FAILED, reason, path=query.path
    )


def queriesOf(volumes, paths) -> list[Query]:
    """Queries with names that all differ: a name that occurs twice gets its number."""
    pairs = [(node.GetName(), node, "") for node in volumes]
    pairs += [(Path(path).name, None, str(path)) for path in paths]
    queries, taken = [], set()
    for name, node, path in pairs:
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name} ({number})", number + 1
        taken.add(unique)
        queries.append(Query(unique, node, path))
    return queries
