"""What the host needs of the machine, and the variables that Qt and VTK read at their import."""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import sys

SOURCE_VARIABLE = "SLICER_PYTHON_SOURCE"
NO_MAIN_WINDOW_VARIABLE = "SLICERHOST_NO_MAIN_WINDOW"
PACKAGES = {"PySide6.QtWidgets": "PySide6-Essentials", "vtk": "vtk", "slicer": "slicer-core"}


@functools.cache
def missing() -> str:
    """Why the host cannot run here, in one line; "" if it can.

    The packages are imported, because what they need of the system may be missing too.
    """
    for module, package in PACKAGES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"{package} cannot be imported: {error}"
    return ""


def wantsMainWindow() -> bool:
    """False to be Slicer as ``--no-main-window`` starts it."""
    return not os.environ.get(NO_MAIN_WINDOW_VARIABLE)


def noScreen() -> str:
    """Why no window can be shown here; "" if one can."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in variables):
        return "there is no screen; --screenshot draws the window without one"
    return ""


def keepSingletons() -> None:
    """Keep Python alive before 3.12: PySide6 6.12 drops references to None, True and False.

    Its one build for all versions takes them for immortal, which is true only from 3.12 on; older
    Pythons end with "deallocating None" (or "True or False") after some ten thousand calls. A count
    that is never used up does no harm.
    """
    if sys.version_info < (3, 12):
        for singleton in (None, True, False):
            ctypes.c_ssize_t.from_address(id(singleton)).value += 1 << 40


def prepare(onScreen: bool = False) -> None:
    """Choose offscreen Qt and VTK unless a screen is wanted.

    Raises ImportError if a package is missing.

    VTK always renders offscreen, because the views' pictures are copied into Qt widgets
    (``views``).
    """
    keepSingletons()
    if not onScreen:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if sys.platform.startswith("linux"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    reason = missing()
    if reason:
        raise ImportError(f"the Slicer test host cannot run: {reason}")


def slicerPythonFolder() -> str:
    """Folder of Slicer's own Python package, in SLICER_PYTHON_SOURCE's checkout; "" without one.

    Raises FileNotFoundError if the variable is set but names something else.
    """
    checkout = os.environ.get(SOURCE_VARIABLE, "")
    if not checkout:
        return ""
    folder = os.path.join(checkout, "Base", "Python", "slicer")
    if not os.path.isfile(os.path.join(folder, "ScriptedLoadableModule.py")):
        raise FileNotFoundError(f"{SOURCE_VARIABLE}={checkout} is not a checkout of Slicer")
    return folder
