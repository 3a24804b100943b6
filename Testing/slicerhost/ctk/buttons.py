"""ctk's buttons, boxes and other simple widgets, as far as scripted modules use them."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from ..qt.hostwidget import custom, forwarded, stored

HEADER_HEIGHT = 24
NO_LIMIT = 16777215
# QMessageBox::InvalidRole: no answer is remembered.
INVALID = -1


@custom
class ctkCollapsibleButton(QtWidgets.QWidget):
    """A titled section that can be folded."""

    contentsCollapsed = Signal(bool)
    _header: Any = None
    _hidden: Any = None

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._header = QtWidgets.QToolButton(self)
        self._header.setObjectName("qt_ctk_header")
        self._header.setCheckable(True)
        self._header.setChecked(True)
        self._header.setAutoRaise(True)
        self._header.setArrowType(QtCore.Qt.ArrowType.DownArrow)
        self._header.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._header.toggled.connect(lambda on: self._apply(on))
        self._hidden = []
        self.setContentsMargins(6, HEADER_HEIGHT, 2, 2)

    text, setText = forwarded(str, "_header", "text")

    def _isCollapsed(self) -> bool:
        return not self._header.isChecked()

    def setCollapsed(self, collapsed: bool) -> None:
        self._header.setChecked(not collapsed)

    collapsed = Property(bool, _isCollapsed, setCollapsed)

    def _apply(self, opened: bool) -> None:
        self._header.setArrowType(
            QtCore.Qt.ArrowType.DownArrow if opened else QtCore.Qt.ArrowType.RightArrow
        )
        if opened:
            for widget in self._hidden:
                widget.show()
        else:
            self._hidden = [w for w in self._contents() if not w.isHidden()]
            for widget in self._hidden:
                widget.hide()
        self.setMaximumHeight(NO_LIMIT if opened else HEADER_HEIGHT)
        self.contentsCollapsed.emit(not opened)

    def _contents(self) -> list[Any]:
        return [
            w for w in self.children() if isinstance(w, QtWidgets.QWidget) and w is not self._header
        ]

    def resizeEvent(self, event: Any) -> None:
        self._header.resize(self.width, HEADER_HEIGHT - 2)


@custom
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box that can be folded by its check box."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(lambda on: self._apply(on))

    def _isCollapsed(self) -> bool:
        return not self.isChecked()

    def setCollapsed(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    collapsed = Property(bool, _isCollapsed, setCollapsed)

    def _apply(self, opened: bool) -> None:
        for widget in self.children():
            if isinstance(widget, QtWidgets.QWidget):
                widget.setVisible(opened)

    def childEvent(self, event: Any) -> None:
        """Children that come after the box was folded are hidden as well."""
        super().childEvent(event)
        if event.polished() and not self.isChecked():
            event.child().setProperty("visible", False)


@custom
class ctkCheckBox(QtWidgets.QCheckBox):
    """A check box that may have an icon for the middle state (not needed here)."""


@custom
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for "nothing chosen"."""

    defaultText, setDefaultText = stored(str, "defaultText", "", "_showDefault")

    def _showDefault(self) -> None:
        self.setPlaceholderText(self.defaultText)


@custom
class ctkCheckablePushButton(QtWidgets.QPushButton):
    """A push button with a check box."""

    checkBoxToggled = Signal(bool)
    checkBoxControlsButton, setCheckBoxControlsButton = stored(bool, "checkBoxControlsButton", True)
    checkBoxControlsButtonToggleState, setCheckBoxControlsButtonToggleState = stored(
        bool, "checkBoxControlsButtonToggleState", True
    )
    checkBoxUserCheckable, setCheckBoxUserCheckable = stored(bool, "checkBoxUserCheckable", True)
    checkState, setCheckState = stored(int, "checkState", 0, "_toggled")
    _before: int = 0

    def _toggled(self) -> None:
        """Only what has changed is told."""
        before, self._before = self._before, self.checkState
        if self.checkState != before:
            self.checkBoxToggled.emit(bool(self.checkState))


@custom
class ctkColorPickerButton(QtWidgets.QPushButton):
    """A button that shows and chooses a color."""

    colorChanged = Signal(QtGui.QColor)
    color, setColor = stored(QtGui.QColor, "color", QtGui.QColor(), "_announce")
    displayColorName, setDisplayColorName = stored(bool, "displayColorName", True)
    _before: Any = None

    def _announce(self) -> None:
        """Only another color is told."""
        before, self._before = self._before or QtGui.QColor(), self.color
        if self.color != before:
            self.colorChanged.emit(self.color)


@custom
class ctkMenuButton(QtWidgets.QPushButton):
    """A push button whose right side opens a menu."""


@custom
class ctkExpandButton(QtWidgets.QToolButton):
    """A small button with an arrow."""


@custom
class ctkSearchBox(QtWidgets.QLineEdit):
    """A line edit for a filter text."""

    showSearchIcon, setShowSearchIcon = stored(bool, "showSearchIcon", False)
    searchIcon, setSearchIcon = stored(QtGui.QIcon, "searchIcon", QtGui.QIcon())


@custom
class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser as high as its text."""

    collapsed, setCollapsed = stored(bool, "collapsed", True)


@custom
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box with "Don't show again": a remembered answer is given without the box."""

    dontShowAgainSettingsKey, setDontShowAgainSettingsKey = stored(
        str, "dontShowAgainSettingsKey", ""
    )

    def exec_(self) -> int:
        remembered = (
            QtCore.QSettings().value(self.dontShowAgainSettingsKey)
            if self.dontShowAgainSettingsKey
            else None
        )
        return super().exec_() if remembered in (None, INVALID, str(INVALID)) else int(remembered)
