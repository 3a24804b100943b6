"""The host: everything put together, and what tests ask of it."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from . import environment, qtmodule
from .application.pytorch import PyTorchExtension
from .qt import dialogs, failures, pythonqt

STAND_INS = Path(__file__).resolve().parent / "standins"
REPOSITORY = Path(__file__).resolve().parents[2]


class Host:
    """One per process. ``scene``, ``dialogs``, ``modules`` and ``pytorch`` are for tests."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="slicerhost-")
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(
            ["slicerhost"]
        )
        self._settingsCount = 0
        self.restartSettings(keep=False)
        self.dialogs = dialogs.Dialogs()
        qtmodule.install(self.dialogs)
        self._addPython()
        from .application.app import SlicerApplication
        from .application.scene import Scene

        self.scene = Scene(self._subfolder("cache"))
        hasWindow = environment.wantsMainWindow()
        slicer.app = SlicerApplication(self.scene, self._subfolder("temporary"), hasWindow)
        qtmodule.installWidgets(slicer)
        from .application.modules import Modules

        self.modules = Modules(self.scene.logics)
        self.pytorch = PyTorchExtension()
        from .application.mainwindow import MainWindow

        self.mainWindow = MainWindow() if hasWindow else None
        if hasWindow:
            slicer.util.selectModule = self.selectModule
            slicer.util.selectedModule = lambda: self.modules.selected
        failures.install()

    def _subfolder(self, name: str) -> str:
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def _addPython(self) -> None:
        """Slicer's own Python files, or the stand-ins, become part of the package ``slicer``."""
        own = environment.slicerPythonFolder()
        if not hasattr(sys.modules.get("slicer.i18n", os), "__file__"):
            # the mrml tier, in the same process, has made one
            del sys.modules["slicer.i18n"], slicer.i18n
        slicer.__path__.append(own or str(STAND_INS / "slicer"))
        sys.path.append(str(STAND_INS / "modules"))

    @property
    def usesSlicersPython(self) -> bool:
        """Whether Slicer's own Python files are used instead of the stand-ins."""
        return bool(environment.slicerPythonFolder())

    def restartSettings(self, keep: bool = True) -> None:
        """Do to QSettings what a restart does: all values are read back from the file, as strings.

        ``keep=False`` starts with empty settings.
        """
        before = QtCore.QSettings()
        before.sync()
        settings = QtCore.QSettings
        self._settingsCount += 1
        folder = self._subfolder(f"settings{self._settingsCount}")
        old = before.fileName() if self._settingsCount > 1 else ""
        settings.setDefaultFormat(settings.Format.IniFormat)
        settings.setPath(settings.Format.IniFormat, settings.Scope.UserScope, folder)
        self.application.setOrganizationName("slicerhost")
        self.application.setApplicationName("Slicer")
        if keep and old and os.path.exists(old):
            new = settings().fileName()
            os.makedirs(os.path.dirname(new), exist_ok=True)
            # A copy under a new name, because Qt keeps what it has read from a file for the whole
            # process.
            shutil.copy(old, new)

    def findModule(self, name: str) -> Path:
        """The file of a module of this repository, by its name (or a path to any module file)."""
        path = Path(name)
        return path if path.suffix == ".py" else REPOSITORY / name / f"{name}.py"

    def loadModule(self, name: str) -> Any:
        """Load and open a module; returns its Python widget (its ``.parent`` is the Qt widget)."""
        path = self.findModule(name)
        self.modules.load(str(path))
        slicer.app.startupCompleted.emit()
        return self.selectModule(path.stem).self()

    def selectModule(self, module: Any) -> Any:
        """``slicer.util.selectModule``: open a loaded module."""
        name = module if isinstance(module, str) else module.objectName
        widget = self.modules.select(name)
        if self.mainWindow is not None:
            self.mainWindow.showPanel(widget, slicer.app.moduleManager().module(name).title)
        return widget

    def unloadModules(self) -> None:
        """Unload all scripted modules that are loaded."""
        for name in slicer.app.moduleManager().modulesNames():
            self.modules.unload(name)

    def clear(self) -> None:
        """Clean the application: no modules, an empty scene, view mode, no settings, no answers."""
        slicer.mrmlScene = self.scene.mrml
        self.unloadModules()
        pythonqt.stopSingleShots()
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().setLayout(
                slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
            )
        self.scene.clear()
        self.scene.applicationLogic.GetInteractionNode().SetCurrentInteractionMode(
            slicer.vtkMRMLInteractionNode.ViewTransform
        )
        self.restartSettings(keep=False)
        self.dialogs.reset()
        self.pytorch.reset()
        self.modules.reset()
        self._deleteWidgets()

    def _deleteWidgets(self) -> None:
        """Delete what tests and modules left: such widgets would go on observing the scene."""
        for widget in self.application.topLevelWidgets():
            if widget is not self.mainWindow and widget.parent() is None:
                widget.deleteLater()
        self.processEvents()

    def processEvents(self) -> None:
        """Handle all pending Qt events, including deletions."""
        self.application.processEvents()
        self.application.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)

    def waitFor(self, condition: Any, seconds: float = 60.0) -> None:
        """Run Qt's event loop until ``condition()`` holds; raises TimeoutError if it does not."""
        loop, timer = QtCore.QEventLoop(), QtCore.QTimer()
        timer.setInterval(5)
        timer.timeout.connect(lambda: loop.quit() if condition() else None)
        timer.start()
        limit = QtCore.QTimer()
        limit.setSingleShot(True)
        limit.timeout.connect(loop.quit)
        limit.start(int(1000 * seconds))
        if not condition():
            loop.exec()
        if not condition():
            raise TimeoutError(
                f"not within {seconds} s: {getattr(condition, '__name__', condition)}"
            )

    def screenshot(self, widget: Any, path: Any) -> None:
        """Save a picture of a widget (shown or not)."""
        self.processEvents()
        if not widget.grab().save(str(path)):
            raise OSError(f"{path}: the picture could not be written")
