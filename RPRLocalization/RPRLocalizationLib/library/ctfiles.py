"""CT files of a folder, found by name and a glance at the first bytes: nothing is loaded."""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from rprloc.errors import InputError
from rprloc.formats.discovery import is_label_map, walk

MOST_FOLDERS = 2000


def ctFiles(folder: str) -> list[str]:
    """Return image files, and folders with a DICOM series, in ``folder`` and everywhere below it.

    Label maps are left out by their names; whether a file really is a CT shows when it is searched.
    Links to folders are not followed. Raises InputError if the folder cannot be read, or holds too
    many folders.
    """
    root = Path(folder)
    if not folder or not root.is_dir():
        raise InputError(_("Choose a folder that exists."))

    paths: list[str] = []
    for count, content in enumerate(walk(root, on_error=_refuse)):
        if count >= MOST_FOLDERS:
            raise InputError(_("There are too many folders below it: choose one further down."))
        paths += [str(image) for image in content.images if not is_label_map(image)]
        if content.is_dicom:
            paths.append(str(content.path))
    return paths


def _refuse(error: OSError) -> None:
    text = _("The folder cannot be read: {why}")
    raise InputError(text.format(why=error.strerror or error)) from error
