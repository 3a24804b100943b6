"""The benchmark: every method on the same references, patients and organs.

Tables, figures and one report.

    python3 Testing/Benchmarks/benchmark.py --data HAN_FOLDER            everything (two hours on
    two cores) python3 Testing/Benchmarks/benchmark.py --data HAN_FOLDER --quick    the least that
    touches everything (minutes) python3 Testing/Benchmarks/benchmark.py --list
    the experiments

Sets up the private Python environment on the first call (standard library only until then). A run
that was stopped goes on where it was when it is started again with the same --out.
"""

from __future__ import annotations

import sys

from launcher import launch

if __name__ == "__main__":
    sys.exit(launch("benchmark", "rprbench", __doc__))
