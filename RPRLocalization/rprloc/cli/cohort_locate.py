"""``rprloc cohort locate``: every target of some templates in every CT of an index."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import (
    Commands,
    Parser,
    add_device,
    add_dicom_output,
    add_search,
    positive_float,
    positive_int,
)
from .exit_codes import EPILOG, EXIT_OK, EXIT_SOME_FAILED, Interrupted

if TYPE_CHECKING:
    from ..cohort.cluster import ClusterRequest
    from ..cohort.locating import LocateRequest, Plan, Tally

_MEMORY = "4GiB"
_TIMEOUT_S = 600.0
#: Where nobody watches, a line about the progress comes so often, seconds.
_LINE_EVERY_S = 60.0


def add_arguments(steps: Commands) -> None:
    """Add the step."""
    parser = steps.add_parser(
        "locate", help="find the targets of templates in every CT of an index", epilog=EPILOG
    )
    parser.add_argument("index", type=Path, metavar="COHORT.parquet", help="of `cohort index`")
    parser.add_argument(
        "--template",
        dest="templates",
        type=Path,
        action="append",
        required=True,
        metavar="T.json",
        help="may be repeated; each CT is read once for all",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the results; the same command goes on where it stopped",
    )
    parser.add_argument(
        "--model",
        metavar="DIR",
        help="model of all templates (default: the one that each was made with)",
    )
    add_search(parser)
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="try again what crashed, hung or failed by an error (not what the gate refused)",
    )
    _add_output(parser)
    _add_cluster(parser)
    parser.set_defaults(step=run)


def _add_output(parser: Parser) -> None:
    group = parser.add_argument_group("beside the table, into DIR/series/<series_id>")
    group.add_argument("--markups", action="store_true", help="markups for Slicer")
    group.add_argument("--picture", action="store_true", help="a picture of every CT's results")
    add_dicom_output(group)


def _add_cluster(parser: Parser) -> None:
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--scheduler",
        default="local",
        metavar="local|tcp://HOST:PORT|slurm",
        help="workers on this machine (default), a running Dask cluster, or jobs of Slurm",
    )
    group.add_argument(
        "--workers", type=positive_int, default=1, metavar="N", help="processes or jobs (default 1)"
    )
    group.add_argument(
        "--readers",
        type=positive_int,
        metavar="N",
        help="local: as many processes only read and resample, and the workers run the networks "
        "(one worker for a GPU)",
    )
    group.add_argument(
        "--memory",
        default=_MEMORY,
        metavar="SIZE",
        help=f"of one worker, which is ended above it (default {_MEMORY})",
    )
    group.add_argument(
        "--timeout",
        type=positive_float,
        default=_TIMEOUT_S,
        metavar="SECONDS",
        help=f"a CT that takes longer counts as hung (default {_TIMEOUT_S:g})",
    )
    add_device(parser)
    group.add_argument("--slurm-queue", default="", metavar="NAME", help="partition")
    group.add_argument("--slurm-account", default="", metavar="NAME")
    group.add_argument("--slurm-walltime", default="24:00:00", metavar="H:M:S", help="of one job")
    group.add_argument(
        "--slurm-directive",
        action="append",
        default=[],
        metavar="TEXT",
        help="a further #SBATCH line, such as --gres=gpu:1; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Locate in a cohort; returns the exit code."""
    from ..cohort.cluster import SLURM, check_scheduler
    from ..extras import COHORT, DICOM, require

    check_scheduler(args.scheduler)
    needed = ["pyarrow", "distributed", "tqdm", "pydicom"]
    needed += ["dask_jobqueue"] if args.scheduler == SLURM else []
    require(COHORT, needed, "cohort locate")
    if args.picture:
        require("picture", ["matplotlib"], "--picture")
    if args.dicom_sr or args.rtstruct:
        require(DICOM, ["highdicom"], "--dicom-sr or --rtstruct")
    from ..cohort.locating import plan, write_request, write_table

    request = _request(args)
    write_request(request)
    todo = plan(request)
    print(
        f"{len(request.index.rows)} series, {todo.finished} finished before, "
        f"{len(todo.tasks)} to do",
        file=sys.stderr,
    )
    tally = _located(args, request, todo) if todo.tasks else None
    rows = write_table(request, todo)
    return _report(args, rows, tally)


