"""What the report asks of a run: means, differences, times and trust, by variant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from ..core.store import Row
from ..methods.ours import RUN_TITLES
from .comparison_of_changes import Change
from .formatting import without_paths
from .statistics import Difference, Paired, Summary
from .trust import Trust

OURS = "ours-fine"
TABLE1 = tuple(RUN_TITLES)
TABLE2 = ("ours-coarse", "ours-coarse2", "ours-coarse3", OURS)
TABLE3 = (
    OURS,
    "gs-mse",
    "gs-cosine",
    "gs-ncc",
    "fm-mse",
    "fm-cosine",
    "affine",
    "bspline",
    "proportional",
    "detector",
)
PAPER = ("paper-positions", "paper-latent")
RUNS, OWN, AS_PAPER = "accuracy-runs", "accuracy-ours", "accuracy-paper"
OTHERS = (
    "accuracy-gray",
    "accuracy-feature",
    "accuracy-registration",
    "accuracy-proportional",
    "accuracy-detector",
)
BASE = {"table1": "coarse-all", "table2": OURS, "table3": OURS, "as-in-paper": OURS}
"""Table -> the variant that the others in it are compared with."""
STARTS = (
    ("coarse-k1", "diagonal-k1"),
    ("coarse-k15", "diagonal-k15"),
    ("coarse-all", "diagonal-all"),
    ("coarse-k15", "coarse-k1"),
    ("coarse-all", "coarse-k15"),
    ("coarse-all", "coarse-k20"),
)
"""Extreme against diagonal points, and all cells against K starts: (first, second) of Table 1."""
EXPERIMENTS = (
    OWN,
    RUNS,
    AS_PAPER,
    *OTHERS,
    "speed",
    "sliding",
    "statuses",
    "robustness",
    "fewshot",
    "cost",
)
METRICS = ("iou", "awd_mm")


class Measurements(ABC):
    """All figures of a run, computed from its rows or read from its ``results.json``.

    Attributes:
        facts: see ``report.write_report``, without paths of the machine.
        experiments: names of those that have rows.
    """

    def __init__(self, facts: Mapping[str, Any], experiments: Iterable[str]) -> None:
        self.facts: dict[str, Any] = without_paths(dict(facts))
        self.experiments = frozenset(experiments)

    @abstractmethod
    def layout(self) -> dict[str, list[str]]:
        """Table of the report (see ``BASE``) -> the variants in it, of those that were measured."""

    @abstractmethod
    def has(self, variant: str) -> bool:
        """Whether a variant was measured."""

    @abstractmethod
    def summary(self, variant: str) -> Summary:
        """Means of a variant that was measured."""

    @abstractmethod
    def against(self, variant: str, other: str, metric: str) -> Paired | None:
        """``variant - other``; None if one was not measured or nothing is common."""

    @abstractmethod
    def series(self, experiment: str) -> list[Row]:
        """Rows of "speed", "sliding" or "cost", which are figures as they are; empty if not run."""

    @property
    @abstractmethod
    def trust(self) -> Trust | None:
        """What the statuses are worth; None if they were not run."""

    @abstractmethod
    def pools(self) -> dict[int, Summary]:
        """Number of pooled references -> means, with the pools in the place of the references."""

    @abstractmethod
    def gain(self, references: int) -> Difference | None:
        """IoU with this many pooled references minus that with one."""

    @abstractmethod
    def changes(self) -> list[Change]:
        """Every change of the robustness experiment, in the order of its rows."""

    def missing(self, experiments: Iterable[str]) -> list[str]:
        """Those that have no rows."""
        return [name for name in experiments if name not in self.experiments]

    def title(self, variant: str) -> str:
        """How a variant is called in tables."""
        return str(self.facts.get("titles", {}).get(variant, variant))

    def rivals(self) -> list[str]:
        """Variants that ours is compared with: all of Table 3, and the method as in the paper."""
        own = {OURS, *TABLE1, *TABLE2}
        layout = self.layout()
        return [v for v in (*layout["table3"], *layout["as-in-paper"]) if v not in own]

    def speed(self, variant: str) -> Row:
        """Times of a variant, on the CPU if it was measured there; empty if it was not."""
        timed = [row for row in self.series("speed") if row["method"] == variant]
        on_cpu = [row for row in timed if str(row.get("device", "cpu")).startswith("cpu")]
        return next(iter(on_cpu or timed), {})
