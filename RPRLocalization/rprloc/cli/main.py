"""The command line: ``rprloc locate | template | evaluate | train | check | models``.

Exit codes: 0 success; 1 some query failed (the others are written); 2 wrong use or bad input, with
one line on stderr; 130 interrupted. Heavy imports (torch, SimpleITK) wait until a command needs
them.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import RprLocError

EXIT_OK, EXIT_SOME_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130
STEPS = ("coarse", "coarse2", "coarse3", "fine")
EPILOG = "exit codes: 0 success, 1 some query failed, 2 wrong use or bad input, 130 interrupted"


class Parser(argparse.ArgumentParser):
    """An argument parser that reports wrong use in one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line on stderr and exit with code 2."""
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; raises SystemExit for wrong options and for ``--help``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        args = build_parser().parse_args(argv)
        command: Callable[[argparse.Namespace], int] = args.command
        with _own_warnings():
            return command(args)
    except RprLocError as error:
        return _fail(str(error), EXIT_BAD_INPUT)
    except KeyboardInterrupt as error:
        return _fail(str(error) or "interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _fail(message: str, code: int) -> int:
    print(f"rprloc: {' '.join(message.split())}", file=sys.stderr)
    return code


@contextmanager
def _own_warnings() -> Iterator[None]:
    """Show warnings of this package as one line each, and none of other packages."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"rprloc: note: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"rprloc\b|rprtrain\b")
        warnings.showwarning = show
        yield


