"""The main window: the module panel on the left. ``window`` adds the views."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from ..qt.pythonqt import markAsCpp

PANEL_WIDTH = 460


@markAsCpp
class MainWindow(QtWidgets.QMainWindow):
    """``slicer.util.mainWindow()`` finds it by its name."""

    _panel: Any = None
    _dock: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("RPRLoc test host")
        self._dock = dock = QtWidgets.QDockWidget("Module", self)
        dock.setObjectName("PanelDockWidget")
        self._panel = QtWidgets.QScrollArea()
        self._panel.setWidgetResizable(True)
        self._panel.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        dock.setWidget(self._panel)
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self.setStatusBar(QtWidgets.QStatusBar())

    def showPanel(self, widget: Any, title: str) -> None:
        """Show a module's widget in the panel; the one before stays alive, as in Slicer."""
        self._dock.setWindowTitle(title)
        if self._panel.widget() is not widget:
            before = self._panel.takeWidget()
            if before is not None:
                before.setParent(None)
            self._panel.setWidget(widget)
        # As in Slicer, the panel becomes as wide as its contents need.
        beside = self._panel.verticalScrollBar().sizeHint().width() + 2 * self._panel.frameWidth
        self._panel.setMinimumWidth(max(PANEL_WIDTH, widget.minimumSizeHint().width() + beside))

    def resizePanel(self, width: int) -> None:
        """Make the panel as wide as a user who drags its edge (pixels)."""
        self.resizeDocks([self._dock], [width], QtCore.Qt.Orientation.Horizontal)
