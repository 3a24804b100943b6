"""What a method of the comparison is.

It sees marked references once, a query's CT once, and answers with boxes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rprloc.geometry import Box
from rprloc.image.volume import Volume

from .cohort import Cohort, Patient


@dataclass(frozen=True)
class Context:
    """Of one run of the benchmark.

    Attributes:
        out: folder of rows, artefacts and report. quick: the smallest run that touches everything.
        threads: of the CPU. device: "cpu" or "cuda". report: prints one line of progress.
    """

    cohort: Cohort
    out: Path
    quick: bool = False
    threads: int = 2
    device: str = "cpu"
    report: Callable[[str], None] = print


@dataclass(frozen=True, eq=False)
class Detection:
    """Where a method says that an organ is (LPS mm); ``box`` None where it found nothing."""

    box: Box | None
    status: str = ""
    spread_mm: float | None = None
    cycle_mm: float | None = None


Answers = dict[str, dict[str, Detection]]


class Method(ABC):
    """One row of a table, or a few that share most of their work.

    ``variants`` are their ids and titles in the tables.

    The work is cut in three, so that each part is done once: ``prepare`` per reference, ``encode``
    per query, ``find`` per pair. ``find`` must be a function of what the first two returned.
    """

    name: ClassVar[str]
    needs_reference: ClassVar[bool] = True

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    @abstractmethod
    def variants(self) -> dict[str, str]:
        """Ids, unique over all methods, and titles."""

    def settings(self) -> dict[str, Any]:
        """What the answers depend on (JSON); finished rows with other settings are made again."""
        return {}

    def train(self) -> None:  # noqa: B027 (most learn nothing)
        """Make what must be learnt before the first query, into ``context.out``.

        Returns at once if it is there.

        Must go on from its last checkpoint after a kill.
        """

    def limit_references(self, names: Sequence[str]) -> list[str]:
        """The references used, of those of the comparison: all, unless the method is too slow."""
        return list(names)

    @abstractmethod
    def prepare(self, reference: Patient) -> Any:
        """Everything that depends on the reference alone (its organs are marked)."""

    @abstractmethod
    def encode(self, query: Volume) -> Any:
        """Everything that depends on the query alone."""

    @abstractmethod
    def find(self, encoded: Any, prepared: Any, organs: Sequence[str]) -> Answers:
        """Variant -> organ -> where it is.

        ``prepared`` is None for methods that need no reference.
        """
