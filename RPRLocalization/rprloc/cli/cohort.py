"""``rprloc cohort``: index an archive of CTs, locate in all of them, and look at the answers."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from . import cohort_index, cohort_locate, cohort_report
from .arguments import Commands
from .exit_codes import EPILOG

NAME = "cohort"


def add_arguments(commands: Commands) -> None:
    """Add the command and its steps."""
    parser = commands.add_parser(
        NAME,
        help="index an archive of CTs, locate in all of them, report",
        description="From one CT to an archive: index, locate, report (see docs/cohorts.md).",
        epilog=EPILOG,
    )
    steps = parser.add_subparsers(metavar="STEP", required=True)
    cohort_index.add_arguments(steps)
    cohort_locate.add_arguments(steps)
    cohort_report.add_arguments(steps)
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Run the step that was chosen; returns the exit code."""
    step: Callable[[argparse.Namespace], int] = args.step
    return step(args)
