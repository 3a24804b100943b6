"""``rprloc locate``: results of many queries, written as they come."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files import output_errors, prepare_output_dir, safe_name
from .arguments import (
    Commands,
    add_dicom_output,
    add_model,
    add_overwrite,
    add_search,
    add_targets_or_template,
)
from .contour_output import add_contours, check_contours, write_query_contours
from .exit_codes import EPILOG, EXIT_OK, EXIT_SOME_FAILED, Interrupted
from .notes import show_note

if TYPE_CHECKING:
    from ..localization.batch import LocalizationTask, QueryResult
    from ..localization.result import Result

NAME = "locate"
RESULTS_NAME = "results.csv"
PICTURE_NAME = "picture.png"
SYNTHETIC_NOTE = "SYNTHETIC SAMPLE, NOT A PATIENT"
MOST_NAMES_SHOWN = 3


def add_arguments(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        NAME, help="find the targets of a reference or template in CTs", epilog=EPILOG
    )
    add_targets_or_template(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for results.csv and markups"
    )
    add_overwrite(parser)
    add_model(parser)
    add_search(parser)
    parser.add_argument(
        "--picture",
        action="store_true",
        help="also write DIR/<query>/picture.png (needs matplotlib)",
    )
    add_contours(parser)
    add_dicom_output(parser)
    parser.add_argument(
        "--synthetic", action="store_true", help="mark all results as made from synthetic CTs"
    )
    parser.add_argument(
        "queries",
        type=Path,
        nargs="+",
        metavar="QUERY",
        help="CT: .nii(.gz), .nrrd, .mha, or a DICOM series folder",
    )
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Locate every target in every query; returns the exit code."""
    if args.picture and importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            "--picture needs matplotlib: pip install matplotlib, or leave --picture out"
        )
    _check_dicom_output(args)
    from ..localization.batch import query_names
    from ..localization.result import write_csv
    from .shared import open_search

    names = _public_names(query_names(args.queries), args.synthetic)
    task = open_search(args)
    check_contours(args, task)

    # An empty table first: a folder that cannot be written is found out before the long work.
    folder = prepare_output_dir(args.out, args.overwrite)
    write_csv(folder / RESULTS_NAME, [])

    located: list[QueryResult] = []
    try:
        for path, name in zip(args.queries, names, strict=True):
            _show_progress(f"{len(located) + 1}/{len(names)} {name}")
            located.append(_locate_one(task, path, name, folder, located, args))
    except KeyboardInterrupt as error:
        done = f"{len(located)} of {len(names)} queries are complete in {folder / RESULTS_NAME}"
        raise Interrupted(f"interrupted: {done}") from error
    finally:
        _show_progress("")

    _print_report(located, args.synthetic)
    return _exit_code(located, folder)


def _public_names(names: list[str], synthetic: bool) -> list[str]:
    """The names under which results are written: those of synthetic CTs say that they are."""
    if not synthetic:
        return names
    return [name if "synthetic" in name.casefold() else f"synthetic-{name}" for name in names]


def _locate_one(
    task: LocalizationTask,
    path: Path,
    name: str,
    folder: Path,
    before: list[QueryResult],
    args: argparse.Namespace,
) -> QueryResult:
    """Locate one query and write its markups and picture.

    The table of all queries so far comes last: a query that it lists is complete.
    """
    from ..localization.batch import QueryResult, locate_query
    from ..localization.result import write_csv, write_markups

    answer = locate_query(task, path, name)
    problem = answer.problem
    if args.contours and answer.volume is not None:
        answer = write_query_contours(folder, answer, args)
    write_markups(folder, answer.results)
    if args.picture and answer.volume is not None:
        _write_picture(folder, answer, args.synthetic)
    if (args.dicom_sr or args.rtstruct) and answer.volume is not None:
        problem = _write_documents(folder, answer, task, args)

    # Without the volume: a long list of queries must not fill the memory.
    light = QueryResult(answer.name, answer.path, answer.results, answer.seconds, problem)
    write_csv(folder / RESULTS_NAME, _rows([*before, light]))
    return light


def _write_picture(folder: Path, answer: QueryResult, synthetic: bool) -> None:
    from ..evaluation.picture import save_picture

    assert answer.volume is not None
    query_folder = folder / safe_name(answer.name)
    with output_errors(query_folder):
        query_folder.mkdir(exist_ok=True)
    save_picture(query_folder / PICTURE_NAME, answer.volume, answer.results, answer.name, synthetic)


def _check_dicom_output(args: argparse.Namespace) -> None:
    """Raise InputError if DICOM documents are asked for that cannot be written."""
    if not (args.dicom_sr or args.rtstruct):
        return
    from ..dicom_output.source_series import is_dicom_source
    from ..extras import DICOM, require

    require(DICOM, ["pydicom", "highdicom"], "--dicom-sr or --rtstruct")
    other = next((path for path in args.queries if not is_dicom_source(path)), None)
    if other is not None:
        raise InputError(
            f"{other}: is no DICOM series: --dicom-sr and --rtstruct need one to refer to"
        )


def _write_documents(
    folder: Path, answer: QueryResult, task: LocalizationTask, args: argparse.Namespace
) -> str:
    """Write DICOM documents of one query; returns why there are none, which costs no answer."""
    from ..dicom_output.source_series import read_source
    from ..dicom_output.writing import write_documents

    assert answer.volume is not None
    try:
        source = read_source(answer.path, "", answer.volume.geometry)
        write_documents(
            *(folder / safe_name(answer.name), source, answer.results, task.template.model),
            report=args.dicom_sr,
            structures=args.rtstruct,
        )
    except InputError as error:
        show_note(f"no DICOM document: {error}")
        return f"no DICOM document: {error}"
    return ""


def _rows(located: list[QueryResult]) -> list[Result]:
    return [result for one in located for result in one.results]


def _show_progress(text: str) -> None:
    """Rewrite one line on a terminal; nothing where stderr goes to a file."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _print_report(located: list[QueryResult], synthetic: bool) -> None:
    from ..localization.batch import PHASES
    from ..localization.result import format_table

    if synthetic:
        print(f"{SYNTHETIC_NOTE}\n")
    print(format_table(_rows(located)))
    print()

    width = max(len(one.name) for one in located)
    for one in located:
        if one.seconds:
            phases = [phase for phase in PHASES if phase in one.seconds]
            parts = ", ".join(f"{phase} {one.seconds[phase]:.2f}" for phase in phases)
            print(f"{one.name.ljust(width)}  {one.seconds['total']:.2f} s ({parts})")
        else:
            print(f"{one.name.ljust(width)}  failed: {one.problem}")


def _exit_code(located: list[QueryResult], folder: Path) -> int:
    failed = [
        one
        for one in located
        if one.problem or any(result.status == "failed" for result in one.results)
    ]
    if not failed:
        return EXIT_OK
    names = ", ".join(one.name for one in failed[:MOST_NAMES_SHOWN])
    more = ", ..." if len(failed) > MOST_NAMES_SHOWN else ""
    print(
        f"rprloc: {len(failed)} of {len(located)} queries failed ({names}{more}): "
        f"the reasons are in {folder / RESULTS_NAME}",
        file=sys.stderr,
    )
    return EXIT_SOME_FAILED
