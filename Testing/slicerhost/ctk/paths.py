"""ctk's widgets for paths."""

from __future__ import annotations

import os
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from ..qt.hostwidget import custom, row, stored

ARROW_WIDTH = 30
MOST_REMEMBERED = 5


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

    AdjustToContents, AdjustToContentsOnFirstShow = 0, 1
    AdjustToMinimumContentsLength = 2

    filters, setFilters = stored(int, "filters", Files)
    nameFilters, setNameFilters = stored("QStringList", "nameFilters", (), "_applyFilters")
    label, setLabel = stored(str, "label", "")
    settingKey, setSettingKey = stored(str, "settingKey", "", "retrieveHistory")
    showBrowseButton, setShowBrowseButton = stored(bool, "showBrowseButton", True)
    showHistoryButton, setShowHistoryButton = stored(bool, "showHistoryButton", True)
    minimumContentsLength, setMinimumContentsLength = stored(int, "minimumContentsLength", 0)
    sizeAdjustPolicy, setSizeAdjustPolicy = stored(
        int, "sizeAdjustPolicy", AdjustToContentsOnFirstShow
    )
    _validator: Any = None
    _button: Any = None
    _wasValid: bool = False

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._comboBox = QtWidgets.QComboBox()
        self._comboBox.setEditable(True)
        self._comboBox.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed
        )
        self._validator = QtGui.QRegularExpressionValidator(self)
        self._comboBox.lineEdit().setValidator(self._validator)
        self._applyFilters()
        self._button = QtWidgets.QToolButton()
        self._button.setText("...")
        self._button.clicked.connect(lambda: self.browse())
        row(self, self._comboBox, self._button)
        self._comboBox.lineEdit().textChanged.connect(lambda _text: self._onText())

    def setCurrentPath(self, path: Any) -> None:
        self._comboBox.lineEdit().setText(str(path))

    currentPath = Property(str, lambda self: self._comboBox.lineEdit().text, setCurrentPath)

    def _onText(self) -> None:
        """As in ctk: an input that is not acceptable, such as none, tells no path."""
        valid = self._comboBox.lineEdit().hasAcceptableInput()
        before, self._wasValid = self._wasValid, valid
        if valid:
            self.currentPathChanged.emit(self.currentPath)
        if valid != before:
            self.validInputChanged.emit(valid)

    def _applyFilters(self) -> None:
        """Without a filter anything is acceptable but nothing: ctk's pattern is ``.+``."""
        wildcards = [w for text in self.nameFilters for w in _wildcards(text)]
        patterns = [
            QtCore.QRegularExpression.wildcardToRegularExpression(
                wildcard,
                QtCore.QRegularExpression.WildcardConversionOption.UnanchoredWildcardConversion,
            )
            for wildcard in wildcards
        ]
        pattern = f"({'|'.join(patterns)})" if patterns else ".+"
        self._validator.setRegularExpression(QtCore.QRegularExpression(pattern))

    def minimumSizeHint(self) -> QtCore.QSize:
        """As wide as the path, unless a ``minimumContentsLength`` is given."""
        return self._hint(bool(self.minimumContentsLength))

    def sizeHint(self) -> QtCore.QSize:
        return self._hint(self.sizeAdjustPolicy == self.AdjustToMinimumContentsLength)

    def _hint(self, byLength: bool) -> QtCore.QSize:
        metrics, text = self._comboBox.fontMetrics(), self.currentPath
        wide = (
            metrics.boundingRect(text).width() + 8 if text else 7 * metrics.horizontalAdvance("x")
        )
        width = max(
            0 if byLength else wide, self.minimumContentsLength * metrics.horizontalAdvance("X")
        )
        hint = self._comboBox.minimumSizeHint()
        return QtCore.QSize(
            ARROW_WIDTH + width + self._button.minimumSizeHint().width(), hint.height()
        )

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
        if not self.currentPath:
            return
        known = [path for path in self._history() if path != self.currentPath]
        QtCore.QSettings().setValue(self._key(), [self.currentPath, *known])

    def retrieveHistory(self) -> None:
        """Offer the paths remembered under ``settingKey``; without a path the last one is taken."""
        path, history = self.currentPath, self._history()[:MOST_REMEMBERED]
        blocked = self.blockSignals(True)
        self._comboBox.clear()
        self._comboBox.addItems(history)
        if not path:
            self.blockSignals(blocked)
        self.setCurrentPath(path or next(iter(history), ""))
        self.blockSignals(blocked)

    def _key(self) -> str:
        """The name of the widget stands in for a missing key."""
        return f"ctkPathLineEdit/{self.settingKey or self.objectName}"

    def _history(self) -> list[str]:
        value = QtCore.QSettings().value(self._key())
        return [value] if isinstance(value, str) else list(value or [])


def _wildcards(nameFilter: str) -> list[str]:
    """``Tables (*.csv *.tsv)`` or ``*.csv`` as the wildcards in it."""
    inside = nameFilter.partition("(")[2].rpartition(")")[0] or nameFilter
    return inside.split()


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
        changed = absolute != os.path.abspath(self._directory)
        self._directory = absolute
        self._button.setText(absolute)
        self.directorySelected.emit(absolute)
        if changed:
            self.directoryChanged.emit(absolute)

    directory = Property(str, lambda self: self._directory, setDirectory)

    def browse(self) -> None:
        """Let the user choose a folder."""
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self, self.caption, self.directory)
        if chosen:
            self.setDirectory(chosen)
