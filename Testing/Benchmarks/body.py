"""The benchmark on CTs of the whole body: landmarks and organ boxes from one reference.

    python3 Testing/Benchmarks/body.py --data BODY_FOLDER --baselines --cuts

Sets up the private Python environment on the first call (standard library only until then). A run
that was stopped goes on where it was when it is started again with the same --out.
"""

from __future__ import annotations

import sys

from launcher import launch

if __name__ == "__main__":
    sys.exit(launch("body", "rprbody", __doc__))
