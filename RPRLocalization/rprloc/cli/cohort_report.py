"""``rprloc cohort report``: one HTML file of a cohort, the improbable answers first."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import Commands, add_overwrite, positive_int
from .exit_codes import EPILOG, EXIT_OK

_MOST, _PICTURES = 1000, 60
REPORT_NAME = "report.html"


def add_arguments(steps: Commands) -> None:
    """Add the step."""
    parser = steps.add_parser(
        "report", help="one HTML file to look at, accept and reject answers", epilog=EPILOG
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="of `cohort locate`")
    parser.add_argument(
        "--out", type=Path, metavar="REPORT.html", help=f"default: DIR/{REPORT_NAME}"
    )
    add_overwrite(parser)
    parser.add_argument(
        "--most", type=positive_int, default=_MOST, metavar="N", help=f"rows (default {_MOST})"
    )
    parser.add_argument(
        "--thumbnails",
        type=positive_int,
        default=_PICTURES,
        metavar="N",
        help=f"of the first rows (default {_PICTURES}); they show patients",
    )
    parser.add_argument("--no-thumbnails", action="store_true", help="no picture of any CT")
    parser.add_argument("--synthetic", action="store_true", help="say that the CTs are synthetic")
    parser.set_defaults(step=run)


def run(args: argparse.Namespace) -> int:
    """Write the report; returns the exit code."""
    from ..extras import COHORT, require

    require(COHORT, ["pyarrow", "plotly", "matplotlib", "tqdm"], "cohort report")
    from tqdm import tqdm

    from ..cohort.report.answers import read_answers
    from ..cohort.report.page import ReportRequest, write_report
    from ..files import prepare_output_file

    answers = read_answers(args.folder)
    out = prepare_output_file(args.out or args.folder / REPORT_NAME, args.overwrite)
    pictures = 0 if args.no_thumbnails else args.thumbnails
    request = ReportRequest(args.folder, out, args.most, pictures, args.synthetic)
    with tqdm(total=min(pictures, len(answers)), desc="thumbnails", disable=None) as bar:
        summary = write_report(request, answers, lambda done: bar.update(done - bar.n))
    print(
        f"{out}: {summary.rows} answers, {summary.flagged} improbable, {summary.shown} in the "
        f"table, {summary.pictures} thumbnails"
    )
    return EXIT_OK
