"""What experiments that measure time and memory share.

They depend on the cases, the threads and the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.experiment import Experiment
from ..core.method import Context


class Measurement(Experiment):
    """Measured with one reference on some queries."""

    def __init__(self, context: Context, reference: str, queries: Sequence[str]) -> None:
        super().__init__(context)
        self.reference = reference
        self.queries = list(queries)

    def settings(self) -> dict[str, Any]:
        """Cases, threads and device."""
        return {
            "reference": self.reference,
            "queries": self.queries,
            "threads": self.context.threads,
            "device": self.context.device,
        }
