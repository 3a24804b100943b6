"""``rprloc locate``: results of many queries, written as they come."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from ..errors import InputError
from ..files import output_errors, prepare_output_dir, safe_name
from ..localization.batch import PHASES, LocalizationTask, QueryResult, locate_query, query_names
from ..localization.result import Result, table, write_csv, write_markups
from .main import EXIT_OK, EXIT_SOME_FAILED
from .shared import Interrupted, open_search

RESULTS_NAME = "results.csv"
PICTURE_NAME = "picture.png"
SYNTHETIC_NOTE = "SYNTHETIC SAMPLE, NOT A PATIENT"


def run_locate(args: argparse.Namespace) -> int:
    """Locate every target in every query; returns the exit code."""
    if args.picture and importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            "--picture needs matplotlib: pip install matplotlib, or leave --picture out"
        )
    names = _names(args.queries, args.synthetic)
    search = open_search(args)
    folder = prepare_output_dir(args.out, args.overwrite)
    write_csv(folder / RESULTS_NAME, [])
    located: list[QueryResult] = []
    try:
        for path, name in zip(args.queries, names, strict=True):
            _show_progress(f"{len(located) + 1}/{len(names)} {name}")
            located.append(_one_query(search, path, name, folder, located, args))
    except KeyboardInterrupt as error:
        done = f"{len(located)} of {len(names)} queries are complete in {folder / RESULTS_NAME}"
        raise Interrupted(f"interrupted: {done}") from error
    finally:
        _show_progress("")
    _print_report(located, args.synthetic)
    return _exit_code(located, folder)


def _names(paths: list[Path], synthetic: bool) -> list[str]:
    names = query_names(paths)
    if not synthetic:
        return names
    return [name if "synthetic" in name.casefold() else f"synthetic-{name}" for name in names]


def _one_query(
    search: LocalizationTask,
    path: Path,
    name: str,
    folder: Path,
    before: list[QueryResult],
    args: argparse.Namespace,
) -> QueryResult:
    """Locate one query and write its markups and picture; last of all the table of all queries so far."""
    found = locate_query(search, path, name)
    write_markups(folder, found.results)
    if args.picture and found.volume is not None:
        _write_picture(folder, found, args.synthetic)
    kept = QueryResult(found.name, found.path, found.results, found.seconds, found.problem)
    write_csv(folder / RESULTS_NAME, _rows([*before, kept]))
    return kept


def _write_picture(folder: Path, found: QueryResult, synthetic: bool) -> None:
    from ..evaluation.picture import save_picture

    assert found.volume is not None
    place = folder / safe_name(found.name)
    with output_errors(place):
        place.mkdir(exist_ok=True)
    save_picture(place / PICTURE_NAME, found.volume, found.results, found.name, synthetic)


def _rows(located: list[QueryResult]) -> list[Result]:
    return [result for one in located for result in one.results]


def _show_progress(text: str) -> None:
    """Rewrite one line on a terminal; nothing where stderr goes to a file."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _print_report(located: list[QueryResult], synthetic: bool) -> None:
    if synthetic:
        print(f"{SYNTHETIC_NOTE}\n")
    print(table(_rows(located)))
    print()
    width = max(len(one.name) for one in located)
    for one in located:
        if one.seconds:
            parts = ", ".join(
                f"{phase} {one.seconds[phase]:.2f}" for phase in PHASES if phase in one.seconds
            )
            print(f"{one.name.ljust(width)}  {one.seconds['total']:.2f} s ({parts})")
        else:
            print(f"{one.name.ljust(width)}  failed: {one.problem}")


def _exit_code(located: list[QueryResult], folder: Path) -> int:
    failed = [one for one in located if any(result.status == "failed" for result in one.results)]
    if not failed:
        return EXIT_OK
    names = ", ".join(one.name for one in failed[:3]) + (", ..." if len(failed) > 3 else "")
    where = folder / RESULTS_NAME
    print(
        f"rprloc: {len(failed)} of {len(located)} queries failed ({names}): the reasons are in {where}",
        file=sys.stderr,
    )
    return EXIT_SOME_FAILED
