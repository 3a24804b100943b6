"""Whether views can be rendered on this machine."""

from __future__ import annotations

import functools
import subprocess
import sys

# VTK ends the process where it finds no OpenGL, so a process of its own tries.
_RENDERING = """
from vtkmodules import vtkRenderingOpenGL2, vtkRenderingCore
window = vtkRenderingCore.vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetSize(8, 8)
window.Render()
raise SystemExit(0 if window.SupportsOpenGL() else 1)
"""
_TRIAL_S = 120


class RenderingUnavailable(Exception):
    """This machine cannot render offscreen; all that needs no picture works."""


@functools.cache
def checkRendering() -> None:
    """Raise RenderingUnavailable if views cannot be rendered here."""
    command = [sys.executable, "-c", _RENDERING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TRIAL_S, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise RenderingUnavailable(
            f"VTK cannot render here (Linux: libEGL and a driver such as Mesa): {lines[-1][:200]}"
        )
