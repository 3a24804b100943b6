"""SIGKILL of a worker, of the scheduler and of the client at random moments, then the same command.

Afterwards every row must be there exactly once, none failed, and no part that was finished before
the resume may have been written again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
from support.command_line import write_query
from support.models import export_random_model
from support.samples import LABEL_IDS, phantom_geometry, phantom_hu, phantom_labels, write_image

from rprloc.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
SERIES, TARGETS = 12, len(LABEL_IDS)
KINDS = ("worker", "scheduler", "client")
LONGEST_S = 900.0


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Kill each kind at ``moments`` random moments."""
    work = args.folder / "kills"
    shutil.rmtree(work, ignore_errors=True)
    given = _prepared(work)
    rng = random.Random(args.seed)
    figures: dict[str, Any] = {"series": SERIES, "targets": TARGETS}
    # The resume is the same command on one cluster that lives all the time.
    with _cluster(work / "second.json", "client") as (second, _):
        for n in range(args.moments):
            for kind in KINDS:
                found = _one(work / f"{kind}-{n}", given, kind, rng.random(), second)
                figures.setdefault(kind, []).append(found)
                print(kind, n, found, file=sys.stderr, flush=True)
    every = [moment for kind in KINDS for moment in figures[kind]]
    figures["all_exactly_once"] = all(moment["exactly_once"] for moment in every)
    figures["computed_again"] = sum(moment["computed_again"] for moment in every)
    return figures


def _prepared(work: Path) -> list[str]:
    """Write CTs, a random model and a template; returns the arguments of the command."""
    model = export_random_model(work / "model" / "tiny", "tiny")
    reference, labels = work / "ref.nii.gz", work / "labels.nii.gz"
    geometry = phantom_geometry()
    write_image(reference, phantom_hu(geometry), geometry)
    write_image(labels, phantom_labels(geometry), geometry)
    (work / "ids.json").write_text(json.dumps(LABEL_IDS), encoding="utf-8")
    template = work / "organs.json"
    made = ["--reference", reference, "--targets", labels, "--label-ids", work / "ids.json"]
    made += ["--model", model, "--out", template, "--device", "cpu"]
    main(["template", "make", *map(str, made)])
    for n in range(SERIES):
        write_query(work / "tree", f"ct{n:02d}.nii.gz")
    index = work / "c.parquet"
    main(["cohort", "index", str(work / "tree"), "--out", str(index), "--workers", "1"])
    return [str(index), "--template", str(template), "--model", str(model), "--device", "cpu"]


def _one(out: Path, given: list[str], kind: str, share: float, second: str) -> dict[str, Any]:
    """Kill at a share of the work, counted in finished series, and resume."""
    finished = int(share * SERIES)
    with _cluster(out.with_suffix(".json"), kind) as (address, scheduler):
        process = _command(out, given, address)
        _wait(process, out, finished)
        # Somewhere within a task.
        time.sleep(share % 0.37)
        alive = process.poll() is None
        _kill(kind, process, scheduler)
        process.wait(LONGEST_S)
    before = _parts(out)
    code = _command(out, given, second).wait(LONGEST_S)
    after = _parts(out)
    rows = pq.read_table(out / "results.parquet").to_pylist()
    counts = Counter((row["series_id"], row["target"]) for row in rows)
    return {
        "finished_before": len(before),
        "alive": alive,
        "code": code,
        "exactly_once": len(counts) == SERIES * TARGETS and set(counts.values()) == {1},
        "failed": sum(row["status"] == "failed" for row in rows),
        "computed_again": sum(after[name] != before[name] for name in before),
    }


def _wait(process: subprocess.Popen[bytes], out: Path, finished: int) -> None:
    end = time.monotonic() + LONGEST_S
    while len(_parts(out)) < finished and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def _kill(kind: str, process: subprocess.Popen[bytes], scheduler: subprocess.Popen[bytes]) -> None:
    if kind == "client":
        process.kill()
    elif kind == "scheduler":
        scheduler.kill()
    else:
        # The worker itself, below its nanny, which starts another.
        children = psutil.Process(scheduler.pid).children(recursive=True)
        workers = [one for one in children if not one.children()]
        if workers:
            os.kill(workers[-1].pid, signal.SIGKILL)


def _command(out: Path, given: list[str], address: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "rprloc", "cohort", "locate", *given, "--out", str(out)]
    where = ["--scheduler", address]
    log = subprocess.DEVNULL
    return subprocess.Popen([*command, *where], env=_variables(), stdout=log, stderr=log)


@contextmanager
def _cluster(file: Path, kind: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a scheduler and a worker; yields the address, and the process that is to be killed."""
    file.unlink(missing_ok=True)
    scheduler = _dask("scheduler", "--host", "127.0.0.1", "--port", "0", file=file)
    worker = _dask("worker", "--nthreads", "1", "--nworkers", "1", file=file)
    try:
        while not file.exists():
            time.sleep(0.05)
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
        yield address, worker if kind == "worker" else scheduler
    finally:
        for process in (worker, scheduler):
            _end(process)


def _dask(what: str, *options: str, file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dask", what, *options, "--no-dashboard"]
    where = ["--scheduler-file", str(file)]
    if what == "worker":
        where += ["--local-directory", str(file.parent)]
    log = subprocess.DEVNULL
    return subprocess.Popen([*command, *where], env=_variables(), stdout=log, stderr=log)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    except psutil.NoSuchProcess:
        pass
    process.kill()
    process.wait()


def _variables() -> dict[str, str]:
    packages = [str(ROOT / "RPRLocalization"), str(ROOT / "RPRTraining")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(packages)}


def _parts(out: Path) -> dict[str, int]:
    found = {}
    for path in out.glob("parts/*/*.parquet"):
        try:
            found[path.name] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found
