"""``slicer.modules``: scripted modules, loaded, opened and reloaded as Slicer does.

Slicer's own code for this is qSlicerScriptedLoadableModule (C++).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from ..qmrml.base import qMRMLWidget
from ..qt import failures
from ..qt.hostwidget import stored
from ..qt.pythonqt import markAsCpp


class CppModule:
    """A module of Slicer that is C++: its name and its logic."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name, self._logic = name, logic

    def logic(self) -> Any:
        return self._logic


@markAsCpp
class qSlicerScriptedLoadableModule(QtCore.QObject):
    """What a scripted module gets as ``parent``: only these attributes exist."""

    title, setTitle = stored(str, "title", "")
    categories, setCategories = stored("QStringList", "categories", ())
    dependencies, setDependencies = stored("QStringList", "dependencies", ())
    contributors, setContributors = stored("QStringList", "contributors", ())
    associatedNodeTypes, setAssociatedNodeTypes = stored("QStringList", "associatedNodeTypes", ())
    helpText, setHelpText = stored(str, "helpText", "")
    acknowledgementText, setAcknowledgementText = stored(str, "acknowledgementText", "")
    icon, setIcon = stored(QtGui.QIcon, "icon", QtGui.QIcon())
    hidden, setHidden = stored(bool, "hidden", False)
    index, setIndex = stored(int, "index", -1)
    widgetRepresentationCreationEnabled, setWidgetRepresentationCreationEnabled = stored(
        bool, "widgetRepresentationCreationEnabled", True
    )
    path, setPath = stored(str, "path", "")
    _widget: Any = None
    _logic: Any = None
    _name: str = ""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._name = os.path.basename(path).removesuffix(".py")
        self.setObjectName(self._name)
        self.path = path

    def logic(self) -> Any:
        """A logic object that knows nothing: the module's Python logic is not it (as in Slicer)."""
        if self._logic is None:
            self._logic = slicer.vtkSlicerScriptedLoadableModuleLogic()
            self._logic.SetMRMLScene(slicer.mrmlScene)
        return self._logic

    def widgetRepresentation(self) -> Any:
        """The module's widget; the first call makes it and calls its ``setup``."""
        if self._widget is None and hasattr(sys.modules[self._name], f"{self._name}Widget"):
            self._widget = qSlicerScriptedLoadableModuleWidget(self.path)
            self._widget.setMRMLScene(slicer.mrmlScene)
            self._widget.setup()
        return self._widget

    def createNewWidgetRepresentation(self) -> Any:
        widget = qSlicerScriptedLoadableModuleWidget(self.path)
        widget.setMRMLScene(slicer.mrmlScene)
        widget.setup()
        return widget


@markAsCpp
class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The C++ side of a module's widget: makes the Python object, calls setup, enter and exit."""

    _path: str = ""
    _self: Any = None
    _entered: bool = False

    def __init__(self, path: str) -> None:
        super().__init__()
        QtWidgets.QVBoxLayout(self)
        self._path = path
        self._make()

    def _make(self) -> None:
        name = os.path.basename(self._path).removesuffix(".py")
        className = f"{name}Widget"
        self._self = getattr(sys.modules[name], className)(self)
        setattr(slicer.modules, className, self._self)

    def self(self) -> Any:
        """The Python object."""
        return self._self

    def setup(self) -> None:
        self._self.setup()

    def reload(self) -> None:
        """Take the new code that ``slicer.util.reloadScriptedModule`` has loaded."""
        self._make()
        self.setup()

    def isEntered(self) -> bool:
        return self._entered

    def enter(self) -> None:
        self._entered = True
        self._call("enter")

    def exit(self) -> None:
        self._entered = False
        self._call("exit")

    def _call(self, method: str) -> None:
        """Slicer prints what ``enter`` and ``exit`` raise; here it is a failure."""
        try:
            getattr(self._self, method, lambda: None)()
        except Exception as error:
            failures.recordException(error, f"{type(self._self).__name__}.{method}")


class Modules:
    """Loads modules and keeps track of the one that is open."""

    def __init__(self, logics: dict[str, Any]) -> None:
        slicer.modules = types.ModuleType("slicer.modules")
        sys.modules["slicer.modules"] = slicer.modules
        self._cpp = {name.lower(): CppModule(name, logic) for name, logic in logics.items()}
        self.reset()
        slicer.qSlicerScriptedLoadableModule = qSlicerScriptedLoadableModule
        slicer.qSlicerScriptedLoadableModuleWidget = qSlicerScriptedLoadableModuleWidget
        self.selected = ""

    def reset(self) -> None:
        """All C++ modules are there, no sample data is registered."""
        for name, module in self._cpp.items():
            setattr(slicer.modules, name, module)
        vars(slicer.modules).pop("sampleDataSources", None)

    def hide(self, name: str) -> None:
        """Let a C++ module of Slicer be missing, such as "cropvolume", until ``reset``."""
        delattr(slicer.modules, name)

    def load(self, path: str) -> qSlicerScriptedLoadableModule:
        """Load a module file: put its folder on the path, make its class and call its ``setup``."""
        name = os.path.basename(path).removesuffix(".py")
        folder = os.path.dirname(os.path.abspath(path))
        if folder not in sys.path:
            sys.path.insert(0, folder)
        spec = importlib.util.spec_from_file_location(name, path)
        code = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        sys.modules[name] = code
        spec.loader.exec_module(code)  # type: ignore[union-attr]
        module = qSlicerScriptedLoadableModule(os.path.abspath(path))
        setattr(slicer.modules, name.lower(), module)
        slicer.app.moduleManager()._modules[name] = module
        instance = getattr(code, name)(module)
        setattr(slicer.modules, f"{name}Instance", instance)
        getattr(instance, "setup", lambda: None)()
        slicer.app.moduleManager().moduleLoaded.emit(name)
        return module

    def select(self, name: str) -> Any:
        """Open a module: leave the open one, make the new one's widget if need be, and enter it."""
        self.leave()
        module = slicer.app.moduleManager().module(name)
        if module is None:
            raise ValueError(f"no module {name} is loaded")
        widget = module.widgetRepresentation()
        self.selected = name
        widget.enter()
        return widget

    def leave(self) -> None:
        """Leave the open module, if any."""
        module = slicer.app.moduleManager().module(self.selected)
        self.selected = ""
        if module is not None and module._widget is not None:
            module._widget.exit()

    def unload(self, name: str) -> None:
        """Unload a module as Slicer does when it exits: leave it, call ``cleanup``, forget it."""
        if self.selected == name:
            self.leave()
        manager = slicer.app.moduleManager()
        manager.moduleAboutToBeUnloaded.emit(name)
        module = manager._modules.pop(name)
        for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
            if hasattr(slicer.modules, attribute):
                delattr(slicer.modules, attribute)
        sys.modules.pop(name, None)
        if module._widget is not None:
            module._widget.hide()
            module._widget.deleteLater()
