"""8, 64 and 512 workers, and a million CTs, from measured times: an event simulation, and a plot.

Each worker reads (from storage that all share), computes, and writes a part; the scheduler handles
one task after the other. Times are drawn from those of real CTs. What is assumed and not measured
stands in ``ASSUMED``.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from pathlib import Path
from typing import Any

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SHOWN = (8, 64, 512)
MILLION = 1_000_000
#: A CT of 300 slices of 512 x 512 x 2 bytes; what a file server delivers; starting a worker.
ASSUMED = {"ct_mb": 157.0, "storage_mb_s": 1000.0, "start_s": 20.0}
_TASKS_PER_WORKER = 60


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Simulate all numbers of workers with and without the limit of the storage."""
    real = json.loads((args.folder / "real.json").read_text(encoding="utf-8"))
    overhead = json.loads((args.folder / "overhead.json").read_text(encoding="utf-8"))
    one = real[f"workers_{args.workers[0]}"]
    # Seconds of the processor: this machine may have had others' work to do.
    times = one["cpu_s"]
    scheduler_s = overhead[f"cpu_ms_per_task_{args.workers[-1]}"] / 1000
    figures: dict[str, Any] = {
        "assumed": ASSUMED,
        "task_s_mean": round(sum(times) / len(times), 2),
        "scheduler_ms": round(1000 * scheduler_s, 2),
    }
    for name, storage in (("shared_storage", True), ("local_storage", False)):
        figures[name] = {str(n): _run(n, times, scheduler_s, storage, args.seed) for n in WORKERS}
    rates = {n: figures["shared_storage"][str(n)]["cts_per_s"] for n in SHOWN}
    figures["million_cts_days"] = {
        str(n): round(MILLION / rate / 86400, 2) for n, rate in rates.items()
    }
    figures["scheduler_limit_cts_per_s"] = round(1 / scheduler_s, 1)
    figures["storage_limit_cts_per_s"] = round(ASSUMED["storage_mb_s"] / ASSUMED["ct_mb"], 2)
    if args.plot is not None:
        _plot(args.plot, figures)
    return figures


def _run(
    workers: int, times: list[float], scheduler_s: float, storage: bool, seed: int
) -> dict[str, float]:
    """Simulate: a task waits for the scheduler, then for the storage, then computes."""
    rng = random.Random(seed)
    tasks = max(_TASKS_PER_WORKER * workers, 500)
    free = [(0.0, n) for n in range(workers)]
    heapq.heapify(free)
    scheduler_at = storage_at = busy = end = 0.0
    transfer = ASSUMED["ct_mb"] / ASSUMED["storage_mb_s"] if storage else 0.0
    for _ in range(tasks):
        at, worker = heapq.heappop(free)
        scheduler_at = max(at, scheduler_at) + scheduler_s
        storage_at = max(scheduler_at, storage_at) + transfer if storage else scheduler_at
        spent = rng.choice(times)
        done = storage_at + spent
        busy += spent
        end = max(end, done)
        heapq.heappush(free, (done, worker))
    return {
        "cts_per_s": round(tasks / end, 3),
        "busy_share": round(busy / (end * workers), 3),
        "speedup": round((tasks / end) * (sum(times) / len(times)), 1),
    }


def _plot(path: Path, figures: dict[str, Any]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.6))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    mean = figures["task_s_mean"]
    axes.plot(WORKERS, [n / mean for n in WORKERS], ":", color="#888888", label="ideal")
    for name, label, color in (
        ("local_storage", "CTs on the workers' own disks", "#0072B2"),
        ("shared_storage", f"one file server, {ASSUMED['storage_mb_s']:.0f} MB/s", "#D55E00"),
    ):
        rates = [figures[name][str(n)]["cts_per_s"] for n in WORKERS]
        axes.plot(WORKERS, rates, "o-", color=color, label=label)
    limits = (
        ("scheduler_limit_cts_per_s", "one scheduler"),
        ("storage_limit_cts_per_s", "storage"),
    )
    for key, label in limits:
        axes.axhline(figures[key], color="#555555", linewidth=0.8, linestyle="--")
        axes.text(1, figures[key] * 1.08, f"limit of {label}: {figures[key]:.0f} CTs/s", fontsize=8)
    for n in SHOWN:
        axes.axvline(n, color="#dddddd", zorder=0)
    axes.set(
        xscale="log", yscale="log", xlabel="workers (one CPU thread each)", ylabel="CTs per second"
    )
    axes.set_xticks(SHOWN, [str(n) for n in SHOWN])
    axes.legend(fontsize=8, loc="lower right")
    axes.set_title("Simulated from measured task times and scheduler overhead", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
