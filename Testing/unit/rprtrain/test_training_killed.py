"""SIGKILL at random moments: at most the steps since the last checkpoint are lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import SUPPORT

PROGRAM = SUPPORT / "trainings" / "killable_training.py"
KILLS = 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_ten_kills_lose_nothing_that_was_saved(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), str(KILLS)],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        check=False,
    )
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == KILLS, done.stderr
    latest = 0
    for one in rounds:
        assert one["found"] >= max(one["saved"], latest), "a saved step was lost"
        assert one["noted"] <= one["found"]
        assert one["found"] <= max(one["step"], latest) + 1
        assert not one["locked"] and one["state"] in (None, "interrupted")
        latest = one["found"]
    assert latest > 0
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".run.json.")}
    assert left <= {"coarse.ckpt", "coarse.ckpt.tmp", "run.json", "run.lock"}
