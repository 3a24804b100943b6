"""``rprloc cohort locate``: every failure costs its own rows, and nothing is computed twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.cohorts import write_preload, write_tree
from support.command_line import assert_refused, rows_of
from support.paths import ROOT

from rprloc.cli.main import main

dask = pytest.importorskip("dask", reason="the extra 'cohort' is not installed")
for _needed in ("pyarrow", "distributed", "tqdm", "pydicom"):
    pytest.importorskip(_needed, reason="the extra 'cohort' is not installed")

TARGETS = 2
LIMIT_S = 120.0


def make_index(root: Path, out: Path) -> Path:
    assert main(["cohort", "index", str(root), "--out", str(out), "--workers", "1"]) == 0
    return out


def parts_of(out: Path) -> dict[str, int]:
    """Parts with the time of their writing."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("parts/*/*.parquet")}


def until(condition: Callable[[], object], what: str) -> None:
    """Look until something is so; fail loudly if it never is."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"not within {LIMIT_S:g} s: {what}"
        time.sleep(0.05)


class Cohort:
    """An index, and the command that locates in it."""

    def __init__(self, index: Path, template: Path, model: Path, out: Path) -> None:
        self.index, self.template, self.model, self.out = index, template, model, out

    def arguments(self, *more: str, template: Path | None = None) -> list[str]:
        given = [str(self.index), "--template", str(template or self.template)]
        given += ["--model", str(self.model), "--out", str(self.out), "--device", "cpu", *more]
        return ["cohort", "locate", *given]

    def run(self, *more: str, template: Path | None = None) -> int:
        return main(self.arguments(*more, template=template))

    def process(self, *more: str) -> subprocess.Popen[bytes]:
        packages = [str(ROOT / "RPRLocalization"), str(ROOT / "RPRTraining")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(packages)}
        command = [sys.executable, "-m", "rprloc", *self.arguments(*more)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


@pytest.fixture
def cohort(
    tmp_path: Path, cohort_template: Path, tiny_model: Path, request: pytest.FixtureRequest
) -> Cohort:
    """An index of CTs of the names that the test gives."""
    root = write_tree(tmp_path / "tree", request.param)
    index = make_index(root, tmp_path / "c.parquet")
    return Cohort(index, cohort_template, tiny_model, tmp_path / "out")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with a worker, which loads the model once for all tests."""
    with _Scheduler(tmp_path_factory.mktemp("dask")) as running:
        yield running.address


FAULTS = ["good", "kill", "hang", "flaky", "broken", "other"]


@pytest.mark.parametrize("cohort", [FAULTS], indirect=True)
def test_every_fault_costs_its_own_rows_and_says_why(
    cohort: Cohort, tmp_path: Path, scheduler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with dask.config.set({"distributed.worker.preload": [str(write_preload(tmp_path))]}):
        assert cohort.run("--workers", "2", "--timeout", "12") == 1
    told = capsys.readouterr()
    assert "dashboard: http://127.0.0.1" in told.err and "4GiB each" in told.err

    rows = {row["path"].partition(".")[0]: row for row in rows_of(cohort.out)}
    assert sorted(rows) == sorted(FAULTS)
    assert Counter(row["path"] for row in rows_of(cohort.out)).total() == TARGETS * len(FAULTS)
    causes = {name: row["cause"] for name, row in rows.items()}
    assert causes == {
        **dict.fromkeys(("good", "flaky", "other"), ""),
        **{"kill": "crashed", "hang": "hung", "broken": "error"},
    }
    assert "died" in rows["kill"]["reason"] and "tried 2 times" in rows["kill"]["reason"]
    assert "no answer within 12 s" in rows["hang"]["reason"]
    assert "ZeroDivisionError: a bug" in rows["broken"]["reason"]
    assert not list((cohort.out / "running").iterdir())

    # The same command has nothing to do; what crashed is tried again when asked for.
    before = parts_of(cohort.out)
    assert cohort.run("--workers", "1") == 1
    assert parts_of(cohort.out) == before
    assert cohort.run("--scheduler", scheduler, "--retry-failed") == 0
    after = parts_of(cohort.out)
    assert sorted(after) == sorted(before)
    assert len([name for name in after if after[name] != before[name]]) == 3


@pytest.mark.parametrize("cohort", [["one", "two"]], indirect=True)
def test_only_what_has_changed_is_computed_again(
    cohort: Cohort, tmp_path: Path, scheduler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--scheduler", scheduler)
    assert cohort.run(*where) == 0
    first = parts_of(cohort.out)
    # What is asked for beside the table later is made of the answers that are there.
    assert cohort.run(*where, "--markups") == 0
    assert parts_of(cohort.out) == first
    assert len(list(cohort.out.glob("series/*/*.mrk.json"))) > 0
    capsys.readouterr()
    assert cohort.run(*where, "--markups") == 0
    assert "2 finished before, 0 to do" in capsys.readouterr().err

    # A second template costs its own rows; the first one's stay.
    second = tmp_path / "second.json"
    second.write_bytes(cohort.template.read_bytes())
    assert cohort.run("--template", str(second), *where) == 0
    both = parts_of(cohort.out)
    assert {name: both[name] for name in first} == first and len(both) == 2 * len(first)
    assert Counter(row["template"] for row in rows_of(cohort.out)) == {
        "organs": 2 * TARGETS,
        "second": 2 * TARGETS,
    }

    # One CT changes: its rows are made again, and its old ones are in the table no more.
    write_tree(tmp_path / "tree", ["three"])
    (tmp_path / "tree" / "three.nii.gz").replace(tmp_path / "tree" / "two.nii.gz")
    data = bytearray((tmp_path / "tree" / "two.nii.gz").read_bytes())
    data[9] ^= 1
    (tmp_path / "tree" / "two.nii.gz").write_bytes(bytes(data))
    make_index(tmp_path / "tree", cohort.index)
    assert cohort.run(*where) == 0
    assert len(parts_of(cohort.out)) == len(both) + 1
    assert Counter(row["path"] for row in rows_of(cohort.out)) == {
        "one.nii.gz": TARGETS,
        "two.nii.gz": TARGETS,
    }


