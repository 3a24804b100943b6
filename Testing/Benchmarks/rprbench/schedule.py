"""The experiments of a run, in the order in which they are run.

Quick answers first, long ones last.
"""

from __future__ import annotations

from collections.abc import Sequence

from rprloc.errors import InputError

from .core.experiment import Experiment
from .core.method import Context
from .experiments.comparison import Comparison
from .experiments.few_shot import FewShot
from .experiments.robustness import Robustness
from .experiments.scaling import Cost
from .experiments.sliding_speed import SlidingTime
from .experiments.speed import Speed
from .experiments.statuses import Statuses
from .methods.registry import METHODS, TIMED, titles

TIMED_QUERIES = 4
QUICK_TIMED = ("ours-fine", "gs-ncc")
STATUS_REFERENCES = 3
ROBUSTNESS_REFERENCES = 2


def experiments(
    context: Context, references: Sequence[str], queries: Sequence[str]
) -> list[Experiment]:
    """All experiments; raises InputError if there are no references or no queries."""
    if not references or not queries:
        raise InputError(
            "the benchmark needs at least one reference with all organs in val, and one query"
        )
    comparisons = [Comparison(make(context), references, queries) for make in METHODS]
    own = [
        FewShot(context, queries),
        Statuses(context, references[:STATUS_REFERENCES], queries),
        Robustness(context, references[:ROBUSTNESS_REFERENCES], queries),
    ]
    return [*comparisons, *own, *timings(context, references[0], queries)]


def timings(context: Context, reference: str, queries: Sequence[str]) -> list[Experiment]:
    """What is measured in seconds: last, when nothing else runs."""
    known = titles(context)
    wanted = QUICK_TIMED if context.quick else tuple(TIMED)
    few = queries[: 1 if context.quick else TIMED_QUERIES]
    return [
        Speed(context, {variant: known[variant] for variant in wanted}, reference, few),
        SlidingTime(context, reference=reference, queries=few[:3]),
        Cost(context, reference, queries),
    ]
