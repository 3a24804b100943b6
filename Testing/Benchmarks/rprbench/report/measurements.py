"""Everything that a run has measured, by variant: rows, summaries, titles, times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.store import Row
from ..experiments.statuses import NOT_MADE
from ..methods.ours import RUN_TITLES
from . import trust
from .formatting import without_paths
from .statistics import Paired, Summary, by_method, paired, summarize

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
SUPERVISED = ("detector",)
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


class Measured:
    """The rows of all experiments, with titles and means looked up by variant.

    not_made: case -> rows of cuts that would have left too little of a patient; ``rows`` leaves
        them out.
    methods: variant -> its rows. experiments: experiment of the comparison -> its variants. facts:
    see ``report.write_report``, without paths of the machine.
    """

    def __init__(self, results: Mapping[str, Sequence[Row]], facts: Mapping[str, Any]) -> None:
        self.facts: dict[str, Any] = without_paths(dict(facts))
        self.results = {name: list(rows) for name, rows in results.items()}
        cut = self.results.get("statuses", [])
        self.not_made = {
            c: sum(r["case"] == c for r in cut if r["status"] == NOT_MADE) for c in trust.CASES
        }
        self.not_made = {case: n for case, n in self.not_made.items() if n}
        self.results["statuses"] = [row for row in cut if row["status"] != NOT_MADE]
        self.methods: dict[str, list[Row]] = {}
        self.experiments: dict[str, list[str]] = {}
        for name, rows in self.results.items():
            if name.startswith("accuracy-"):
                split = by_method(rows)
                self.methods.update(split)
                self.experiments[name] = list(split)
        self._summaries: dict[str, Summary] = {}
        self._pairs: dict[tuple[str, str, str], Paired | None] = {}

    def rows(self, experiment: str) -> list[Row]:
        """Rows of an experiment, empty if it was not run."""
        return self.results.get(experiment, [])

    def missing(self, experiments: Iterable[str]) -> list[str]:
        """Those that have no rows."""
        return [name for name in experiments if not self.rows(name)]

    def title(self, variant: str) -> str:
        """How a variant is called in tables."""
        return str(self.facts.get("titles", {}).get(variant, variant))

    def variants(self, wanted: Sequence[str], experiments: Iterable[str] = ()) -> list[str]:
        """Those wanted that were measured, in this order; then others of the experiments, so that none is lost."""
        more = [
            v for name in experiments for v in self.experiments.get(name, []) if v not in wanted
        ]
        return [v for v in dict.fromkeys((*wanted, *more)) if v in self.methods]

    def layout(self) -> dict[str, list[str]]:
        """Table of the report -> the variants in it, of those that were measured."""
        rest = [name for name in self.experiments if name not in (OWN, RUNS, AS_PAPER)]
        return {
            "table1": self.variants(TABLE1, [RUNS]),
            "table2": self.variants(TABLE2, [OWN]),
            "table3": self.variants(TABLE3, rest),
            "as-in-paper": self.variants((*PAPER, "coarse-k15", "ours-coarse", OURS))
            if self.rows(AS_PAPER)
            else [],
        }

    def summary(self, variant: str) -> Summary:
        """Means of a variant that was measured."""
        if variant not in self._summaries:
            self._summaries[variant] = summarize(variant, self.methods[variant])
        return self._summaries[variant]

    def against(self, variant: str, other: str, metric: str) -> Paired | None:
        """``variant - other``; None if one was not measured or nothing is common."""
        if variant not in self.methods or other not in self.methods:
            return None
        key = (variant, other, metric)
        if key not in self._pairs:
            self._pairs[key] = paired(self.methods[variant], self.methods[other], metric)
        return self._pairs[key]

    def speed(self, variant: str) -> Row:
        """Times of a variant, on the CPU if it was measured there; empty if it was not."""
        found = [row for row in self.rows("speed") if row["method"] == variant]
        on_cpu = [row for row in found if str(row.get("device", "cpu")).startswith("cpu")]
        return next(iter(on_cpu or found), {})

    def plain_window(self, variant: str) -> Row:
        """Times of the plain sliding window; empty if they were not measured."""
        return next((row for row in self.rows("sliding") if row["method"] == variant), {})
