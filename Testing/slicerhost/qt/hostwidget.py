"""Helpers for the widgets that the host writes in the place of C++ ones (ctk, qMRML).

These widgets connect lambdas, not their own methods: PySide6 makes a method of a QObject a slot of
its class, and loses it again when the class has properties that were declared in Python.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtWidgets

from .pythonqt import markAsCpp

CUSTOM_WIDGETS: dict[str, type] = {}


def custom(cls: type) -> type:
    """Class decorator: known to .ui files by its name, and C++ for module code."""
    CUSTOM_WIDGETS[cls.__name__] = cls
    return markAsCpp(cls)


def stored(
    kind: type | str, name: str, default: Any, changed: str = ""
) -> tuple[QtCore.Property, Callable[..., None]]:
    """A Qt property that is only a value, and its setter.

    changed: name of a method to call after a change.
    """
    key = f"_stored_{name}"

    def read(self: Any) -> Any:
        return self.__dict__.setdefault(key, copy.copy(default))

    def write(self: Any, value: Any) -> None:
        # PythonQt gives string lists as tuples
        self.__dict__[key] = tuple(value) if kind == "QStringList" else value
        if changed:
            getattr(self, changed)()

    return QtCore.Property(kind, read, write), write


def forwarded(
    kind: type | str, inner: str, name: str
) -> tuple[QtCore.Property, Callable[..., None]]:
    """A Qt property that belongs to an inner widget (the attribute ``inner``), and its setter."""

    def read(self: Any) -> Any:
        return getattr(getattr(self, inner), name)

    def write(self: Any, value: Any) -> None:
        setattr(getattr(self, inner), name, value)

    return QtCore.Property(kind, read, write), write


def row(parent: QtWidgets.QWidget, *widgets: QtWidgets.QWidget) -> None:
    """Lay widgets out in one row without margins."""
    layout = QtWidgets.QHBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