def build_parser() -> Parser:
    """The parser of all commands; ``args.command`` is the function that runs the one chosen."""
    parser = Parser(
        prog="rprloc",
        description="Find organs and landmarks in CT from one annotated reference.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"rprloc {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_locate(commands)
    _add_template(commands)
    _add_evaluate(commands)
    _add_train(commands)
    _add_check(commands)
    _add_models(commands)
    return parser


Commands = argparse._SubParsersAction  # its public name is not exported by argparse


def _add_locate(commands: Commands[Parser]) -> None:
    parser = commands.add_parser(
        "locate", help="find the targets of a reference or template in CTs", epilog=EPILOG
    )
    _add_targets(parser, or_template=True)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for results.csv and markups"
    )
    _add_overwrite(parser)
    _add_model(parser)
    _add_search(parser)
    parser.add_argument(
        "--picture",
        action="store_true",
        help="also write DIR/<query>/picture.png (needs matplotlib)",
    )
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
    parser.set_defaults(command=_locate)


def _add_template(commands: Commands[Parser]) -> None:
    group = commands.add_parser(
        "template", help="make, extend or show a template of targets", epilog=EPILOG
    )
    actions = group.add_subparsers(metavar="ACTION", required=True)
    for action, text in (
        ("make", "a new template from one annotated reference"),
        ("add", "pool one more annotated reference into an existing template"),
    ):
        parser = actions.add_parser(action, help=text, description=text, epilog=EPILOG)
        _add_targets(parser, or_template=False)
        parser.add_argument(
            "--out", type=Path, required=True, metavar="T.json", help="template file"
        )
        parser.add_argument(
            "--name", metavar="NAME", help="name of the reference (default: its file name)"
        )
        if action == "make":
            _add_overwrite(parser)
        _add_model(parser)
        parser.set_defaults(command=_template, action=action)
    show = actions.add_parser("show", help="what a template holds", epilog=EPILOG)
    show.add_argument("template", type=Path, metavar="T.json")
    show.set_defaults(command=_template, action="show")


def _add_evaluate(commands: Commands[Parser]) -> None:
    parser = commands.add_parser(
        "evaluate", help="measure the agreement with labelled queries", epilog=EPILOG
    )
    _add_targets(parser, or_template=True)
    parser.add_argument("--json", type=Path, required=True, metavar="OUT.json", help="all figures")
    parser.add_argument("--csv", type=Path, metavar="OUT.csv", help="one row per query and target")
    _add_overwrite(parser)
    parser.add_argument(
        "--query", dest="queries", nargs="+", action="extend", required=True, metavar="IMAGE=LABELS",
        help="a CT and its label map or markups; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--complete", type=Path, metavar="CASES.json",
        help="query -> organs to score; without it, organs cut by the edge of the label map are left out",
    )  # fmt: skip
    _add_model(parser)
    _add_search(parser)
    parser.set_defaults(command=_evaluate)


def _add_train(commands: Commands[Parser]) -> None:
    parser = commands.add_parser(
        "train", help="train a model from unannotated CTs",
        description="Train a model from unannotated CTs. Ctrl-C ends the training early and still exports; "
        "a second Ctrl-C aborts.", epilog=EPILOG,
    )  # fmt: skip
    parser.add_argument(
        "--images", type=Path, required=True, metavar="FOLDER", help="CTs; label maps are left out"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="model folder to write"
    )
    parser.add_argument("--stage", choices=("coarse", "fine", "both"), default="both")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=_positive_float, metavar="M", help="wall clock, shared by the stages"
    )
    length.add_argument("--steps", type=_positive_int, metavar="N", help="training steps per stage")
    parser.add_argument(
        "--batch", type=_positive_int, default=1, metavar="N", help="volumes per step (default: 1)"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in DIR")
    parser.add_argument(
        "--across-patients",
        action="store_true",
        help="register the CTs to their mean and train on pairs of patients too (needs 0.2 min of CPU per CT)",
    )
    parser.add_argument(
        "--start-from",
        default="",
        metavar="MODEL",
        help="begin with the weights of this model (folder or name)",
    )
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
    _add_device(parser)
    parser.add_argument("--seed", type=_seed, default=0, metavar="N")
    parser.set_defaults(command=_train)


def _add_check(commands: Commands[Parser]) -> None:
    parser = commands.add_parser(
        "check", help="judge a model without labels: cycle error and repeatability", epilog=EPILOG
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="model folder, or name of an installed model"
    )
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="default: what the training in DIR held out"
    )
    parser.add_argument(
        "--targets", type=Path, metavar="FOLDER",
        help="label maps, segmentations or markups named like the CTs; the first CT that has one is the reference",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="the table as JSON")
    parser.add_argument(
        "--picture", type=Path, metavar="OUT.png", help="curves of the errors (needs matplotlib)"
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the random points")
    _add_overwrite(parser)
    _add_device(parser)
    parser.set_defaults(command=_check)


def _add_models(commands: Commands[Parser]) -> None:
    models = commands.add_parser(
        "models",
        help="list installed models and verify their checksums; install, export, import",
        epilog=EPILOG,
    )
    models.set_defaults(command=_models, action="list")
    actions = models.add_subparsers(metavar="ACTION")
    install = actions.add_parser(
        "install", help="copy a model folder into the model folder", epilog=EPILOG
    )
    install.add_argument(
        "source", type=Path, metavar="DIR", help="model folder, as train writes it"
    )
    export = actions.add_parser(
        "export", help="write a model as one .zip with checksums", epilog=EPILOG
    )
    export.add_argument(
        "source", metavar="MODEL", help="model folder, or name of an installed model"
    )
    export.add_argument("archive", type=Path, metavar="FILE.zip")
    bring = actions.add_parser(
        "import", help="install the model of an exported .zip", epilog=EPILOG
    )
    bring.add_argument("source", type=Path, metavar="FILE.zip")
    for name, parser in (("install", install), ("export", export), ("import", bring)):
        if name != "export":
            parser.add_argument(
                "--into", type=Path, metavar="FOLDER", help="default: first folder of RPRLOC_MODELS"
            )
        _add_overwrite(parser)
        parser.set_defaults(command=_models, action=name)


def _add_targets(parser: Parser, or_template: bool) -> None:
    """--reference, --targets and --label-ids; with ``or_template`` also --template instead of --reference."""
    one = parser.add_mutually_exclusive_group(required=True) if or_template else parser
    required = {} if or_template else {"required": True}
    one.add_argument("--reference", type=Path, metavar="REF", help="the annotated CT", **required)  # type: ignore[arg-type]
    if or_template:
        one.add_argument(
            "--template", type=Path, metavar="T.json", help="use a template instead of a reference"
        )
    parser.add_argument(
        "--targets", type=Path, metavar="TARGETS", required=not or_template,
        help="label map (.nii.gz, .nrrd, .seg.nrrd) or Slicer markups (.mrk.json) of the reference",
    )  # fmt: skip
    parser.add_argument(
        "--label-ids",
        type=Path,
        metavar="IDS.json",
        help='names of the labels: {"Mandible": 7, ...}',
    )


def _add_overwrite(parser: Parser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace existing output")


def _add_model(parser: Parser) -> None:
    parser.add_argument(
        "--model", metavar="DIR", help="model folder, or name of an installed one (default: han-ct)"
    )
    _add_device(parser)


def _add_device(parser: Parser) -> None:
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda", help="default: a GPU if there is one"
    )
    parser.add_argument(
        "--threads", type=_positive_int, metavar="N", help="CPU threads (default: all)"
    )


def _add_search(parser: Parser) -> None:
    parser.add_argument(
        "--runs",
        type=_runs,
        default=None,
        metavar="all|K",
        help="starts: every body cell (default), or K random ones",
    )
    parser.add_argument(
        "--steps", choices=STEPS, default="fine", help="default: fine (coarse, then fine)"
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the random starts")


def _runs(text: str) -> int | None:
    """``all`` -> None, else the number of random starts, at least 1."""
    return None if text == "all" else _positive_int(text, "all, or a whole number above 0")


def _positive_int(text: str, expected: str = "a whole number above 0") -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return int(text)


def _seed(text: str) -> int:
    return 0 if text.strip("0") == "" and text else _positive_int(text, "a whole number from 0")


def _positive_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _locate(args: argparse.Namespace) -> int:
    from .locate import run_locate

    return run_locate(args)


def _template(args: argparse.Namespace) -> int:
    from .template import run_template

    return run_template(args)


def _evaluate(args: argparse.Namespace) -> int:
    from .evaluate import run_evaluate

    return run_evaluate(args)


def _models(args: argparse.Namespace) -> int:
    from .models import run_models

    return run_models(args)


def _train(args: argparse.Namespace) -> int:
    from rprtrain.cli.train import run_train

    return run_train(args)


def _check(args: argparse.Namespace) -> int:
    from rprtrain.cli.check import run_check

    return run_check(args)
