"""``rprloc cohort index``: one row per CT series of a tree, from its headers alone."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, positive_int
from .exit_codes import EPILOG, EXIT_OK, Interrupted
from .notes import show_note

if TYPE_CHECKING:
    from ..cohort.indexing import IndexSummary
    from ..cohort.pseudonyms import Pseudonyms

_MOST_SHOWN = 5


def add_arguments(steps: Commands) -> None:
    """Add the step."""
    parser = steps.add_parser(
        "index", help="one row per CT series of a folder tree, headers only", epilog=EPILOG
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="tree of CTs, of any depth")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="COHORT.parquet",
        help="the index; the same command goes on, and reads only what has changed",
    )
    parser.add_argument(
        "--workers", type=positive_int, metavar="N", help="processes (default: one per CPU core)"
    )
    parser.add_argument(
        "--pseudonyms",
        type=Path,
        metavar="SALT",
        help="also write pseudonyms of patient and study: hashes with the secret salt of this "
        "file, which is made if it is missing",
    )
    parser.set_defaults(step=run)


def run(args: argparse.Namespace) -> int:
    """Index a tree; returns the exit code."""
    from ..extras import COHORT, require

    require(COHORT, ["pyarrow", "pydicom", "tqdm"], "cohort index")
    from tqdm import tqdm

    from ..cohort.index_rows import check_index_path
    from ..cohort.indexing import IndexRequest, make_index
    from ..files import prepare_output_file

    check_index_path(prepare_output_file(args.out, overwrite=True))
    workers = args.workers or os.cpu_count() or 1
    request = IndexRequest(args.folder, args.out, workers, _pseudonyms(args))
    with tqdm(unit=" files", desc="headers", disable=None) as bar:

        def report(summary: IndexSummary) -> None:
            bar.update(summary.files - bar.n)

        try:
            summary = make_index(request, report)
        except KeyboardInterrupt as error:
            again = "the same command goes on where it stopped"
            raise Interrupted(f"interrupted after {bar.n} files: {again}") from error
    _print_report(args.out, summary)
    return EXIT_OK


def _pseudonyms(args: argparse.Namespace) -> Pseudonyms | None:
    from ..cohort.pseudonyms import read_or_make_salt

    return None if args.pseudonyms is None else read_or_make_salt(args.pseudonyms)


def _print_report(out: Path, summary: IndexSummary) -> None:
    refused = [row for row in summary.rows if row.verdict == "refused"]
    readable = len(summary.rows) - len(refused)
    print(f"{out}: {len(summary.rows)} CT series, {readable} readable, {len(refused)} refused")
    known = f", {summary.known} of them in folders that have not changed" if summary.known else ""
    print(f"{summary.files} files looked at{known}")
    if summary.others:
        named = ", ".join(f"{name} {n}" for name, n in sorted(summary.others.items()))
        print(f"no CT, and not in the index: {named} series")
    for reason, count in Counter(row.reason for row in refused).most_common(_MOST_SHOWN):
        print(f"  refused {count}: {reason}")
    for problem in summary.problems:
        show_note(problem)
