"""A run of the benchmark: a kill costs one unit, a failure is told and stops nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.benchmark_cohort import write_cohort

from rprbench.core.cohort import Cohort
from rprbench.core.experiment import PREPARATION, Experiment, carry_out
from rprbench.core.method import Context
from rprbench.core.provenance import provenance
from rprbench.core.store import Row, Store
from rprbench.core.subprocesses import MeasurementError, ask, described, environment
from rprbench.experiments.speed import peak_mb


class Counting(Experiment):
    """Three units; the second fails as often as it is told to."""

    name = "counting"
    title = "Counting"

    def __init__(self, context: Context, failures: int = 0, version: int = 1) -> None:
        super().__init__(context)
        self.failures = failures
        self.version = version
        self.ran: list[str] = []

    def settings(self) -> dict[str, Any]:
        return {"version": self.version, "pair": (1, 2)}

    def units(self) -> Sequence[str]:
        return ["a", "b", "c"]

    def run(self, unit: str) -> list[Row]:
        self.ran.append(unit)
        if unit == "b" and self.failures:
            self.failures -= 1
            raise RuntimeError("killed")
        return [{"unit": unit, "value": self.version}]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def context(tmp_path: Path, lines: list[str]) -> Context:
    cohort = Cohort(write_cohort(tmp_path / "cohort", val=1, test=1, train=1))
    return Context(cohort, tmp_path / "out", threads=1, report=lines.append)


def test_a_run_goes_on_after_the_last_finished_unit(context: Context, tmp_path: Path) -> None:
    store = Store(tmp_path / "rows")
    stopped = Counting(context, failures=1)
    with pytest.raises(RuntimeError, match="killed"):
        carry_out(stopped, store)
    resumed = Counting(context)
    rows = carry_out(resumed, store)
    assert (stopped.ran, resumed.ran) == (["a", "b"], ["b", "c"])
    assert [row["unit"] for row in rows] == ["a", "b", "c"]
    finished = Counting(context)
    assert carry_out(finished, store) == rows
    assert finished.ran == []


def test_other_settings_are_other_rows(context: Context, tmp_path: Path) -> None:
    store = Store(tmp_path / "rows")
    carry_out(Counting(context), store)
    changed = Counting(context, version=2)
    assert [row["value"] for row in carry_out(changed, store)] == [2, 2, 2]
    assert changed.ran == ["a", "b", "c"]
    assert [row["value"] for row in carry_out(Counting(context), store)] == [1, 1, 1]


def test_a_line_cut_by_a_kill_is_run_again(context: Context, tmp_path: Path) -> None:
    store = Store(tmp_path / "rows")
    carry_out(Counting(context), store)
    path = store.path("counting")
    path.write_bytes(path.read_bytes()[:-30])
    again = Counting(context)
    rows = carry_out(again, store)
    assert again.ran == ["c"]
    assert [row["unit"] for row in rows] == ["a", "b", "c"]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum('"unit": "c"' in line for line in lines) == 2
    assert sum(PREPARATION in line for line in lines) == 2


def test_what_the_preparation_took_adds_up_over_the_starts_of_a_run(
    context: Context, tmp_path: Path
) -> None:
    store = Store(tmp_path / "rows")
    stopped = Counting(context, failures=1)
    with pytest.raises(RuntimeError, match="killed"):
        carry_out(stopped, store)
    settings = stopped.settings()
    store.add("counting", PREPARATION, settings, [], seconds=600.0)
    rows = carry_out(Counting(context), store)
    assert store.finished("counting", settings)[PREPARATION]["seconds"] >= 600.0
    assert [row["unit"] for row in rows] == ["a", "b", "c"]


def test_progress_and_where_it_was_measured_are_told(
    context: Context, tmp_path: Path, lines: list[str]
) -> None:
    store = Store(tmp_path / "rows")
    carry_out(Counting(context), store)
    assert lines[0] == "Counting: 0 of 3 done before"
    assert "counting 3/3 c" in lines[-1]
    entry = json.loads(store.path("counting").read_text(encoding="utf-8").splitlines()[0])
    assert entry["seconds"] >= 0
    assert {key: entry[key] for key in ("commit", "machine")} == {
        key: value for key, value in provenance().items() if key != "date"
    }
    assert str(Path.home()) not in json.dumps(entry)


def test_a_measurement_that_fails_says_why(context: Context) -> None:
    pytest.importorskip("monai", reason="the bench extra is not installed")
    with pytest.raises(MeasurementError, match="KeyError"):
        ask(
            context,
            "speed",
            {"variant": "no such method", "reference": "val_0", "queries": ["test_0"]},
        )


def test_a_context_reaches_the_measuring_process(context: Context) -> None:
    measuring = pytest.importorskip(
        "rprbench.experiments.measuring", reason="the bench extra is not installed"
    )
    back = measuring.context_of(described(context))
    assert back.cohort.references() == context.cohort.references()
    assert (back.out, back.threads, back.quick) == (context.out.resolve(), 1, False)


def test_the_memory_of_a_measuring_process_is_its_own(context: Context) -> None:
    """Not what the process that started it held."""
    ballast = np.ones(300_000_000 // 8)
    command = [
        sys.executable,
        "-c",
        "from rprbench.experiments.speed import peak_mb; print(peak_mb())",
    ]
    done = subprocess.run(command, env=environment(1), capture_output=True, text=True, check=True)
    assert 20 < float(done.stdout) < peak_mb()
    assert peak_mb() > ballast.nbytes / 2**20
