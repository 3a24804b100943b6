"""Cohorts for tests: small CTs, and a worker plug-in that makes some of them fail in every way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.command_line import write_query

#: Loaded by every worker (Dask's preload): CTs of these names kill, hang or fail.
PRELOAD = """
import os, signal, time
from pathlib import Path
import rprloc.image.volume as volume

# Dask loads this file more than once.
read_volume = getattr(volume, "whole", volume.read_volume)
volume.whole = read_volume


def faulty(path, series=""):
    name = Path(path).name
    if "kill" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in name:
        # In the C library, without Python getting on.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        while True:
            time.sleep(1000)
    if "flaky" in name:
        mark = Path(str(path) + ".tried")
        if not mark.exists():
            mark.touch()
            raise OSError(5, "Input/output error")
    if "broken" in name:
        raise ZeroDivisionError("a bug")
    return read_volume(path, series)


volume.read_volume = faulty
"""


def write_preload(folder: Path) -> Path:
    """Write the plug-in; its path belongs into Dask's setting distributed.worker.preload."""
    file = folder / "faulty.py"
    file.write_text(PRELOAD, encoding="utf-8")
    return file


def write_tree(root: Path, names: Sequence[str]) -> Path:
    """Write one small CT of each name."""
    for name in names:
        write_query(root, f"{name}.nii.gz")
    return root
