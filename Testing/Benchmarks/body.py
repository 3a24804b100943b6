"""The benchmark on CTs of the whole body: landmarks and organ boxes from one reference.

    python3 Testing/Benchmarks/body.py --data BODY_FOLDER --baselines --cuts

Sets up the private Python environment on the first call (standard library only until then). A run
that was stopped goes on where it was when it is started again with the same --out.
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


def main() -> int:
    """Run the benchmark in the private environment.

    Returns its exit code, or 2 if there is none.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
    try:
        python = ensure(["bench", "picture"])
    except (EnvironmentSetupError, OSError) as error:
        print(f"body: {error}", file=sys.stderr)
        return 2
    path = os.pathsep.join(str(ROOT / name) for name in PACKAGES)
    command = [str(python), "-m", "rprbody", *sys.argv[1:]]
    try:
        return subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path, "MPLBACKEND": "Agg"}, check=False
        ).returncode
    except KeyboardInterrupt:
        print("body: stopped; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
