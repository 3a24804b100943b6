"""The command line ``rprloc COMMAND ...``.

Exit codes: 0 success; 1 some query failed (the others are written); 2 wrong use or bad input, with
one line on stderr; 130 interrupted. Heavy imports (torch, SimpleITK) wait until a command runs.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence

from .. import __version__
from ..errors import InputError, RprLocError
from ..own_warnings import own_warnings
from . import cohort, evaluate, locate, map, models, template
from .arguments import Parser
from .exit_codes import EPILOG, EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_OK
from .notes import show_note
from .registry import AddedCommands, Command, added_commands

COMMANDS: tuple[Command, ...] = (locate, map, template, evaluate, models, cohort)
# Said where no other package adds a command: who asks for `train` learns what is missing.
ELSEWHERE = "further commands come with other packages (RPRTraining), which are missing here"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Raises SystemExit for wrong options and for ``--help``.
    """
    _never_fail_to_print()
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        added = added_commands()
        args = _parse(words, added)
        command: Callable[[argparse.Namespace], int] = args.command
        with own_warnings(show_note, added.packages):
            return command(args)
    except RprLocError as error:
        return _fail(str(error), EXIT_BAD_INPUT)
    except KeyboardInterrupt as error:
        return _fail(str(error) or "interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Who reads stdout (such as `head`) has enough: flushing at exit must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def build_parser(commands: Sequence[Command] = COMMANDS) -> Parser:
    """The parser of these commands; ``args.command`` is the function that runs the one chosen."""
    parser = Parser(
        prog="rprloc",
        description="Find organs and landmarks in CT from one annotated reference.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"rprloc {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        command.add_arguments(subparsers)
    return parser


def _parse(words: list[str], added: AddedCommands) -> argparse.Namespace:
    """Parse the command line; raises InputError for a command that there is not, and says why."""
    commands = (*COMMANDS, *added.commands)
    names = [command.NAME for command in commands]
    if words and not words[0].startswith("-") and words[0] not in names:
        reasons = added.problems if added.problems or added.packages else [ELSEWHERE]
        refusal = f"there is no command {words[0]!r}, only {', '.join(names)}"
        raise InputError(f"{'; '.join([refusal, *reasons])} (see rprloc --help)")
    return build_parser(commands).parse_args(words)


def _never_fail_to_print() -> None:
    """Let a terminal of a small character set show ``?`` for what it does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _fail(message: str, code: int) -> int:
    print(f"rprloc: {' '.join(message.split())}", file=sys.stderr)
    return code
