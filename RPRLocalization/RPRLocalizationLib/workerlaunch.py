"""How to start the worker: which Python, with which environment."""

import os
import shutil
import sys
from pathlib import Path

import qt

EXTENSION_FOLDER = Path(__file__).resolve().parent.parent


def pythonProgram():
    """Path of the Python that runs the worker: PythonSlicer in Slicer, else the running Python.

    Raises RuntimeError if there is none.
    """
    found = shutil.which("PythonSlicer")
    if found:
        return found
    running = Path(sys.executable or "")
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    for candidate in (running.with_name(name), running):
        if candidate.is_file() and candidate.stem.lower().startswith("python"):
            return str(candidate)
    raise RuntimeError("PythonSlicer was not found: install Slicer again")


def workerArguments(plugins=()):
    """Arguments of ``pythonProgram`` for a worker with these plug-in modules."""
    arguments = ["-m", "rprloc.worker"]
    for plugin in plugins:
        arguments += ["--plugin", plugin]
    return arguments


def workerEnvironment(folders=(EXTENSION_FOLDER,), variables=None):
    """This process's environment, with ``folders`` before the others on PYTHONPATH and ``variables`` set."""
    environment = qt.QProcessEnvironment.systemEnvironment()
    known = [folder for folder in environment.value("PYTHONPATH", "").split(os.pathsep) if folder]
    first = [str(folder) for folder in folders]
    environment.insert("PYTHONPATH", os.pathsep.join([*first, *(f for f in known if f not in first)]))
    for name, value in (variables or {}).items():
        environment.insert(name, value)
    return environment
