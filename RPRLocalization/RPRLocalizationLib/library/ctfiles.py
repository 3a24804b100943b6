"""CT files of a folder, found by name and a glance at the first bytes: nothing is loaded."""

from __future__ import annotations

import os
from pathlib import Path

from slicer.i18n import tr as _

from rprloc.errors import InputError

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
NOT_CTS = (".seg.nrrd", ".seg.nhdr", ".labels.nii.gz", "-label.nrrd")
MOST_FOLDERS = 2000
_LOOKED_AT = 3


def ctFiles(folder: str) -> list[str]:
    """Image files, and folders with a DICOM series, in ``folder`` and everywhere below it, sorted by path.

    Segmentations are left out by their names; whether a file really is a CT shows when it is
    searched. Links to folders are not followed. Raises InputError if the folder cannot be read, or
    holds too many folders.
    """
    root = Path(folder)
    if not folder or not root.is_dir():
        raise InputError(_("Choose a folder that exists."))
    found: list[str] = []
    for count, (path, folders, names) in enumerate(os.walk(root, onerror=_refuse)):
        if count >= MOST_FOLDERS:
            raise InputError(_("There are too many folders below it: choose one further down."))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        visible = sorted(name for name in names if not name.startswith("."))
        images = [name for name in visible if _isImage(name)]
        found += [os.path.join(path, name) for name in images]
        if _isDicom(path, [name for name in visible if name not in images]):
            found.append(path)
    return found


def _isImage(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(IMAGE_SUFFIXES) and not lower.endswith(NOT_CTS)


def _isDicom(path: str, names: list[str]) -> bool:
    """True if one of the first files without another known suffix is DICOM (``DICM`` after 128 bytes)."""
    candidates = [
        n
        for n in names
        if n.lower().endswith(".dcm") or "." not in n or n.rpartition(".")[2].isdigit()
    ]
    return any(_hasMagic(os.path.join(path, name)) for name in candidates[:_LOOKED_AT])


def _hasMagic(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _refuse(error: OSError) -> None:
    raise InputError(
        _("The folder cannot be read: {why}").format(why=error.strerror or error)
    ) from error
