"""ctk's widgets for paths."""

from __future__ import annotations

import os
from typing import Any

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from ..qt.hostwidget import custom, row, stored


@custom
class ctkPathLineEdit(QtWidgets.QWidget):
    """A line edit with a history and a browse button."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    _comboBox: Any = None

    # QDir's filters, which ctk repeats
    Dirs, Files, Drives, NoSymLinks = 0x001, 0x002, 0x004, 0x008
    Readable, Writable, Executable, Hidden = 0x010, 0x020, 0x040, 0x100
    NoDotAndDotDot = 0x1000 | 0x2000

    filters, setFilters = stored(int, "filters", Files)
    nameFilters, setNameFilters = stored("QStringList", "nameFilters", ())
    label, setLabel = stored(str, "label", "")
    settingKey, setSettingKey = stored(str, "settingKey", "", "retrieveHistory")
    showBrowseButton, setShowBrowseButton = stored(bool, "showBrowseButton", True)
    showHistoryButton, setShowHistoryButton = stored(bool, "showHistoryButton", True)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._comboBox = QtWidgets.QComboBox()
        self._comboBox.setEditable(True)
        self._comboBox.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed
        )
        button = QtWidgets.QToolButton()
        button.setText("...")
        button.clicked.connect(lambda: self.browse())
        row(self, self._comboBox, button)
        self._comboBox.editTextChanged.connect(self.currentPathChanged)

    def setCurrentPath(self, path: Any) -> None:
        self._comboBox.setEditText(str(path))

    currentPath = Property(str, lambda self: self._comboBox.currentText, setCurrentPath)

    def browse(self) -> None:
        """Let the user choose a path, in a dialog that fits ``filters``."""
        dialog = QtWidgets.QFileDialog
        if int(self.filters) & self.Files:
            chosen = dialog.getOpenFileName(
                self, self.label, self.currentPath, ";;".join(self.nameFilters)
            )
        else:
            chosen = dialog.getExistingDirectory(self, self.label, self.currentPath)
        if chosen:
            self.setCurrentPath(chosen)

    def addCurrentPathToHistory(self) -> None:
        """Remember the current path under ``settingKey``."""
        if not self.settingKey or not self.currentPath:
            return
        known = [path for path in self._history() if path != self.currentPath]
        QtCore.QSettings().setValue(self.settingKey, [self.currentPath, *known])

    def retrieveHistory(self) -> None:
        """Show the paths remembered under ``settingKey``; the last one becomes the current one."""
        history = self._history()
        self._comboBox.addItems(history)
        if history:
            self.setCurrentPath(history[0])

    def _history(self) -> list[str]:
        value = QtCore.QSettings().value(self.settingKey) if self.settingKey else None
        return [value] if isinstance(value, str) else list(value or [])


@custom
class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows and chooses a folder."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)
    _button: Any = None
    _directory: str = "."
    caption, setCaption = stored(str, "caption", "")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._button = QtWidgets.QPushButton(self.directory)
        row(self, self._button)
        self._button.clicked.connect(lambda: self.browse())

    def setDirectory(self, path: Any) -> None:
        absolute = os.path.abspath(str(path))
        if absolute != os.path.abspath(self._directory):
            self._directory = absolute
            self._button.setText(absolute)
            self.directoryChanged.emit(absolute)

    directory = Property(str, lambda self: self._directory, setDirectory)

    def browse(self) -> None:
        """Let the user choose a folder."""
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self, self.caption, self.directory)
        if chosen:
            self.setDirectory(chosen)
            self.directorySelected.emit(chosen)
