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

from rprloc.cli.main import EXIT_OK
from rprloc.cli.shared import set_threads
from rprloc.errors import InputError
from rprloc.model.devices import resolve_device

if TYPE_CHECKING:
    from ..run.request import TrainingRequest


def run_train(args: argparse.Namespace) -> int:
    """Train and export; a first Ctrl-C (or SIGTERM) ends early and still exports, a second one aborts."""
    try:
        from ..run.train import train_model
    except ModuleNotFoundError as error:
        if error.name not in ("rprtrain", "rprtrain.run.train"):
            raise
        raise InputError(
            "training is not installed: the package rprtrain (folder RPRTraining) is missing"
        ) from error
    set_threads(args.threads)
    request = _request(args)
    with early_stop(_report) as stop:
        written = train_model(request, stop, _report)
    _report(f"written: {written}")
    return EXIT_OK


def _request(args: argparse.Namespace) -> TrainingRequest:
    from ..run.request import TrainingRequest

    return TrainingRequest(
        images=args.images,
        out=args.out,
        stage=args.stage,
        minutes=args.minutes,
        steps=args.steps,
        seed=args.seed,
        resume=args.resume,
        across=args.across_patients,
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
    """The command line for the card, which travels with the model: folders by their last name only."""
    folders = {str(args.images), str(args.out)}
    shown = [Path(word).name if str(Path(word)) in folders else word for word in words]
    return f"rprloc {shlex.join(shown)}"


@contextmanager
def early_stop(report: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """In the block, SIGINT or SIGTERM makes the given function answer True; the next has its usual effect."""
    asked = False
    usual: dict[signal.Signals, Any] = {}

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        for kind, handler in usual.items():
            signal.signal(kind, handler)
        report("stopping: this step, validation and export are still to come (Ctrl-C again aborts)")

    for kind in (signal.SIGINT, signal.SIGTERM):
        usual[kind] = signal.signal(kind, ask)
    try:
        yield lambda: asked
    finally:
        for kind, handler in usual.items():
            signal.signal(kind, handler)


def _report(text: str) -> None:
    print(text, flush=True)
