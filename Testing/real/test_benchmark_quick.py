"""The benchmark from beginning to end on real CTs, as little of it as touches everything."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("monai", reason="the benchmark's packages are not installed (extra `bench`)")

from rprbench.core.store import Store
from rprbench.core.subprocesses import environment

ROOT = Path(__file__).resolve().parents[2]
HAN = ROOT.parent / "shared" / "data" / "han"
pytestmark = pytest.mark.skipif(
    not HAN.is_dir(), reason="the head-and-neck CTs (shared/data/han) are not on this machine"
)


def benchmark(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "rprbench",
        "--quick",
        "--split",
        "val",
        "--data",
        str(HAN),
        "--out",
        str(out),
    ]
    return subprocess.run(
        [*command, *arguments], env=environment(2), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("benchmark")
    done = benchmark(out, "--publish", str(out / "published"))
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def test_every_experiment_has_rows_and_the_report_has_no_gap(finished: Path) -> None:
    names = {path.stem for path in (finished / "rows").glob("*.jsonl")}
    assert {
        "accuracy-ours",
        "accuracy-detector",
        "accuracy-feature",
        "statuses",
        "robustness",
        "cost",
    } <= names
    text = (finished / "report.md").read_text(encoding="utf-8")
    assert "Not run" not in text
    assert "Table 3" in text
    assert str(HAN) not in text
    assert {"report.md", "report.html", "tables.csv", "results.json", "figures"} <= {
        path.name for path in (finished / "published").iterdir()
    }


def test_the_figures_are_those_of_a_method_that_works(finished: Path) -> None:
    with (finished / "tables.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) > 100
    rows = [
        row
        for name in ("ours", "proportional")
        for line in (finished / "rows" / f"accuracy-{name}.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
        for row in json.loads(line)["rows"]
    ]
    overlap = {
        m: [r["iou"] for r in rows if r["method"] == m] for m in ("ours-fine", "proportional")
    }
    means = {method: sum(values) / len(values) for method, values in overlap.items()}
    assert means["ours-fine"] > max(45.0, means["proportional"])


def test_a_second_run_measures_nothing_again(finished: Path) -> None:
    store = Store(finished / "rows")
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    done = benchmark(finished)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before


def test_wrong_input_is_told_in_one_line(tmp_path: Path) -> None:
    done = benchmark(tmp_path, "--only", "nonsense")
    assert done.returncode == 2
    assert "no experiment nonsense" in done.stderr
    nowhere = subprocess.run(
        [sys.executable, "-m", "rprbench", "--data", str(tmp_path), "--out", str(tmp_path)],
        env=environment(1),
        capture_output=True,
        text=True,
        check=False,
    )
    assert nowhere.returncode == 2
    assert nowhere.stderr.startswith("benchmark: ")
    assert len(nowhere.stderr.strip().splitlines()) == 1
