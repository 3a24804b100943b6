"""``rprloc check``: judge a model without labels, and with them where there are some."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rprloc.cli.arguments import Commands, add_device, add_overwrite, seed
from rprloc.cli.exit_codes import EPILOG, EXIT_OK
from rprloc.errors import InputError
from rprloc.files import atomic_write_text, prepare_output_file

if TYPE_CHECKING:
    from rprloc.model.settings import ConfidenceThresholds

    from ..check.right_answers import Proposal
    from ..check.self_check import Measure

NAME = "check"


def add_arguments(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        NAME, help="judge a model without labels: cycle error and repeatability", epilog=EPILOG
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="model folder, or name of an installed model"
    )
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="default: what the training in DIR held out"
    )
    parser.add_argument(
        "--targets",
        type=Path,
        metavar="FOLDER",
        help="label maps, segmentations or markups named like the CTs; "
        "the first CT that has one is the reference",
    )
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="the table as JSON")
    parser.add_argument(
        "--picture", type=Path, metavar="OUT.png", help="curves of the errors (needs matplotlib)"
    )
    parser.add_argument(
        "--write-thresholds",
        action="store_true",
        help="write the proposed confidence thresholds into the model's card",
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of the random points")
    add_overwrite(parser)
    add_device(parser)
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Check, print the table and thresholds, and write what is asked for. Raises RprLocError."""
    from rprloc.cli.shared import set_threads
    from rprloc.model.devices import resolve_device
    from rprloc.model.finding import find_model
    from rprloc.model.loading import load_model

    from ..check.annotated import check_sources, check_targets
    from ..check.picture import write_check_picture
    from ..check.self_check import check_model
    from ..data.sources import images_in

    # What can be refused comes before the long work.
    set_threads(args.threads)
    folder = find_model(args.model)
    for path in filter(None, (args.json, args.picture)):
        prepare_output_file(path, args.overwrite)
    sources = check_sources(folder) if args.images is None else images_in(args.images)
    model = load_model(folder, resolve_device(args.device))

    def progress(done: int, total: int, text: str) -> None:
        print(f"[{done + 1}/{total}] {text}", flush=True)

    report = check_model(model, sources, progress, args.seed)
    if args.targets is not None:
        report.rows += check_targets(model, sources, args.targets, progress)
    if args.json is not None:
        atomic_write_text(args.json, json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n")
    if args.picture is not None:
        write_check_picture(args.picture, report)

    for reason in report.left_out:
        print(f"left out: {reason}")
    print(f"{report.volumes} CTs, {report.pairs} pairs\n{table(report.rows)}\n{report.verdict}")
    _thresholds(args, folder, report.proposal, model.card.confidence)
    return EXIT_OK


def _thresholds(
    args: argparse.Namespace, folder: Path, proposal: Proposal, present: ConfidenceThresholds
) -> None:
    """Print the proposed thresholds, and write them into the card if the user says so.

    Raises InputError if they are to be written and there are none.
    """
    from ..check.thresholds import threshold_table, write_thresholds

    if proposal.thresholds is None:
        if args.write_thresholds:
            raise InputError(f"no thresholds were written: {proposal.problem}")
        print(f"\nno thresholds are proposed: {proposal.problem}")
        return
    print(f"\n{threshold_table(present, proposal.thresholds)}")
    if args.write_thresholds:
        print(f"written: {write_thresholds(folder, proposal.thresholds)}")
    else:
        print("(--write-thresholds puts them into the model's card)")


def table(rows: list[Measure]) -> str:
    """The rows as a table for the screen."""
    lines = [("", "mean", "median", "p95", "n")]
    for row in rows:
        figures = [
            "" if value is None else f"{value:.1f}" for value in (row.mean, row.median, row.p95)
        ]
        lines.append((f"{row.name} ({row.unit})", figures[0], figures[1], figures[2], str(row.n)))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
