"""Hands tasks to the cluster, a few at a time, and settles what becomes of each.

Whatever fails is tried once more, on another worker if there is one; then its rows say why.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..errors import InputError, one_line
from .cluster import NETWORK, READING
from .request import SeriesTask
from .task import (
    ERROR,
    TIMEOUT_MARK,
    Outcome,
    run_preparation,
    run_task,
    running_file,
    write_failure,
)

CRASHED: Final = "crashed"
HUNG: Final = "hung"
ATTEMPTS: Final = 2
#: Tasks that wait at the scheduler for each worker: enough that none is idle.
_WAITING = 3
_LEAST_WAITING = 8
#: So often, in seconds, it is asked whether there are workers at all when nothing happens.
_LOOK_S = 5.0
#: So long, in seconds, there may be none: jobs of a busy cluster wait for hours.
_NO_WORKERS_S = 120.0
_Work = Callable[..., Outcome]


@dataclass(eq=False)
class Driver:
    """Runs tasks on a client.

    Attributes:
        client: of Dask.
        readers: whether reading is done by workers of its own.
        patient: whether to wait for workers without end, as for jobs of a queue.
        work, prepare: what a task does; others in measurements.
        retried: tasks that were tried again.
    """

    client: Any
    readers: bool = False
    patient: bool = False
    work: _Work = run_task
    prepare: Callable[..., Any] = run_preparation
    retried: int = 0
    _done: queue.Queue[Any] = field(default_factory=queue.Queue)
    _flying: dict[Any, SeriesTask] = field(default_factory=dict)

    def run(self, tasks: Iterable[SeriesTask]) -> Iterator[Outcome]:
        """Yield one outcome per task, as they come.

        Raises InputError if the scheduler or all workers are gone, and OutputError if results
        cannot be written.
        """
        waiting = iter(tasks)
        for task in waiting:
            self._submit(task)
            if len(self._flying) >= self._room():
                break
        while self._flying:
            future = self._next()
            task = self._flying.pop(future)
            outcome = self._settled(task, future)
            if outcome is None:
                continue
            following = next(waiting, None)
            if following is not None:
                self._submit(following)
            yield outcome

    def stop(self) -> None:
        """Cancel what is not done."""
        if self._flying and self.client.status == "running":
            self.client.cancel(list(self._flying), force=True)
        self._flying.clear()

    def _room(self) -> int:
        workers = len(self.client.scheduler_info(n_workers=-1)["workers"])
        return max(_LEAST_WAITING, _WAITING * workers)

    def _submit(self, task: SeriesTask, avoid: str = "") -> None:
        name = f"{task.row.series_id}-{task.keys[0]}-{task.attempt}"
        usual: dict[str, Any] = {"pure": False, "retries": 0}
        if self.readers:
            reading, network = {READING: 1}, {NETWORK: 1}
            ready = self.client.submit(
                self.prepare, task, key=f"read-{name}", resources=reading, **usual
            )
            future = self.client.submit(
                self.work, task, ready, key=f"locate-{name}", resources=network, **usual
            )
        else:
            others = self._others(avoid)
            where = {"workers": others, "allow_other_workers": True} if others else {}
            future = self.client.submit(self.work, task, key=f"locate-{name}", **usual, **where)
        self._flying[future] = task
        future.add_done_callback(self._done.put)

    def _others(self, avoid: str) -> list[str]:
        """Return the workers but one, to try something elsewhere; empty if there are no others."""
        if not avoid:
            return []
        return [one for one in self.client.scheduler_info(n_workers=-1)["workers"] if one != avoid]

    def _next(self) -> Any:
        """Wait for the next future that is done; raises InputError if none can be any more."""
        idle = 0.0
        while True:
            try:
                return self._done.get(timeout=_LOOK_S)
            except queue.Empty:
                idle = 0.0 if self._has_workers() else idle + _LOOK_S
            if idle >= _NO_WORKERS_S and not self.patient:
                raise InputError(
                    "the cluster has no worker any more: start workers, and repeat the command, "
                    "which goes on where it stopped"
                )

    def _has_workers(self) -> bool:
        if self.client.status != "running":
            raise _scheduler_gone()
        return bool(self.client.scheduler_info(n_workers=-1)["workers"])

    def _settled(self, task: SeriesTask, future: Any) -> Outcome | None:
        """Return what became of a task; None if it is tried again."""
        from distributed.scheduler import KilledWorker

        avoid = ""
        try:
            outcome: Outcome = future.result()
            if outcome.written:
                return outcome
            cause, reason = outcome.cause, outcome.reason
        except KilledWorker as error:
            avoid = str(getattr(error.last_worker, "address", ""))
            cause, reason = _why_killed(task)
        except (CancelledError, TimeoutError, OSError) as error:
            raise _scheduler_gone() from error
        except Exception as error:
            cause, reason = ERROR, f"{type(error).__name__}: {one_line(error)}"
        if task.attempt < ATTEMPTS:
            self.retried += 1
            self._submit(replace(task, attempt=task.attempt + 1), avoid)
            return None
        reason = f"{reason}; tried {task.attempt} times"
        if task.located:
            return Outcome(task.row.series_id, cause=cause, reason=reason)
        return write_failure(task, cause, reason)


def _scheduler_gone() -> InputError:
    return InputError(
        "the scheduler is gone: start it again, and repeat the command, which goes on where it "
        "stopped"
    )


def _why_killed(task: SeriesTask) -> tuple[str, str]:
    """Return the cause, and the reason in words, of a worker that died at a task."""
    file = running_file(task)
    try:
        told = file.read_text(encoding="utf-8", errors="replace")
        file.unlink(missing_ok=True)
    except OSError:
        told = ""
    if TIMEOUT_MARK in told:
        return HUNG, f"no answer within {task.worker.timeout_s:g} s: its worker was ended"
    return CRASHED, "its worker died: killed from outside, or above the memory that it may have"
