"""``python -m slicerhost MODULE``: open a module's panel with real views, without Slicer.

With ``--screenshot`` nothing is shown: the window is drawn offscreen, saved as a picture, and the
program ends.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from pathlib import Path

from . import environment, start


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m slicerhost", description=__doc__)
    parser.add_argument(
        "modules",
        nargs="+",
        metavar="MODULE",
        help="RPRLocalization, RPRTraining, or a module's .py file",
    )
    parser.add_argument(
        "--volume", action="append", default=[], type=Path, help="a volume to load; can be repeated"
    )
    parser.add_argument(
        "--script", type=Path, help="a Python file to run then; it finds the window as `window`"
    )
    parser.add_argument("--screenshot", type=Path, help="save a picture of the window and end")
    parser.add_argument(
        "--size", default="1400x900", help="width and height of the window (default: %(default)s)"
    )
    parser.add_argument("--render", action="store_true", help="show the last volume in the 3D view")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    onScreen = options.screenshot is None
    problem = environment.missing() or (environment.noScreen() if onScreen else "")
    if problem:
        print(f"slicerhost: {problem}", file=sys.stderr)
        return 2
    host = start(onScreen)
    host.dialogs.interactive = onScreen
    from .application.window import Window

    for name in options.modules:
        host.modules.load(str(host.findModule(name)))
    width, height = (int(part) for part in options.size.split("x"))
    window = Window(host, (width, height))
    import slicer

    slicer.app.startupCompleted.emit()
    host.selectModule(host.findModule(options.modules[0]).stem)
    volumes = [window.addVolume(path) for path in options.volume]
    if options.render and volumes:
        window.renderVolume(volumes[-1])
    if options.script:
        runpy.run_path(str(options.script), {"window": window, "host": host}, run_name="__main__")
    if onScreen:
        return int(host.application.exec())
    window.screenshot(options.screenshot)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Qt, VTK and Python disagree about who destroys what last; nothing is left to be saved.
    os._exit(code)
