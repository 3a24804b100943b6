"""The command line of the benchmark.

``python Testing/Benchmarks/benchmark.py`` in the environment that it needs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from rprloc.errors import RprLocError
from rprloc.model.devices import resolve_device

from .core.cohort import Cohort
from .core.experiment import Experiment, carry_out
from .core.method import Context
from .core.provenance import ROOT, provenance
from .core.store import Row, Store
from .experiments.comparison import REFERENCES, SPLIT
from .methods.registry import titles
from .report.from_results import read_results
from .report.report import published, write_measurements, write_report
from .schedule import experiments

DATA = ROOT.parent / "shared" / "data" / "han"
QUICK_REFERENCES, QUICK_QUERIES = 2, 2


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmark", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder with train/, val/, test/ and splits.json"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("rprloc-benchmark"), help="rows, networks and the report"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="EXPERIMENT",
        help="run these only (--list); report on all rows",
    )
    parser.add_argument("--list", action="store_true", help="print the experiments and end")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="the least that touches everything: a check, no figures",
    )
    parser.add_argument(
        "--split", choices=("test", "val"), default=SPLIT, help="where the queries come from"
    )
    parser.add_argument("--references", type=int, default=REFERENCES, help="how many of val")
    parser.add_argument("--queries", type=int, help="only the first so many")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument(
        "--publish", type=Path, metavar="FOLDER", help="copy report, tables and figures there"
    )
    parser.add_argument(
        "--report-from",
        type=Path,
        metavar="RESULTS.JSON",
        help="measure nothing: write the report of this earlier run again",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not finished and write the report.

    Returns 0, 1 if an experiment failed, 2 for wrong input.
    """
    args = arguments(argv)
    if args.report_from:
        return report_again(args)

    try:
        context = context_of(args)
        queries = query_names(args, context.cohort)
        references = [name for name in context.cohort.references() if name not in queries]
        references = references[: QUICK_REFERENCES if args.quick else args.references]
        planned = experiments(context, references, queries)
    except RprLocError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2

    if args.list:
        print("\n".join(f"{e.name:24}{e.title} ({len(e.units())} units)" for e in planned))
        return 0

    unknown = set(args.only or ()) - {e.name for e in planned}
    if unknown:
        print(f"benchmark: no experiment {', '.join(sorted(unknown))}; see --list", file=sys.stderr)
        return 2
    results, facts = run_all(context, planned, args.only)
    facts |= {
        "command": command_line(args),
        "references": references,
        "queries": queries,
        "quick": args.quick,
        "titles": titles(context),
        **provenance(),
    }
    write_report(context.out, results, facts)
    _finish(args)
    return 1 if facts["failed"] else 0


def report_again(args: argparse.Namespace) -> int:
    """Write the report of recorded results; returns 0, or 2 for a file that holds none."""
    try:
        measurements = read_results(args.report_from)
    except RprLocError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    write_measurements(args.out, measurements)
    _finish(args)
    return 0


def _finish(args: argparse.Namespace) -> None:
    print(f"Report: {args.out / 'report.md'}")
    if args.publish:
        published(args.out, args.publish)


def context_of(args: argparse.Namespace) -> Context:
    """The context of a run; sets the threads of torch and SimpleITK."""
    threads = max(1, min(args.threads, os.cpu_count() or 1))
    torch.set_num_threads(threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    device = resolve_device(args.device)
    args.out.mkdir(parents=True, exist_ok=True)

    return Context(
        Cohort(args.data),
        args.out,
        args.quick,
        threads,
        device.type,
        lambda line: print(line, flush=True),
    )


def query_names(args: argparse.Namespace, cohort: Cohort) -> list[str]:
    """The queries; of ``val`` those that are no reference."""
    names = cohort.names(args.split)
    if args.split == "val":
        taken = cohort.references()[: QUICK_REFERENCES if args.quick else args.references]
        names = [name for name in names if name not in taken]
    return names[: QUICK_QUERIES if args.quick else args.queries]


def run_all(
    context: Context, planned: Sequence[Experiment], only: Sequence[str] | None
) -> tuple[dict[str, list[Row]], dict[str, Any]]:
    """Rows of every experiment, and facts about the run.

    One that fails is told, and does not stop the others.
    """
    store = Store(context.out / "rows")
    results: dict[str, list[Row]] = {}
    failed: dict[str, str] = {}

    for experiment in planned:
        if only and experiment.name not in only:
            continue
        started = time.perf_counter()
        try:
            carry_out(experiment, store)
        except Exception as error:
            traceback.print_exc()
            failed[experiment.name] = (
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            )
        context.report(f"{experiment.title}: {(time.perf_counter() - started) / 60:.1f} min")

    entries = {e.name: store.finished(e.name, e.settings()) for e in planned}
    for experiment in planned:
        finished = entries[experiment.name]
        results[experiment.name] = [
            row for unit in experiment.units() if unit in finished for row in finished[unit]["rows"]
        ]

    return results, {
        "failed": failed,
        "notes": notes(planned, entries, failed),
        **run_facts(entries),
    }


def notes(
    planned: Sequence[Experiment], entries: dict[str, dict[str, Row]], failed: dict[str, str]
) -> list[str]:
    """What a reader must know before the figures: experiments that failed, or are not finished."""
    told = [
        f"{name} failed ({reason}); its figures are of the units before."
        for name, reason in failed.items()
    ]
    for experiment in planned:
        missing = [unit for unit in experiment.units() if unit not in entries[experiment.name]]
        if missing and experiment.name not in failed:
            told.append(
                f"{experiment.name}: {len(missing)} of {len(experiment.units())} units "
                "were not run."
            )
    return told


def run_facts(entries: dict[str, dict[str, Row]]) -> dict[str, Any]:
    """Seconds of all finished units, and where each experiment was run."""
    where: dict[str, list[dict[str, str]]] = {}
    for name, units in entries.items():
        each = [
            {key: str(unit[key]) for key in ("commit", "machine")} | {"date": unit["date"][:10]}
            for unit in units.values()
        ]
        where[name] = [
            dict(pairs) for pairs in dict.fromkeys(tuple(sorted(e.items())) for e in each)
        ]

    seconds = {
        name: sum(unit["seconds"] for unit in units.values()) for name, units in entries.items()
    }
    return {"provenance": where, "seconds": seconds, "total_seconds": sum(seconds.values())}


def command_line(args: argparse.Namespace) -> str:
    """The command as a reader would type it, without the folders of this machine."""
    words = ["python3", "Testing/Benchmarks/benchmark.py"]
    if args.quick:
        words.append("--quick")
    if args.only:
        words += ["--only", *args.only]

    for name, default in (
        ("split", SPLIT),
        ("references", REFERENCES),
        ("queries", None),
        ("device", "cpu"),
    ):
        value = getattr(args, name)
        if value != default:
            words += [f"--{name}", str(value)]
    return shlex.join([*words, "--threads", str(args.threads)])


if __name__ == "__main__":
    sys.exit(main())
