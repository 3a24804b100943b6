"""What the host needs of the machine, and the environment variables that must be set before Qt and VTK are imported."""

from __future__ import annotations

import importlib.util
import os
import sys

SOURCE_VARIABLE = "SLICER_PYTHON_SOURCE"
PACKAGES = {"slicer": "slicer-core", "vtk": "vtk", "PySide6": "PySide6-Essentials"}


def missing() -> str:
    """Why the host cannot run here, in one line; "" if it can."""
    absent = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def noScreen() -> str:
    """Why no window can be shown here; "" if one can."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in variables):
        return "there is no screen; --screenshot draws the window without one"
    return ""


def prepare(onScreen: bool = False) -> None:
    """Choose offscreen Qt and VTK unless a screen is wanted. Raises ImportError if a package is missing.

    VTK always renders offscreen, because the views' pictures are copied into Qt widgets (``views``).
    """
    reason = missing()
    if reason:
        raise ImportError(f"the Slicer test host cannot run: {reason}")
    if not onScreen:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if sys.platform.startswith("linux"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


def slicerPythonFolder() -> str:
    """Folder of Slicer's own Python package in the checkout that SLICER_PYTHON_SOURCE names; "" without one.

    Raises FileNotFoundError if the variable is set but names something else.
    """
    checkout = os.environ.get(SOURCE_VARIABLE, "")
    if not checkout:
        return ""
    folder = os.path.join(checkout, "Base", "Python", "slicer")
    if not os.path.isfile(os.path.join(folder, "ScriptedLoadableModule.py")):
        raise FileNotFoundError(f"{SOURCE_VARIABLE}={checkout} is not a checkout of Slicer")
    return folder
