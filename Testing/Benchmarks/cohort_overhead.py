"""What the scheduler costs: many tasks that do nothing, through the driver as real ones."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from rprloc.cohort.cluster import LOCAL, ClusterRequest, connected
from rprloc.cohort.driver import Driver
from rprloc.cohort.index_rows import IndexRow
from rprloc.cohort.request import Extras, SearchOptions, SeriesTask, TemplateChoice, WorkerOptions
from rprloc.cohort.task import Outcome


def empty(task: SeriesTask) -> Outcome:
    """Do nothing."""
    return Outcome(task.row.series_id, {"ok": 7})


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run empty tasks on as many workers as asked for."""
    tasks = [_task(args, n) for n in range(args.tasks)]
    figures: dict[str, Any] = {"tasks": args.tasks}
    for workers in args.workers:
        request = ClusterRequest(LOCAL, workers, 1, "2GiB", args.folder)
        with connected(request) as client:
            driver = Driver(client, work=empty)
            list(driver.run(tasks[:50]))
            started, cpu = time.perf_counter(), time.process_time()
            done = sum(1 for _ in driver.run(tasks[50:]))
            spent = time.perf_counter() - started
        figures[f"ms_per_task_{workers}"] = round(1000 * spent / done, 2)
        figures[f"cpu_ms_per_task_{workers}"] = round(1000 * (time.process_time() - cpu) / done, 2)
        print(workers, figures, file=sys.stderr, flush=True)
    return figures


def _task(args: argparse.Namespace, n: int) -> SeriesTask:
    row = IndexRow(f"{n:016x}", f"p{n}/s", "dicom", 100, 1, "readable", "", (512, 512, 100))
    model = (("name", "m"), ("version", "1"), ("coarse", "0" * 64), ("fine", "0" * 64))
    choice = TemplateChoice("organs", args.folder / "t.json", "0" * 64, args.folder, model)
    return SeriesTask(
        *(args.folder, row, ((f"{n:012x}", choice),)),
        *(SearchOptions(), Extras(), WorkerOptions(), args.folder),
    )
