"""How a benchmark is started: in the private Python environment, which the first call sets up.

Standard library only, as nothing else is there before.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTING))

from environment import ROOT, EnvironmentSetupError, ensure  # noqa: E402

PACKAGES = ("RPRLocalization", "RPRTraining", "Testing", "Testing/Benchmarks")


def launch(name: str, package: str, description: str | None) -> int:
    """Run a benchmark with the arguments of this process.

    Args:
        name: of the benchmark, before its messages.
        package: that is run as a module.
        description: shown before the package's own help.

    Returns:
        Its exit code, 2 if there is no environment, 130 if it was interrupted.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(description)
    try:
        python = ensure(["bench", "picture"])
    except (EnvironmentSetupError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    path = os.pathsep.join(str(ROOT / folder) for folder in PACKAGES)
    command = [str(python), "-m", package, *sys.argv[1:]]
    try:
        return subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path, "MPLBACKEND": "Agg"}, check=False
        ).returncode
    except KeyboardInterrupt:
        print(f"{name}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
