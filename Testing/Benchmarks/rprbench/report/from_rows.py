"""The measurements of a run, computed from its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ..core.store import Row
from ..experiments.statuses import NOT_MADE
from . import comparison_of_changes
from .comparison_of_changes import Change
from .measurements import AS_PAPER, OURS, OWN, PAPER, RUNS, TABLE1, TABLE2, TABLE3, Measurements
from .statistics import Difference, Paired, Summary, by_method, paired, summarize
from .trust import Trust, assess

_COMPARISON = "accuracy-"


class RowMeasurements(Measurements):
    """Figures computed from the rows of all experiments when they are first asked for.

    Attributes:
        rows: experiment -> its rows; see ``report.write_report``.
        methods: variant -> its rows. variants: experiment of the comparison -> its variants.
    """

    def __init__(self, rows: Mapping[str, Sequence[Row]], facts: Mapping[str, Any]) -> None:
        self.rows = {name: list(part) for name, part in rows.items()}
        # A run of nothing but cuts that were not made has no statuses to report on.
        made = [row for row in self.rows.get("statuses", []) if row["status"] != NOT_MADE]
        with_rows = {name for name, part in self.rows.items() if part}
        super().__init__(facts, with_rows if made else with_rows - {"statuses"})

        self.methods: dict[str, list[Row]] = {}
        self.variants: dict[str, list[str]] = {}
        for name, part in self.rows.items():
            if name.startswith(_COMPARISON):
                split = by_method(part)
                self.methods.update(split)
                self.variants[name] = list(split)
        self._summaries: dict[str, Summary] = {}
        self._pairs: dict[tuple[str, str, str], Paired | None] = {}

    def layout(self) -> dict[str, list[str]]:
        """Table -> its variants.

        Those that no table lists are added to Table 3, so none is lost.
        """
        rest = [name for name in self.variants if name not in (OWN, RUNS, AS_PAPER)]
        as_in_paper = (*PAPER, "coarse-k15", "ours-coarse", OURS)
        return {
            "table1": self._measured(TABLE1, [RUNS]),
            "table2": self._measured(TABLE2, [OWN]),
            "table3": self._measured(TABLE3, rest),
            "as-in-paper": self._measured(as_in_paper, []) if self.rows.get(AS_PAPER) else [],
        }

    def _measured(self, variants: Sequence[str], experiments: Iterable[str]) -> list[str]:
        """Those of ``variants`` that were measured, in this order; then others of experiments."""
        more = [v for name in experiments for v in self.variants.get(name, [])]
        return [v for v in dict.fromkeys((*variants, *more)) if v in self.methods]

    def has(self, variant: str) -> bool:
        """Whether a variant has rows."""
        return variant in self.methods

    def summary(self, variant: str) -> Summary:
        """Means of a variant that has rows."""
        if variant not in self._summaries:
            self._summaries[variant] = summarize(variant, self.methods[variant])
        return self._summaries[variant]

    def against(self, variant: str, other: str, metric: str) -> Paired | None:
        """Paired bootstrap of ``variant - other`` over the patients."""
        if variant not in self.methods or other not in self.methods:
            return None
        key = (variant, other, metric)
        if key not in self._pairs:
            self._pairs[key] = paired(self.methods[variant], self.methods[other], metric)
        return self._pairs[key]

    def series(self, experiment: str) -> list[Row]:
        """Rows of "speed", "sliding" or "cost"."""
        return self.rows.get(experiment, [])

    @cached_property
    def trust(self) -> Trust | None:
        """What the statuses are worth; cuts that were not made are only counted."""
        return assess(self.rows.get("statuses", []))

    def pools(self) -> dict[int, Summary]:
        """Number of pooled references -> means over the pools."""
        return comparison_of_changes.summarize_pools(self.rows.get("fewshot", []))

    def gain(self, references: int) -> Difference | None:
        """IoU with this many pooled references minus that with one."""
        return comparison_of_changes.gain_of_pooling(self.rows.get("fewshot", []), references)

    def changes(self) -> list[Change]:
        """Every change of the robustness experiment."""
        return self._changes

    @cached_property
    def _changes(self) -> list[Change]:
        unchanged = self.methods.get(OURS, [])
        return comparison_of_changes.compare_changes(self.rows.get("robustness", []), unchanged)
