"""Writing results: folders, whole-or-nothing files, and file names from what a user typed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError

_LONGEST_NAME = 120
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE
)
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


def prepare_output_dir(path: str | Path, overwrite: bool = False) -> Path:
    """Make the folder ``path`` (with its parents) and check that files can be written into it.

    A folder that holds something is refused unless ``overwrite``; nothing in it is deleted here.
    Raises OutputError if it is refused, is a file, or cannot be made or written.
    """
    folder = Path(path)
    with output_errors(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file, not a folder: choose another output folder")
        if folder.is_dir() and not overwrite and any(folder.iterdir()):
            raise OutputError(
                f"{folder}: already holds files: choose another folder, or pass --overwrite"
            )
        folder.mkdir(parents=True, exist_ok=True)

        probe = _temporary(folder / "probe")
        try:
            probe.touch()
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
    return folder


def prepare_output_file(path: str | Path, overwrite: bool = False) -> Path:
    """Make the parent folder of a file, and refuse a file that exists unless ``overwrite``.

    Raises OutputError.
    """
    file = Path(path)
    with output_errors(file):
        if file.is_dir():
            raise OutputError(f"{file}: is a folder, not a file: choose another output file")

        if file.exists() and not overwrite:
            raise OutputError(f"{file}: already exists: choose another file, or pass --overwrite")

        file.parent.mkdir(parents=True, exist_ok=True)
    return file


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Write the file as a whole or not at all.

    An interrupted or failed write leaves what was there before.

    The parent folder must exist. Raises OutputError (disk full, read-only, ...).
    """
    file = Path(path)

    temporary = _temporary(file)
    with output_errors(file):
        try:
            with open(temporary, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, file)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text as ``atomic_write_bytes`` does; line ends are kept as they are."""
    atomic_write_bytes(path, text.encode("utf-8", errors="replace"))


def remove_file(path: str | Path) -> None:
    """Delete the file if it is there. Raises OutputError if it cannot be deleted."""
    with output_errors(Path(path)):
        Path(path).unlink(missing_ok=True)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into an OutputError of one line about ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            reason = "the disk is full (or your quota is used up): free some space"
        elif error.errno in _DENIED:
            reason = (
                "may not be written (read-only, or opened by another program): choose another place"
            )
        else:
            reason = f"cannot be written ({error.strerror or error})"
        raise OutputError(f"{path}: {reason}") from error


def safe_name(name: str, taken: set[str] | None = None) -> str:
    """A file name without folders for any text.

    Valid on Linux, macOS and Windows, never empty or ``..``.

    taken: names in use (lower case); the answer differs from them, ignoring case, and is added to
        them.
    """
    kept = "".join(" " if ch.isspace() else ch for ch in unicodedata.normalize("NFC", name))
    kept = "".join(ch for ch in kept if not unicodedata.category(ch).startswith("C"))

    kept = _FORBIDDEN.sub("_", " ".join(kept.split())).strip(". ").lstrip("-~")
    if _RESERVED.match(kept):
        kept = f"_{kept}"
    kept = _shortened(kept) or "unnamed"
    if taken is None:
        return kept

    answer, number = kept, 2
    while answer.casefold() in taken:
        answer, number = f"{kept}-{number}", number + 1
    taken.add(answer.casefold())
    return answer


def safe_names(names: Iterable[str]) -> list[str]:
    """A file name for each text, all different even where case is ignored."""
    taken: set[str] = set()
    return [safe_name(name, taken) for name in names]


def _shortened(name: str) -> str:
    """``name``, cut to 120 bytes of UTF-8.

    What is cut off is kept apart by a few digits of its hash.
    """
    encoded = name.encode("utf-8")
    if len(encoded) <= _LONGEST_NAME:
        return name

    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{encoded[: _LONGEST_NAME - 9].decode('utf-8', errors='ignore').rstrip('. ')}-{digest}"


def _temporary(file: Path) -> Path:
    """A hidden neighbour of ``file`` that no other process writes."""
    return file.with_name(f".{file.name}.{os.getpid()}.tmp")