def _request(args: argparse.Namespace) -> LocateRequest:
    """Read and check everything before anything is started. Raises RprLocError."""
    from ..cohort.index_rows import read_index
    from ..cohort.locating import LocateRequest
    from ..cohort.request import Extras, SearchOptions, WorkerOptions, choose_templates
    from ..files import prepare_output_dir

    index = read_index(args.index)
    templates = choose_templates(args.templates, args.model)
    out = prepare_output_dir(args.out, overwrite=_is_own(args.out)).resolve()
    return LocateRequest(
        index,
        templates,
        out,
        SearchOptions(args.runs, args.steps, args.seed),
        Extras(args.markups, args.picture, args.dicom_sr, args.rtstruct),
        WorkerOptions(args.device, args.threads or 1, args.timeout),
        args.retry_failed,
    )


def _is_own(folder: Path) -> bool:
    """Tell a folder that an earlier run of this command has made."""
    from ..cohort.locating import REQUEST

    return (folder / REQUEST).is_file()


def _located(args: argparse.Namespace, request: LocateRequest, todo: Plan) -> Tally:
    """Run what is to do, with a progress bar."""
    from tqdm import tqdm

    from ..cohort.cluster import SLURM, connected
    from ..cohort.driver import Driver
    from ..cohort.locating import Tally, locate_cohort

    so_far = Tally()
    with ExitStack() as stack:
        client = stack.enter_context(connected(_cluster(args, request.out)))
        print(_told(args, client), file=sys.stderr)
        patient = args.scheduler == SLURM
        driver = Driver(client, readers=bool(args.readers), patient=patient)
        bar: Any = stack.enter_context(
            tqdm(total=len(todo.tasks), unit=" CT", desc="locate", disable=None)
        )
        lines = _Lines(len(todo.tasks), quiet=not bar.disable)

        def report(tally: Tally) -> None:
            nonlocal so_far
            so_far = tally
            bar.set_postfix(failed=sum(tally.causes.values()), refresh=False)
            bar.update(tally.series - bar.n)
            lines.show(tally)

        try:
            return locate_cohort(request, todo, driver, report)
        except KeyboardInterrupt as error:
            done = f"{so_far.series} of {len(todo.tasks)} series are finished in {request.out}"
            raise Interrupted(
                f"interrupted: {done}; the same command goes on where it stopped"
            ) from error


class _Lines:
    """A line about the progress now and then, where there is no terminal for a bar."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._total, self._quiet = total, quiet
        self._started = self._shown = time.monotonic()

    def show(self, tally: Tally) -> None:
        """Print the line, if it is time."""
        from tqdm import tqdm

        now = time.monotonic()
        if self._quiet or now - self._shown < _LINE_EVERY_S:
            return
        self._shown = now
        line = tqdm.format_meter(tally.series, self._total, now - self._started, unit=" CT")
        print(line, file=sys.stderr, flush=True)


def _cluster(args: argparse.Namespace, out: Path) -> ClusterRequest:
    from ..cohort.cluster import LOCAL, ClusterRequest
    from ..errors import InputError

    if args.readers and args.scheduler != LOCAL:
        raise InputError("--readers belongs to --scheduler local")
    return ClusterRequest(
        args.scheduler,
        args.workers,
        args.threads or 1,
        args.memory,
        out,
        args.readers or 0,
        args.slurm_walltime,
        args.slurm_queue,
        args.slurm_account,
        tuple(args.slurm_directive),
    )


def _told(args: argparse.Namespace, client: Any) -> str:
    from ..cohort.cluster import LOCAL, SLURM, dashboard

    if args.scheduler in (LOCAL, SLURM):
        what = "jobs" if args.scheduler == SLURM else "workers"
        readers = f" and {args.readers} readers" if args.readers else ""
        who = f"{args.workers} {what}{readers}, {args.threads or 1} threads and at most "
        who += f"{args.memory} each"
    else:
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        who = f"{count} workers of {args.scheduler}, with the memory that they were given"
    return f"{who}; dashboard: {dashboard(client) or 'none (bokeh is missing)'}"


def _report(args: argparse.Namespace, rows: Counter[str], tally: Tally | None) -> int:
    from ..cohort.parts import RESULTS_CSV

    table = args.out / RESULTS_CSV
    statuses = ", ".join(f"{name} {n}" for name, n in rows.most_common())
    print(f"{table}: {rows.total()} rows ({statuses or 'none'})")
    if tally is not None:
        print(f"in this run: {tally.series} series; a worker had up to {tally.peak_mib:.0f} MiB")
    if not rows["failed"]:
        return EXIT_OK
    new = "" if tally is None else _causes(tally)
    print(f"rprloc: {rows['failed']} rows failed{new}: the reasons are in {table}", file=sys.stderr)
    return EXIT_SOME_FAILED


def _causes(tally: Tally) -> str:
    named = ", ".join(f"{name} {n}" for name, n in tally.causes.most_common())
    return f" (series of this run: {named})" if named else ""
