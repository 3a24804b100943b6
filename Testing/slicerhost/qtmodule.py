"""The modules ``qt`` and ``ctk`` that module code imports."""

from __future__ import annotations

import sys
import types
from typing import Any

from PySide6 import QtCore

from .qt import dialogs, pythonqt
from .qt.hostwidget import CUSTOM_WIDGETS


def install(answers: dialogs.Dialogs) -> types.ModuleType:
    """Make ``import qt`` work; returns the module. ``installWidgets`` adds the custom widgets."""
    names = pythonqt.dress()
    dialogs.install(answers)
    qt = types.ModuleType("qt", "Qt as PythonQt shows it (the test host's)")
    vars(qt).update(names)
    qt.QSettings = QtCore.QSettings
    sys.modules["qt"] = qt
    return qt


def installWidgets(slicerModule: Any) -> None:
    """Make ``import ctk`` work and put the qMRML and qSlicer widgets into ``slicer``."""
    from .ctk import (
        buttons,  # noqa: F401
        numbers,  # noqa: F401
        paths,  # noqa: F401
    )
    from .qmrml import base  # noqa: F401
    from .qt import uiloader

    ctk = types.ModuleType("ctk", "The ctk widgets of the test host")
    for name, cls in CUSTOM_WIDGETS.items():
        setattr(ctk if name.startswith("ctk") else slicerModule, name, cls)
    sys.modules["ctk"] = ctk
    sys.modules["qt"].QUiLoader = uiloader.QUiLoader  # type: ignore[attr-defined]
