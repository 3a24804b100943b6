"""File and text dialogs that remember their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import qt
import slicer


class RemembersFolder(Protocol):
    """Settings that remember the folder of the last file dialog."""

    lastFolder: str


def askText(title: str, label: str, text: str = "") -> str:
    """What the user types; empty if cancelled."""
    answer = qt.QInputDialog.getText(
        slicer.util.mainWindow(), title, label, qt.QLineEdit.Normal, text
    )
    return (answer or "").strip()


def askItem(title: str, label: str, items: list[str]) -> str:
    """The chosen item; empty if cancelled.

    Qt's own getItem cannot tell: in Python it returns the first item when it is cancelled.
    """
    dialog = qt.QInputDialog(slicer.util.mainWindow())
    dialog.setWindowTitle(title)
    dialog.setLabelText(label)
    dialog.setComboBoxItems(items)
    return dialog.textValue() if dialog.exec_() == qt.QDialog.Accepted else ""


def askOpenFile(settings: RemembersFolder, title: str, filters: str) -> str:
    """Path of a file to read; empty if cancelled."""
    path = qt.QFileDialog.getOpenFileName(
        slicer.util.mainWindow(), title, settings.lastFolder, filters
    )
    return _remembered(settings, path)


def askSaveFile(settings: RemembersFolder, title: str, name: str, filters: str) -> str:
    """Path of a file to write; empty if cancelled. The dialog asks before a file is replaced."""
    start = str(Path(settings.lastFolder) / name) if settings.lastFolder else name
    path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, start, filters)
    return _remembered(settings, path)


def askFolder(settings: RemembersFolder, title: str) -> str:
    """Path of a folder; empty if cancelled."""
    path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, settings.lastFolder)
    return _remembered(settings, path, isFolder=True)


def _remembered(settings: RemembersFolder, path: str, isFolder: bool = False) -> str:
    if path:
        settings.lastFolder = str(path) if isFolder else str(Path(path).parent)
    return path or ""
