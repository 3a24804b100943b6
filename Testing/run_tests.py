"""Run all checks that this machine can run: format, lint, types, tests.

    python3 Testing/run_tests.py                      everything
    python3 Testing/run_tests.py Testing/unit -k cli  further arguments go to pytest

Sets up a private Python environment on the first call (standard library only until then).
``--here`` uses the running Python instead. Tests that cannot run are listed with the reason. At
most two threads are used.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from environment import ROOT, EnvironmentSetupError, ensure

MOST_THREADS = 2
CHECKS = {
    "format": ["-m", "ruff", "format", "--check", "."],
    "lint": ["-m", "ruff", "check", "."],
    "types": ["-m", "mypy"],
    "tests": ["-m", "pytest"],
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run every check, also after one has failed.

    Returns 0 if all passed, 1 if one failed, 2 without an environment, 130 if interrupted.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--here", action="store_true", help="use this Python, with what is installed in it"
    )
    args, for_pytest = parser.parse_known_args(argv)
    try:
        python = (
            Path(sys.executable)
            if args.here
            else ensure(["picture", "bench", "cohort", "dicom", "dev"])
        )
        outcomes = {
            name: run(name, [str(python), *command, *(for_pytest if name == "tests" else [])])
            for name, command in CHECKS.items()
        }
    except (EnvironmentSetupError, OSError) as error:
        print(f"run_tests: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("run_tests: interrupted", file=sys.stderr)
        return 130
    print(f"\n{', '.join(f'{name} {outcome}' for name, outcome in outcomes.items())}")
    return 0 if set(outcomes.values()) == {"passed"} else 1


def run(name: str, command: list[str]) -> str:
    """Run one check in the checkout: ``passed`` or ``FAILED``."""
    print(f"\n{name}: {' '.join(command[1:])}", flush=True)
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env=check_variables(), check=False).returncode
    outcome = "passed" if code == 0 else "FAILED"
    print(f"{name} {outcome} in {time.monotonic() - started:.0f} s", flush=True)
    return outcome


def check_variables() -> dict[str, str]:
    """The environment of the checks: few threads, no display, the packages of this checkout."""
    threads = str(min(MOST_THREADS, os.cpu_count() or 1))
    variables = {"MPLBACKEND": "Agg", "PYTHONPATH": os.pathsep.join(python_path())}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        asked = os.environ.get(name, "")
        variables[name] = asked if asked.isdecimal() and int(asked) < int(threads) else threads
    return {**os.environ, **variables}


def python_path() -> list[str]:
    """Folders of the packages, so that ``--here`` works without installing them."""
    own = [str(ROOT / "RPRLocalization"), str(ROOT / "RPRTraining")]
    users = os.environ.get("PYTHONPATH")
    return [*own, users] if users else own


if __name__ == "__main__":
    sys.exit(main())
