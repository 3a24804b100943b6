"""The process that measures one thing and ends: started by ``subprocesses.ask``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from ..core.cohort import Cohort
from ..core.method import Context
from ..methods.registry import TIMED
from .scaling import measure_cost
from .speed import measure


def main() -> int:
    """Read a request from standard input, print the answer as the last line."""
    message = json.loads(sys.stdin.read())
    context = context_of(message["context"])
    print(json.dumps(answer(context, message["what"], message["request"])))
    return 0


def context_of(described: dict[str, Any]) -> Context:
    """Inverse of ``subprocesses.described``; lines of progress go to standard error."""
    torch.set_num_threads(described["threads"])
    return Context(
        cohort=Cohort(Path(described["data"])),
        out=Path(described["out"]),
        quick=described["quick"],
        threads=described["threads"],
        device=described["device"],
        report=lambda line: print(line, file=sys.stderr),
    )


def answer(context: Context, what: str, request: dict[str, Any]) -> dict[str, Any]:
    """What was asked for: the time of a method, or one point of a cost curve."""
    if what == "speed":
        method = TIMED[request["variant"]](context)
        method.train()
        return measure(method, request["reference"], request["queries"])
    return measure_cost(context, **request)


if __name__ == "__main__":
    sys.exit(main())