@pytest.mark.parametrize("cohort", [["a", "b", "c", "d"]], indirect=True)
def test_a_killed_client_leaves_nothing_behind_and_is_resumed(
    cohort: Cohort, scheduler: str
) -> None:
    process = cohort.process("--workers", "1", "--readers", "1")
    try:
        until(lambda: parts_of(cohort.out) or process.poll() is not None, "a first part")
        workers = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.communicate()
    until(lambda: not any(worker.is_running() for worker in workers), "workers end too")
    before = parts_of(cohort.out)
    assert cohort.run("--scheduler", scheduler) == 0
    after = parts_of(cohort.out)
    assert {name: after[name] for name in before} == before
    assert Counter(row["path"] for row in rows_of(cohort.out)) == {
        f"{name}.nii.gz": TARGETS for name in "abcd"
    }


@pytest.mark.parametrize("cohort", [["a", "b", "c"]], indirect=True)
def test_a_killed_scheduler_is_said_and_the_next_one_goes_on(
    cohort: Cohort, tmp_path: Path, scheduler: str
) -> None:
    with _Scheduler(tmp_path) as first:
        process = cohort.process("--scheduler", first.address)
        until(lambda: parts_of(cohort.out) or process.poll() is not None, "a first part")
        first.kill()
        error = process.communicate(timeout=LIMIT_S)[1].decode()
    if process.returncode != 0:
        assert process.returncode == 2 and "goes on where it stopped" in error
    assert cohort.run("--scheduler", scheduler) == 0
    assert Counter(row["path"] for row in rows_of(cohort.out)) == {
        f"{name}.nii.gz": TARGETS for name in "abc"
    }


class _Scheduler:
    """A Dask scheduler and one worker, as a user starts them."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"scheduler-{time.monotonic_ns()}.json"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> _Scheduler:
        given = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self._start("scheduler", *given, "--scheduler-file", str(self._file))
        until(self._file.exists, "a scheduler")
        given = ["--nthreads", "1", "--no-dashboard", "--scheduler-file", str(self._file)]
        self._start("worker", *given, "--local-directory", str(self._file.parent))
        self.address: str = json.loads(self._file.read_text())["address"]
        return self

    def _start(self, *command: str) -> None:
        packages = [str(ROOT / "RPRLocalization"), str(ROOT / "RPRTraining")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(packages)}
        log = subprocess.DEVNULL
        self._processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "dask", *command], env=environment, stdout=log, stderr=log
            )
        )

    def kill(self) -> None:
        self._processes[0].send_signal(signal.SIGKILL)

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def test_a_second_cluster_of_one_process_has_dask_s_settings() -> None:
    code = """
from rprloc.cohort.cluster import settings

with settings():
    pass
from distributed import Security

print(Security.temporary().require_encryption)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "RPRLocalization")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("cohort", [["a"]], indirect=True)
def test_what_cannot_be_run_is_refused_in_one_line(
    cohort: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return main(list(arguments)), *capsys.readouterr()

    assert_refused(refused(*cohort.arguments("--scheduler", "mpi")), "mpi", "slurm")
    assert_refused(refused(*cohort.arguments("--template", str(cohort.template))), "rename")
    cohort.out.mkdir()
    (cohort.out / "mine.txt").touch()
    assert_refused(refused(*cohort.arguments()), "already holds files")
    (cohort.out / "mine.txt").unlink()
    (tmp_path / "no.parquet").write_text("no index")
    cohort.index = tmp_path / "no.parquet"
    assert_refused(refused(*cohort.arguments()), "no.parquet")
