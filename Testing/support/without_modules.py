"""Code in a Python of its own that lacks modules, as Slicer's lacks torch at first."""

from __future__ import annotations

import subprocess
import sys

from support.paths import ROOT


def run_without(modules: tuple[str, ...], code: str) -> str:
    """What the code prints; raises CalledProcessError if it needs one of the modules."""
    lacking = "".join(f"sys.modules[{name!r}] = None\n" for name in modules)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{lacking}{code}"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "RPRLocalization")},
    )
    return done.stdout.strip()
