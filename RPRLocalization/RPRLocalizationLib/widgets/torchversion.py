"""Which PyTorch is installed, and which one this computer can have; torch is not imported here.

Importing it takes seconds and would load into the application what only the worker process needs.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import sys
from pathlib import Path

import numpy as np
from slicer.i18n import tr as _

#: The engine's own tests pass with it; it is the last one for macOS on Intel (and Rosetta).
OLDEST = (2, 2)
REQUIREMENT = f">={OLDEST[0]}.{OLDEST[1]}"
#: Earlier ones were built for NumPy 1, and cannot exchange arrays with NumPy 2.
FIRST_WITH_NUMPY_2 = (2, 3)


def installedVersion() -> str:
    """Version of the PyTorch that can be imported; empty if there is none, or not a whole one."""
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec("torch")
    except ValueError:
        # Something has put a module without a specification in its place.
        return ""
    # What an uninstallation left over is a folder without code: Python takes it for a package.
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return ""
    return _statedIn(Path(spec.origin).parent / "version.py")


def whyUnfit(version: str) -> str:
    """Why an installed PyTorch cannot be used, for the user; empty if it can."""
    if _numbers(version) < OLDEST:
        text = _("PyTorch {version} is installed, but {oldest} or later is needed.")
        return text.format(version=version, oldest=".".join(map(str, OLDEST)))
    if _hasNumpy2() and _numbers(version) < FIRST_WITH_NUMPY_2:
        text = _("PyTorch {version} is installed, but it does not work with NumPy {numpy}.")
        return text.format(version=version, numpy=np.__version__)
    return ""


def whyUnserved() -> str:
    """Why no fitting PyTorch exists for this computer, before any download; empty if one does.

    The last PyTorch for macOS on Intel, which is what Slicer's packages for macOS are, is 2.2.
    """
    isIntelMac = sys.platform == "darwin" and platform.machine() == "x86_64"
    if not (isIntelMac and _hasNumpy2()):
        return ""
    return _(
        "There is no PyTorch for this Slicer: it runs as an Intel application on macOS, whose last"
        " PyTorch (2.2) does not work with the NumPy {numpy} of this Slicer.\n\nUse Slicer on"
        " Windows or Linux, or RPRLoc's command line in a Python of your own."
    ).format(numpy=np.__version__)


def _hasNumpy2() -> bool:
    return _numbers(np.__version__) >= (2, 0)


def _statedIn(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
    return found.group(1) if found else ""


def _numbers(version: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` -> (2, 13)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
