"""The folders of a tree, with what decides whether a folder must be read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..formats.discovery import is_image, is_label_map


@dataclass(frozen=True)
class Folder:
    """One folder.

    Attributes:
        path: of it.
        files: that may be DICOM files, sorted. images: image files that are no label maps, sorted.
        state: digest of names, lengths and times of change of all these.
    """

    path: Path
    files: tuple[Path, ...]
    images: tuple[Path, ...]
    state: str


def folders(root: Path, on_error: Callable[[OSError], None]) -> Iterator[Folder]:
    """Yield ``root`` and all folders below it that hold files, sorted by name.

    Hidden files and folders are left out, and links to folders are not followed.

    Args:
        root: where to begin.
        on_error: gets what the operating system says of a folder that cannot be listed.
    """
    for place, below, names in os.walk(root, onerror=on_error):
        below[:] = sorted(name for name in below if not name.startswith("."))
        shown = sorted(name for name in names if not name.startswith("."))
        if shown:
            yield _folder(Path(place), shown)


def _folder(path: Path, names: list[str]) -> Folder:
    inside = [path / name for name in names]
    images = tuple(file for file in inside if is_image(file.name) and not is_label_map(file))
    others = tuple(file for file in inside if not is_image(file.name))
    digest = hashlib.sha256()
    for file in (*images, *others):
        digest.update(f"{file.name}\0{_state(file)}\0".encode(errors="replace"))
    return Folder(path, others, images, digest.hexdigest())


def _state(file: Path) -> str:
    try:
        found = file.stat()
    except OSError:
        return "unreadable"
    return f"{found.st_size} {found.st_mtime_ns}"
