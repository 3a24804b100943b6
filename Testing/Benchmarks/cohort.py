"""The figures of docs/cohorts.md: headers, real CTs, overhead, kills, and a simulation.

    export PYTHONPATH=RPRLocalization:RPRTraining:Testing
    python Testing/Benchmarks/cohort.py headers  --folder WORK       100,000 headers
    python Testing/Benchmarks/cohort.py real     --folder WORK --data DATA      40 real CTs
    python Testing/Benchmarks/cohort.py overhead --folder WORK       10,000 empty tasks
    python Testing/Benchmarks/cohort.py kills    --folder WORK       SIGKILL at random moments
    python Testing/Benchmarks/cohort.py simulate --folder WORK --plot P.png    8, 64, 512 workers

WORK is a folder for trees and results, outside of the checkout; every step writes WORK/<step>.json,
and ``simulate`` reads those of ``real`` and ``overhead``. DATA is the folder of real CTs (its
subfolders han, trunk, ...). Real CTs never leave WORK.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

STEPS = ("headers", "real", "overhead", "kills", "simulate")


def main() -> None:
    """Run one step, print its figures, and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--count", type=int, default=40, help="real CTs")
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    before = os.getloadavg()
    step = importlib.import_module(f"cohort_{args.step}")
    figures: dict[str, Any] = step.measure(args)
    figures["machine"] = {
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "load_before": [round(n, 1) for n in before],
        "load_after": [round(n, 1) for n in os.getloadavg()],
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }
    text = json.dumps(figures, indent=1)
    (args.folder / f"{args.step}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
