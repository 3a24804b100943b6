"""How the worker ends: at once, also in the middle of work, and without leaving CTs behind."""

from __future__ import annotations

import os
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from .errors import BadRequestError

# The client's exchange folders are called so: nothing else is ever cleaned.
FOLDER_PREFIX = "rprloc-"


class Shutdown:
    """Ends the process; first removes the arrays in the client's exchange folders."""

    def __init__(self) -> None:
        self._folders: set[Path] = set()
        self._lock = threading.RLock()

    def clean(self, folder: str) -> None:
        """Remove the .npy files of ``folder`` when the process ends, in case the client has died.

        Only a folder whose name begins with ``rprloc-`` is accepted, so that a mistaken path costs
        nothing. Raises BadRequestError.
        """
        path = Path(folder)
        if (
            not path.is_absolute()
            or not path.name.startswith(FOLDER_PREFIX)
            or path.is_symlink()
            or not path.is_dir()
        ):
            raise BadRequestError(
                f"{folder}: folder must be an existing folder called {FOLDER_PREFIX}..."
            )
        with self._lock:
            self._folders = {other for other in self._folders if other.is_dir()} | {path}

    def now(self, code: int = 0) -> NoReturn:
        """End the process without waiting for any thread, library or queued work."""
        with self._lock:
            for folder in self._folders:
                remove_arrays(folder)
            with suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(code)


def remove_arrays(folder: Path) -> None:
    """Delete the .npy files directly in ``folder``, and the folder if that leaves it empty."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            with suppress(OSError):
                if entry.name.endswith(".npy") and stat.S_ISREG(
                    entry.stat(follow_symlinks=False).st_mode
                ):
                    os.unlink(entry.path)
        folder.rmdir()
