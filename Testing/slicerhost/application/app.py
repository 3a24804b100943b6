"""``slicer.app``: the part of qSlicerApplication that scripted modules use."""

from __future__ import annotations

import os
from typing import Any

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from ..qt.pythonqt import markAsCpp
from ..views.layout import LayoutManager
from .iomanager import CoreIOManager

VERSION = (5, 12)


@markAsCpp
class ModuleManager(QtCore.QObject):
    """``slicer.app.moduleManager()``; the modules are those of ``modules.Modules``."""

    moduleAboutToBeUnloaded = Signal(str)
    moduleLoaded = Signal(str)
    _modules: Any = None

    def __init__(self) -> None:
        super().__init__()
        self._modules = {}

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def isLoaded(self, name: str) -> bool:
        return name in self._modules

    def loadModules(self, names: Any) -> bool:
        return all(name in self._modules for name in names)


@markAsCpp
class SlicerApplication(QtCore.QObject):
    """One object stands for the application, its core and its settings."""

    startupCompleted = Signal()
    aboutToQuit = Signal()
    applicationName = Property(str, lambda self: "Slicer")
    applicationVersion = Property(str, lambda self: ".".join(map(str, VERSION)))
    majorVersion = Property(int, lambda self: VERSION[0])
    minorVersion = Property(int, lambda self: VERSION[1])
    revision = Property(str, lambda self: "0")
    os = Property(str, lambda self: {"posix": "linux", "nt": "win"}[os.name])
    documentationBaseUrl = Property(str, lambda self: "https://slicer.readthedocs.io/en/latest/")
    slicerHome = Property(str, lambda self: "")
    temporaryPath = Property(str, lambda self: self._temporaryPath)
    extensionsInstallPath = Property(
        str, lambda self: os.path.join(self._temporaryPath, "extensions")
    )
    slicerUserSettingsFilePath = Property(str, lambda self: self.userSettings().fileName())
    commandOptions = None
    _scene: Any = None
    _temporaryPath: str = ""
    _managers: Any = None
    _testing: bool = False
    _renderPauses: int = 0

    def __init__(self, scene: Any, temporaryPath: str, hasMainWindow: bool) -> None:
        super().__init__()
        self._scene, self._temporaryPath = scene, temporaryPath
        self._managers = {
            "module": ModuleManager(),
            # The views are the main window's.
            "layout": LayoutManager(scene.mrml, scene.applicationLogic) if hasMainWindow else None,
            "io": CoreIOManager(scene.logics, scene.mrml),
        }

    def mrmlScene(self) -> Any:
        return self._scene.mrml

    def applicationLogic(self) -> Any:
        return self._scene.applicationLogic

    def moduleManager(self) -> ModuleManager:
        return self._managers["module"]

    def layoutManager(self) -> LayoutManager | None:
        """None without a main window."""
        return self._managers["layout"]

    def coreIOManager(self) -> CoreIOManager:
        return self._managers["io"]

    ioManager = coreIOManager

    def moduleLogic(self, name: str) -> Any:
        return self._scene.logics.get(name)

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    # settings

    def settings(self) -> Any:
        return QtCore.QSettings()

    userSettings = revisionUserSettings = settings

    def testingEnabled(self) -> bool:
        """False by default: in testing mode Slicer shows no message box, and tests want them."""
        return self._testing

    def testAttribute(self, _attribute: int) -> bool:
        return False

    # Qt

    def topLevelWidgets(self) -> list[Any]:
        return QtWidgets.QApplication.topLevelWidgets()

    def processEvents(self) -> None:
        QtWidgets.QApplication.processEvents()

    def setOverrideCursor(self, cursor: Any) -> None:
        QtWidgets.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        QtWidgets.QApplication.restoreOverrideCursor()

    def clipboard(self) -> Any:
        return QtWidgets.QApplication.clipboard()

    def keyboardModifiers(self) -> Any:
        return QtWidgets.QApplication.keyboardModifiers()

    def palette(self) -> Any:
        return QtWidgets.QApplication.palette()

    def translate(self, _context: str, text: str) -> str:
        """No translation is installed."""
        return text

    def pauseRender(self) -> None:
        self._renderPauses += 1

    def resumeRender(self) -> None:
        self._renderPauses -= 1

    def startupEnvironment(self) -> dict[str, str]:
        return dict(os.environ)

    def restart(self) -> None:
        raise RuntimeError("slicer.app.restart() was called")
