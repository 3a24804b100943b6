"""Time and memory of every method, each measured alone in a process of its own."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ..core.cohort import ORGANS
from ..core.method import Context, Method
from ..core.store import Row
from ..core.subprocesses import ask
from .measurement import Measurement

MEGABYTE = 2**20


class Speed(Measurement):
    """Units are variants.

    After one query that does not count, the median over the queries, reading not included.

    seconds_patient: all four organs of a query the method has not seen; seconds_organ: one organ of
        such a query;
    seconds_reference: once per reference. peak_mb: of the whole process, with its libraries.
    """

    name = "speed"
    title = "Times, each method alone"

    def __init__(
        self, context: Context, variants: dict[str, str], reference: str, queries: Sequence[str]
    ) -> None:
        super().__init__(context, reference, queries)
        self.variants = variants

    def units(self) -> Sequence[str]:
        """The variants that are timed."""
        return list(self.variants)

    def run(self, unit: str) -> list[Row]:
        """Time one variant in a process of its own."""
        request = {"variant": unit, "reference": self.reference, "queries": self.queries}
        return [
            {"method": unit, "title": self.variants[unit], **ask(self.context, "speed", request)}
        ]


def measure(method: Method, reference: str, queries: Sequence[str]) -> Row:
    """The row of one method, measured in this process."""
    cohort = method.context.cohort
    patients = [cohort.patient(name) for name in queries]
    marked = cohort.patient(reference)
    started = time.perf_counter()
    prepared = method.prepare(marked) if method.needs_reference else None
    seconds_reference = time.perf_counter() - started

    whole, single = [], []
    for number, patient in enumerate([patients[0], *patients]):
        whole.append(_timed(method, patient.volume, prepared, ORGANS))
        single.append(_timed(method, patient.volume, prepared, [ORGANS[number % len(ORGANS)]]))

    return {
        "seconds_patient": median(whole[1:]),
        "seconds_organ": median(single[1:]),
        "seconds_reference": seconds_reference,
        "peak_mb": peak_mb(),
        "queries": len(patients),
        "threads": method.context.threads,
        "device": method.context.device,
    }


def _timed(method: Method, volume: Any, prepared: Any, organs: Sequence[str]) -> float:
    started = time.perf_counter()
    method.find(method.encode(volume), prepared, organs)
    return time.perf_counter() - started


def peak_mb() -> float:
    """Largest resident memory of this process so far, MB.

    Linux counts what the parent held at the fork in ``ru_maxrss``; VmHWM begins anew with the
    program.
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    high_water = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    if high_water:
        return high_water[0] / MEGABYTE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak * (1 if sys.platform == "darwin" else 1024) / MEGABYTE)
