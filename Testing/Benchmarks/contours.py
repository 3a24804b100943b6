"""The benchmark of contours: carried masks beside affine and B-spline registration.

    python3 Testing/Benchmarks/contours.py --data HAN_FOLDER --split test
    python3 Testing/Benchmarks/contours.py --sample-picture docs/benchmark/figures/contours.png

Sets up the private Python environment on the first call (standard library only until then). A run
that was stopped goes on where it was when it is started again with the same --out.
"""

from __future__ import annotations

import sys

from launcher import launch

if __name__ == "__main__":
    sys.exit(launch("contours", "rprcontours", __doc__))
