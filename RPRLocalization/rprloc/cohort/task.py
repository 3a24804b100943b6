"""What a worker does with one series: read, locate every target, and write one part.

Nothing is raised but what ends the process: a failure is an answer. A watchdog of the C runtime
ends a process that hangs, also where Python itself does not get on; the scheduler sees it die.
"""

from __future__ import annotations

import faulthandler
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, ModelError, OutputError, RprLocError, TemplateError, one_line
from .parts import part_path, write_part
from .request import SearchOptions, SeriesTask, TemplateChoice, WorkerOptions

if TYPE_CHECKING:
    from ..localization.locator import Locator
    from ..localization.result import Result
    from ..localization.template import Template
    from .preparation import Prepared

RUNNING = "running"
#: Why rows have no answer: the gate refused the CT; the code or the machine failed; see driver.py.
REFUSED, ERROR = "refused", "error"
#: The first words that the watchdog writes.
TIMEOUT_MARK = "Timeout"
_MIB = 1024.0
#: A worker may take so long to load models at least.
_LOADING_S = 600.0


@dataclass(frozen=True)
class Outcome:
    """What is told of a task: its answers are in its part.

    Attributes:
        series_id: of the series. statuses: number of answers by status.
        seconds: of the phases, and ``total``. peak_mib: memory of the process, at most so far.
        cause, reason: why there is no answer; empty if there is.
        written: whether the part is there; without it, the task may be tried again.
        place: host and process.
    """

    series_id: str
    statuses: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_mib: float = 0.0
    cause: str = ""
    reason: str = ""
    written: bool = True
    place: str = ""


def run_task(task: SeriesTask, prepared: Prepared | Outcome | None = None) -> Outcome:
    """Do all of a task, or what is left to do after ``run_preparation``."""
    if isinstance(prepared, Outcome):
        return prepared
    if task.located:
        return _completed(task)
    if part_path(task.out, task.row.series_id, task.keys).exists():
        # Its worker died between writing the part and telling so.
        return Outcome(task.row.series_id, place=_place())
    try:
        # Once per worker, and not the CT's fault if a busy disk takes long.
        with _watched(task, max(_LOADING_S, task.worker.timeout_s)):
            locators = _locators(task)
    except Exception as error:
        return _failed(task, error)
    with _watched(task, task.worker.timeout_s):
        started, cpu = time.perf_counter(), time.process_time()
        try:
            rows, seconds = _answers(task, prepared, locators)
        except Exception as error:
            return _failed(task, error)
        before = 0.0 if prepared is None else sum(prepared.seconds.values())
        seconds["total"] = time.perf_counter() - started + before
        # Of this process: what the task costs also where others use the machine.
        seconds["cpu"] = time.process_time() - cpu
        return _finished(task, rows, seconds)


def run_preparation(task: SeriesTask) -> Prepared | Outcome:
    """Do the part of a task that needs no network."""
    from .preparation import prepare

    with _watched(task, task.worker.timeout_s):
        try:
            return prepare(task)
        except Exception as error:
            return _failed(task, error)


def _completed(task: SeriesTask) -> Outcome:
    """Write what is missing beside the table, from answers that are there."""
    from .series_output import write_series_output
    from .stored_results import source_of, stored_results

    with _watched(task, task.worker.timeout_s):
        started = time.perf_counter()
        results = stored_results(task.out, task.row.series_id, task.keys)
        statuses = dict(Counter(str(result.status) for result in results))
        try:
            write_series_output(task, source_of(task), results)
        # Its answers stay; a CT that cannot be read any more has no picture.
        except InputError as error:
            reason = str(error)
            return Outcome(task.row.series_id, statuses, cause=REFUSED, reason=reason)
        except Exception as error:
            return _failed(task, error)
        seconds = {"total": time.perf_counter() - started}
        return Outcome(task.row.series_id, statuses, seconds, peak_mib(), place=_place())


def running_file(task: SeriesTask) -> Path:
    """Return the file that is there while a worker is at a task."""
    return task.out / RUNNING / f"{task.row.series_id}.txt"


@contextmanager
def _watched(task: SeriesTask, timeout_s: float) -> Iterator[None]:
    """Leave a sign that a task is being done, and end the process if it is not done in time."""
    file = running_file(task)
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(f"{_place()}\n")
        stream.flush()
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=stream)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
    with suppress(OSError):
        file.unlink()


def _place() -> str:
    return f"{platform.node()} process {os.getpid()}"


@lru_cache(maxsize=8)
def _locator(folder: Path, identity: Any, search: SearchOptions, worker: WorkerOptions) -> Locator:
    """Load a model once per worker."""
    import SimpleITK as sitk
    import torch

    from ..localization.locator import Locator, Options
    from ..model.devices import resolve_device
    from ..model.loading import load_model

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(worker.threads)
    torch.set_num_threads(worker.threads)
    model = load_model(folder, resolve_device(worker.device))
    if tuple(sorted(model.card.identity.items())) != identity:
        raise ModelError(f"{folder}: the model is not the one that the cohort was begun with")
    return Locator(model, Options(search.runs, search.steps, search.seed))


