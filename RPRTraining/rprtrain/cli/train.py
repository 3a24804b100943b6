"""``rprloc train``: the command line of the training engine (package rprtrain of RPRTraining)."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rprloc.cli.arguments import (
    Commands,
    Parser,
    add_device,
    positive_float,
    positive_int,
    seed,
)
from rprloc.cli.exit_codes import EPILOG, EXIT_OK

if TYPE_CHECKING:
    from ..run.request import TrainingRequest

NAME = "train"


def add_arguments(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        NAME,
        help="train a model from unannotated CTs",
        description="Train a model from unannotated CTs. "
        "Ctrl-C ends the training early and still exports; a second Ctrl-C aborts.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--images", type=Path, required=True, metavar="FOLDER", help="CTs; label maps are left out"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="model folder to write"
    )
    _add_training(parser)
    _add_card(parser)
    add_device(parser)
    parser.add_argument("--seed", type=seed, default=0, metavar="N")
    parser.set_defaults(command=run)


def _add_training(parser: Parser) -> None:
    """Add what is trained, for how long, and from what it starts."""
    parser.add_argument("--stage", choices=("coarse", "fine", "both"), default="both")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=positive_float, metavar="M", help="wall clock, shared by the stages"
    )
    length.add_argument("--steps", type=positive_int, metavar="N", help="training steps per stage")
    parser.add_argument(
        "--batch", type=positive_int, default=1, metavar="N", help="volumes per step (default: 1)"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in DIR")
    parser.add_argument(
        "--across-patients",
        nargs="?",
        choices=("votes", "overlap"),
        const="votes",
        help="register the CTs to their mean and train on pairs of patients too "
        "(needs 0.2 min of CPU per CT); they are placed by votes of the network (default: CTs of "
        "one region), or by what they have in common (overlap: any region, and each drawn alike)",
    )
    parser.add_argument(
        "--preset",
        choices=("head-and-neck", "abdomen", "body"),
        default="head-and-neck",
        help="settings for a body region (default: head-and-neck)",
    )
    parser.add_argument(
        "--start-from",
        default="",
        metavar="MODEL",
        help="begin with the weights of this model (folder or name)",
    )


def _add_card(parser: Parser) -> None:
    """Add what the model's card says of its origin."""
    parser.add_argument("--name", help="name of the model for its card (default: name of DIR)")
    parser.add_argument(
        "--model-version", default="1.0.0", metavar="V", help="version for the card"
    )
    parser.add_argument("--body-region", default="not stated", metavar="TEXT", help="for the card")
    parser.add_argument(
        "--data-source", default="not stated", metavar="TEXT", help="where the CTs come from"
    )
    parser.add_argument(
        "--data-licence", default="not stated", metavar="TEXT", help="licence of the CTs"
    )


def run(args: argparse.Namespace) -> int:
    """Train and export; returns the exit code.

    A first Ctrl-C (or SIGTERM) ends early and still exports, a second one aborts.
    """
    from rprloc.cli.shared import set_threads

    from ..run.train import train_model

    set_threads(args.threads)
    request = _request(args)
    with early_stop(_report) as stop:
        written = train_model(request, stop, _report)
    _report(f"written: {written}")
    return EXIT_OK


def _request(args: argparse.Namespace) -> TrainingRequest:
    from rprloc.model.devices import resolve_device

    from ..run.presets import PRESETS
    from ..run.request import TrainingRequest

    return TrainingRequest(
        images=args.images,
        out=args.out,
        stage=args.stage,
        minutes=args.minutes,
        steps=args.steps,
        seed=args.seed,
        resume=args.resume,
        across=args.across_patients is not None,
        teacher=args.across_patients or "votes",
        stages=dict(PRESETS[args.preset].stages),
        start_from=args.start_from,
        batch=args.batch,
        device=resolve_device(args.device),
        name=args.name or args.out.resolve().name,
        version=args.model_version,
        body_region=args.body_region,
        data={"source": args.data_source, "licence": args.data_licence},
        command=_public_command(args, sys.argv[1:]),
    )


def _public_command(args: argparse.Namespace, words: list[str]) -> str:
    """The command line for the card; as it travels with the model, folders lose their parents."""
    folders = {str(args.images), str(args.out)}
    shown = [Path(word).name if str(Path(word)) in folders else word for word in words]
    return f"rprloc {shlex.join(shown)}"


@contextmanager
def early_stop(report: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Catch the first SIGINT or SIGTERM in the block; the next one has its usual effect.

    Yields a function that answers True once one has come.
    """
    asked = False
    previous: dict[signal.Signals, Any] = {}

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        for kind, handler in previous.items():
            signal.signal(kind, handler)
        report("stopping: this step, validation and export are still to come (Ctrl-C again aborts)")

    for kind in (signal.SIGINT, signal.SIGTERM):
        previous[kind] = signal.signal(kind, ask)
    try:
        yield lambda: asked
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)


def _report(text: str) -> None:
    print(text, flush=True)
