"""Options that several commands share, and the types of their values. Imports nothing slow."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn, Protocol

from ..localization.steps import STEPS
from .exit_codes import EXIT_BAD_INPUT

LARGEST_NUMBER = 10**9


class Parser(argparse.ArgumentParser):
    """An argument parser that reports wrong use in one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line on stderr and exit with code 2."""
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


class Commands(Protocol):
    """Where commands are added; argparse has it, but does not export its name."""

    def add_parser(
        self, name: str, *, help: str, description: str | None = None, epilog: str
    ) -> Parser:
        """Add a command and return its parser."""


class Options(Protocol):
    """A parser, or a group of its options."""

    def add_argument(self, *names: str, **told: Any) -> Any:
        """Add an option."""


def add_targets(parser: Parser) -> None:
    """Add --reference, --targets and --label-ids, of which the first two are required."""
    parser.add_argument(
        "--reference", type=Path, metavar="REF", required=True, help="the annotated CT"
    )
    _add_labels(parser, required=True)


def add_targets_or_template(parser: Parser) -> None:
    """Add --template and, instead of it, --reference with --targets and --label-ids."""
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--reference", type=Path, metavar="REF", help="the annotated CT")
    one.add_argument(
        "--template", type=Path, metavar="T.json", help="use a template instead of a reference"
    )
    _add_labels(parser, required=False)


def _add_labels(parser: Parser, required: bool) -> None:
    parser.add_argument(
        "--targets",
        type=Path,
        metavar="TARGETS",
        required=required,
        help="label map (.nii.gz, .nrrd, .seg.nrrd) or Slicer markups (.mrk.json) of the reference",
    )
    parser.add_argument(
        "--label-ids",
        type=Path,
        metavar="IDS.json",
        help='names of the labels: {"Mandible": 7, ...}',
    )


def add_overwrite(parser: Parser) -> None:
    """Add --overwrite."""
    parser.add_argument("--overwrite", action="store_true", help="replace existing output")


def add_model(parser: Parser) -> None:
    """Add --model, --device and --threads."""
    parser.add_argument(
        "--model",
        metavar="DIR",
        default="auto",
        help="model folder, or name of an installed one; auto (default): the one that a template "
        "was made with, else the bundled models, each for the targets it is surest of",
    )
    add_device(parser)


def add_device(parser: Parser) -> None:
    """Add --device and --threads."""
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda", help="default: a GPU if there is one"
    )
    parser.add_argument(
        "--threads", type=positive_int, metavar="N", help="CPU threads (default: all)"
    )


def add_search(parser: Parser) -> None:
    """Add --runs, --steps and --seed, which say how thoroughly to search."""
    parser.add_argument(
        "--runs",
        type=number_of_runs,
        default=None,
        metavar="all|K",
        help="starts: every body cell (default), or K random ones",
    )
    parser.add_argument(
        "--steps", choices=STEPS, default="fine", help="default: fine (coarse, then fine)"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of the random starts")


def add_dicom_output(parser: Options) -> None:
    """Add --dicom-sr and --rtstruct."""
    parser.add_argument(
        "--dicom-sr",
        action="store_true",
        help="also write a DICOM report (TID 1500) of each DICOM series (needs extra dicom)",
    )
    parser.add_argument(
        "--rtstruct",
        action="store_true",
        help="also write the boxes as contours of a DICOM structure set (needs extra dicom)",
    )


def number_of_runs(text: str) -> int | None:
    """Read ``all`` as None, else the number of random starts, at least 1."""
    return None if text == "all" else positive_int(text, "all, or a whole number above 0")


def positive_int(text: str, expected: str = "a whole number above 0") -> int:
    """Read a whole number above 0; raises ArgumentTypeError, which names what was expected."""
    if not text.isdecimal() or not 0 < int(text) < LARGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return int(text)


def seed(text: str) -> int:
    """Read a whole number from 0; raises ArgumentTypeError."""
    is_zero = text != "" and text.strip("0") == ""
    return 0 if is_zero else positive_int(text, "a whole number from 0")


def positive_float(text: str) -> float:
    """Read a number above 0; raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < LARGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value
