"""Real CTs written as DICOM, three of them broken: index, locate, SR; cores and rates."""

from __future__ import annotations

import argparse
import csv
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pydicom
from cohort_trees import break_three, write_ct

from rprloc.cli.main import main
from rprloc.formats.discovery import is_label_map
from rprloc.image.volume import read_volume

TEMPLATE = "RPRLocalization/Resources/Templates/han-ct-organs.json"
ROOT = Path(__file__).resolve().parents[2]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run the whole way, once per number of workers."""
    tree, index = args.folder / "real", args.folder / "real.parquet"
    if not tree.exists():
        _write_tree(tree, args.data, args.count)
    figures: dict[str, Any] = {}
    figures["index_s"] = _timed("index", str(tree), "--out", str(index), "--workers", "2")[0]
    for workers in args.workers:
        out = args.folder / f"real-{workers}"
        shutil.rmtree(out, ignore_errors=True)
        given = [str(index), "--template", str(ROOT / TEMPLATE), "--out", str(out)]
        given += ["--device", "cpu", "--workers", str(workers), "--dicom-sr", "--rtstruct"]
        seconds, cores = _timed("locate", *given)
        figures[f"workers_{workers}"] = _figures(out, seconds, cores)
    return figures


def _write_tree(tree: Path, data: Path, count: int) -> None:
    """Write as many CTs: head and neck from validation and test, and a quarter of others."""
    han = sorted((data / "han" / "val").rglob("*.nii.gz"))
    han += sorted((data / "han" / "test").rglob("*.nii.gz"))
    trunk = sorted((data / "trunk").glob("*.nii.gz"))
    images = [p for p in han if not _is_label(p)][: count - count // 4]
    images += [p for p in trunk if not _is_label(p)][: count // 4]
    folders = [
        write_ct(tree / f"p{n // 8}" / f"study{n:03d}" / "ct", read_volume(path), f"R{n:03d}")
        for n, path in enumerate(images)
    ]
    break_three(folders[::7])


def _is_label(path: Path) -> bool:
    return is_label_map(path) or ".lungs." in path.name


def _timed(step: str, *arguments: str) -> tuple[float, float]:
    """Run a step; returns seconds, and the cores that this process and its children kept busy."""
    started, before = time.perf_counter(), _cpu_seconds()
    main(["cohort", step, *arguments])
    seconds = time.perf_counter() - started
    return round(seconds, 1), round((_cpu_seconds() - before) / seconds, 2)


def _cpu_seconds() -> float:
    times = psutil.Process().cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _figures(out: Path, seconds: float, cores: float) -> dict[str, Any]:
    import pyarrow.parquet as pq

    table = pq.read_table(out / "results.parquet").to_pylist()
    series = {row["series_id"]: row for row in table}
    done = [row for row in series.values() if row["total_s"] is not None and row["cause"] == ""]
    totals = sorted(row["total_s"] for row in done)
    reads = sorted(row["read_s"] for row in done)
    cpu = sorted(row["cpu_s"] for row in done)
    with open(out / "results.csv", newline="", encoding="utf-8") as stream:
        failed = {row["path"]: row["reason"] for row in csv.DictReader(stream) if row["cause"]}
    reports = list(out.glob("series/*/results.sr.dcm"))
    return {
        "series": len(series),
        "rows": len(table),
        "statuses": dict(Counter(row["status"] for row in table)),
        "failed": failed,
        "seconds": seconds,
        "cts_per_minute": round(60 * len(series) / seconds, 1),
        "cores_busy": cores,
        "task_s_median": round(totals[len(totals) // 2], 2),
        "task_s_95": round(totals[int(len(totals) * 0.95)], 2),
        "read_s_median": round(reads[len(reads) // 2], 2),
        "task_s": [round(value, 3) for value in totals],
        "read_s": [round(value, 3) for value in reads],
        "cpu_s_median": round(cpu[len(cpu) // 2], 2),
        "cpu_s": [round(value, 3) for value in cpu],
        "peak_mib": round(max(row["peak_mib"] for row in done)),
        "reports": len(reports),
        "report_groups": _groups(reports[0]) if reports else 0,
    }


def _groups(path: Path) -> int:
    from rprloc.targets.dicom_report import marks_of_report

    found = marks_of_report(pydicom.dcmread(path))
    return len(found.boxes) + len(found.points)
