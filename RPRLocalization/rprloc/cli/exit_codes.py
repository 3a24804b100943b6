"""How a command ends: the exit codes, and the interruption that says what is complete."""

from __future__ import annotations

EXIT_OK = 0
EXIT_SOME_FAILED = 1
EXIT_BAD_INPUT = 2
# As a shell reports a program that Ctrl-C ended: 128 and the number of SIGINT.
EXIT_INTERRUPTED = 130

EPILOG = (
    "exit codes: 0 success, 1 some query or target failed, 2 wrong use or bad input, "
    "130 interrupted"
)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with one line about what is complete."""
