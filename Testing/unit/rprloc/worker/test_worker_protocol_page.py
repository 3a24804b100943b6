"""docs/worker-protocol.md keeps up with the worker, and its examples run."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from support.paths import ROOT
from support.workers import PATIENCE_S, RecordedJob

from rprloc.worker.job import Registry
from rprloc.worker.methods import PROTOCOL, register
from rprloc.worker.shutdown import Shutdown
from rprtrain.worker import plugin

PAGE = (ROOT / "docs" / "worker-protocol.md").read_text(encoding="utf-8")


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_method_has_its_section() -> None:
    registry = Registry()
    register(registry, Shutdown())
    plugin.register(registry)
    assert set(re.findall(r"^### ([a-z.]+)$", PAGE, re.MULTILINE)) == {
        *registry.names(),
        "cancel",
        "action",
    }
    assert f"version {PROTOCOL}\n" in PAGE


def test_the_plug_in_example_runs() -> None:
    registry, names = Registry(), {}
    exec(python_blocks()[0], names)
    names["register"](registry)
    job = RecordedJob(total=3)
    assert registry.find("count")(job) == {"counted": 3}
    assert [event["done"] for event in job.of_kind("progress")] == [0, 1, 2]


def test_the_client_example_runs() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            python_blocks()[1].replace("print(event)", "print(json.dumps(event))"),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "result" and last["default"] in [
        model["title"] for model in last["models"]
    ]