@lru_cache(maxsize=64)
def _template(path: Path, digest: str) -> Template:
    """Read a template once per worker."""
    from ..localization.template import Template
    from ..model.finding import file_sha256

    if file_sha256(path) != digest:
        raise TemplateError(f"{path}: has changed since the cohort was begun: repeat the command")
    return Template.read(path)


def _locators(task: SeriesTask) -> dict[Path, Locator]:
    """Return the locator of every model of a task, and have its code loaded."""
    from . import preparation  # noqa: F401

    for _, choice in task.templates:
        _template(choice.path, choice.digest)
    return {
        choice.model: _locator(choice.model, choice.identity, task.search, task.worker)
        for _, choice in task.templates
    }


def _answers(
    task: SeriesTask, prepared: Prepared | None, locators: dict[Path, Locator]
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Locate the targets of all templates; returns rows, and the seconds of the phases."""
    from .preparation import embed, prepare

    prepared = prepare(task) if prepared is None else prepared
    embedded = {
        folder: replace(embed(prepared, locator.model), name=task.row.series_id)
        for folder, locator in locators.items()
    }
    rows: list[dict[str, Any]] = []
    results: list[Result] = []
    for key, choice in task.templates:
        template = _template(choice.path, choice.digest)
        found = locators[choice.model].locate(embedded[choice.model], template)
        rows += [row_of(task, key, choice, result) for result in found]
        results += found
    if task.extras.names:
        from ..localization.result import with_notes
        from .series_output import write_series_output

        notes = write_series_output(task, prepared, results)
        rows = [{**row, "reason": with_notes(row["reason"], notes)} for row in rows]
    seconds: Counter[str] = Counter()
    for one in embedded.values():
        seconds.update({name: n for name, n in one.seconds.items() if name in ("embed", "locate")})
    return rows, {**prepared.seconds, **seconds}


def row_of(task: SeriesTask, key: str, choice: TemplateChoice, result: Result) -> dict[str, Any]:
    """Return one row of a part."""
    from ..localization.result import three_numbers

    names = ("cx", "cy", "cz", "sx", "sy", "sz")
    numbers = [*three_numbers(result.center), *three_numbers(result.size)]
    return {
        **{"key": key, "series_id": task.row.series_id, "path": task.row.path},
        **{"template": choice.name, "model": dict(choice.identity).get("name", "")},
        **{"target": result.target, "kind": result.kind, "status": result.status},
        **dict(zip(names, numbers, strict=True)),
        **{"spread_mm": result.spread_mm, "cycle_mm": result.cycle_mm},
        **{"similarity": result.similarity, "reason": " ".join(result.reason.split())},
        **{"cause": "", "attempts": task.attempt, "radius90_mm": result.radius90_mm},
    }


def failed_rows(task: SeriesTask, cause: str, reason: str) -> list[dict[str, Any]]:
    """Return one ``failed`` row per target."""
    from ..localization.batch import failed_results

    return [
        {**row_of(task, key, choice, result), "cause": cause}
        for key, choice in task.templates
        for result in failed_results(
            _template(choice.path, choice.digest), task.row.series_id, reason
        )
    ]


def _finished(task: SeriesTask, rows: list[dict[str, Any]], seconds: dict[str, float]) -> Outcome:
    peak = peak_mib()
    for row in rows:
        row |= {"read_s": seconds.get("read"), "total_s": seconds["total"]}
        row |= {"cpu_s": seconds["cpu"], "peak_mib": peak}
    try:
        write_part(part_path(task.out, task.row.series_id, task.keys), rows)
    except OutputError as error:
        return _unwritten(task, str(error))
    statuses = dict(Counter(row["status"] for row in rows))
    return Outcome(task.row.series_id, statuses, seconds, peak, place=_place())


def _failed(task: SeriesTask, error: Exception) -> Outcome:
    """Return why a series has no answer; what the gate says would be the same again."""
    from ..localization.batch import describe

    if isinstance(error, OutputError):
        return _unwritten(task, str(error))
    if isinstance(error, OSError):
        # A disk or network that fails is not the program's error.
        return _unwritten(task, f"cannot be read ({error.strerror or one_line(error)})")
    if not isinstance(error, RprLocError):
        return _unwritten(task, describe(error))
    return write_failure(task, REFUSED, describe(error))


def _unwritten(task: SeriesTask, reason: str) -> Outcome:
    return Outcome(task.row.series_id, cause=ERROR, reason=reason, written=False, place=_place())


def write_failure(task: SeriesTask, cause: str, reason: str) -> Outcome:
    """Write the part of a task without an answer. Raises OutputError."""
    rows = failed_rows(task, cause, reason)
    write_part(part_path(task.out, task.row.series_id, task.keys), rows)
    statuses = {"failed": len(rows)}
    return Outcome(task.row.series_id, statuses, {}, peak_mib(), cause, reason, place=_place())


def peak_mib() -> float:
    """Return the most memory that this process has had, MiB; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0.0
    import resource

    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    # Linux counts in KiB, macOS in bytes.
    return peak / _MIB / (_MIB if sys.platform == "darwin" else 1.0)
