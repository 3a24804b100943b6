"""The folder through which voxels pass to the worker as .npy files, readable by this user alone."""

from __future__ import annotations

import logging
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

# The worker removes the arrays of a folder called so when it ends, in case the application has
# died.
FOLDER_PREFIX = "rprloc-"
_INT16 = np.iinfo(np.int16)


class ExchangeFolder:
    """Made when it is first needed.

    ``close`` removes it with everything in it that this object wrote.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._written: set[Path] = set()
        self._count = 0

    @property
    def path(self) -> str:
        """Path of the folder, which exists (a worker that ended has removed it)."""
        if self._path is None or not self._path.is_dir():
            self._path = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        return str(self._path)

    def write(self, array: np.ndarray) -> str:
        """Write an array (k, j, i) in the smallest type that holds it; gives its path.

        Raises OSError (disk full).
        """
        self._count += 1
        path = Path(self.path) / f"{self._count}.npy"
        self._written.add(path)
        np.save(path, compact(array), allow_pickle=False)
        return str(path)

    def clear(self) -> None:
        """Delete all arrays.

        What the worker still holds open (Windows) is deleted the next time.
        """
        for path in list(self._written):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                logging.debug("RPRLoc: %s", error)
                continue
            self._written.discard(path)

    def close(self) -> None:
        """Delete the arrays and the folder, which a worker that ends removes at the same time."""
        self.clear()
        path, self._path = self._path, None
        if path is not None and not self._written:
            with suppress(FileNotFoundError):
                path.rmdir()


def compact(array: np.ndarray) -> np.ndarray:
    """The smallest type the worker takes that holds the values: int16, else float32.

    Masks stay as they are.
    """
    if array.dtype in (np.int16, np.uint8, np.int8):
        return array
    if array.dtype.kind in "iu" and array.min() >= _INT16.min and array.max() <= _INT16.max:
        return array.astype(np.int16)
    return array.astype(np.float32)
