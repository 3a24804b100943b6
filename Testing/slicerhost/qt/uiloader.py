"""Loading .ui files: Qt's loader, the host's widgets, and checks that Slicer does not make."""

from __future__ import annotations

import functools
import operator
import xml.etree.ElementTree as ET
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import failures, pythonqt
from .hostwidget import CUSTOM_WIDGETS

# Qt Designer keeps these in the file for layouts and item widgets; they are no properties of the
# class.
DESIGNER_ONLY = {
    "spacing",
    "leftMargin",
    "topMargin",
    "rightMargin",
    "bottomMargin",
    "margin",
    "orientation",
}


class QUiLoader(QtUiTools.QUiLoader):
    """PythonQt's ``qt.QUiLoader``; raises RuntimeError for a widget that the host does not know."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        for cls in CUSTOM_WIDGETS.values():
            self.registerCustomWidget(cls)

    def load(self, device: Any, parent: Any = None) -> Any:
        """The widget of a .ui file, with the connections made that the file lists."""
        root = ET.fromstring(bytes(device.readAll().data()))
        _check(root)
        connections = root.find("connections")
        if connections is not None:
            # Qt's loader cannot make connections between widgets that are implemented in Python.
            root.remove(connections)
        choices = _takeChoices(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        with pythonqt.ignoringNewAttributes():
            widget = super().load(buffer, parent)
        for name, prop, value in choices:
            setattr(_named(widget, name), prop, value)
        for connection in connections if connections is not None else ():
            _connect(widget, connection)
        return widget


def _check(root: ET.Element) -> None:
    """Check that classes are known, properties are of their class, and names are used once."""
    unknown, names = set(), []
    for element in root.iter("widget"):
        cls = _classOf(element.get("class", ""))
        if cls is None:
            unknown.add(element.get("class", ""))
            continue
        names.append(element.get("name", ""))
        for name in _unknownProperties(element, cls):
            failures.record(f".ui file: {cls.__name__} {names[-1]!r} has no property {name!r}")
    if unknown:
        message = f".ui file: the host has no widget {', '.join(sorted(unknown))}"
        failures.record(message)
        raise RuntimeError(message)
    for name in sorted({n for n in names if names.count(n) > 1}):
        failures.record(f".ui file: two widgets are called {name!r}")


def _classOf(name: str) -> Any:
    if name == "Line":
        return QtWidgets.QFrame
    return CUSTOM_WIDGETS.get(name) or getattr(QtWidgets, name, None)


def _unknownProperties(element: ET.Element, cls: Any) -> list[str]:
    found = [p.get("name", "") for p in element.findall("property") if p.get("stdset") != "0"]
    return [
        name for name in found if name not in DESIGNER_ONLY and not pythonqt.isQtProperty(cls, name)
    ]


def _takeChoices(root: ET.Element) -> list[tuple[str, str, int]]:
    """Remove enum properties of custom widgets, which Qt's loader does not understand.

    Returns them as (widget, property, value).
    """
    taken = []
    for element in root.iter("widget"):
        cls = CUSTOM_WIDGETS.get(element.get("class", ""))
        for prop in element.findall("property") if cls else ():
            text = prop.findtext("set") or prop.findtext("enum") or ""
            names = [part.rpartition("::")[2] for part in text.split("|")]
            if text and all(isinstance(getattr(cls, name, None), int) for name in names):
                value = functools.reduce(operator.or_, (getattr(cls, name) for name in names))
                taken.append((element.get("name", ""), prop.get("name", ""), value))
                element.remove(prop)
    return taken


def _named(widget: Any, name: str | None) -> Any:
    found = widget if widget.objectName == name else widget.findChild(QtCore.QObject, name)
    if found is None:
        raise RuntimeError(f".ui file: there is no widget {name!r}")
    return found


def _connect(widget: Any, connection: ET.Element) -> None:
    sender = _named(widget, connection.findtext("sender"))
    receiver = _named(widget, connection.findtext("receiver"))
    slot, signature = connection.findtext("slot") or "", connection.findtext("signal") or ""
    name = slot.partition("(")[0]
    method = getattr(receiver, name, None)
    if not callable(method):
        message = f".ui file: {type(receiver).__name__} has no slot {slot}"
        failures.record(message)
        raise RuntimeError(message)
    # PySide6 hides QWidget.setMRMLScene(vtkMRMLScene*) and the like behind Python objects, so the
    # call is direct.
    pythonqt.connect(sender, signature, method)
