"""One training per model folder: a lock that the operating system takes back when the process dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rprloc.errors import OutputError
from rprloc.outputs import output_errors

LOCK_NAME = "run.lock"

if sys.platform == "win32":
    import msvcrt

    def _lock(stream: IO[bytes]) -> None:
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(stream: IO[bytes]) -> None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; raises OutputError if another training holds it, or the folder cannot be written."""
    path = folder / LOCK_NAME
    with output_errors(path):
        stream = open(path, "ab")  # noqa: SIM115 (it is closed below, and locked as long as it is open)
    try:
        try:
            _lock(stream)
        except OSError as error:
            raise OutputError(f"{folder}: another training is writing to this folder") from error
        yield
    finally:
        stream.close()


def is_locked(folder: Path) -> bool:
    """Tell whether a training is running in the folder."""
    if not (folder / LOCK_NAME).exists():
        return False
    try:
        with locked(folder):
            return False
    except OutputError:
        return True
