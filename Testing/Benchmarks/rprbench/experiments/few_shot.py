"""Few-shot: what a template gains from more references than one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from rprloc.localization.template import Template

from ..core.cohort import ORGANS
from ..core.experiment import Experiment
from ..core.method import Context
from ..core.store import Row
from ..methods.engine import OneShot
from ..methods.ours import asked_for, detection_of
from .comparison import score

Pool = tuple[str, ...]

POOLS = {1: 13, 3: 5, 5: 5, 10: 3}
QUICK_POOLS = {1: 1, 2: 1}


class FewShot(Experiment):
    """Units are queries; a row is one organ, located with the pooled template of some references.

    The references are all of ``val`` with complete organs unless others are given. Pools that hold
    the query itself are left out, so that no patient is sought with its own marks.
    """

    name = "fewshot"
    title = "Few-shot: 1, 3, 5 and 10 pooled references"

    def __init__(
        self,
        context: Context,
        queries: Sequence[str],
        references: Sequence[str] | None = None,
        model: Path | None = None,
    ) -> None:
        super().__init__(context)
        self.method = OneShot(context, model)
        self.queries = list(queries)
        drawn_from = context.cohort.references() if references is None else list(references)
        self.pools = pools(drawn_from, QUICK_POOLS if context.quick else POOLS)
        self._templates: dict[Pool, Template] = {}

    def settings(self) -> dict[str, Any]:
        """The model, the organs, and which references each pool holds."""
        pooled = {str(count): [list(pool) for pool in drawn] for count, drawn in self.pools.items()}
        return {"model": self.method.identity, "organs": list(ORGANS), "pools": pooled}

    def units(self) -> Sequence[str]:
        """The queries."""
        return self.queries

    def run(self, unit: str) -> list[Row]:
        """Locate all complete organs of one query with every pool."""
        query = self.context.cohort.patient(unit)
        organs = [organ for organ in ORGANS if organ in query.organs]
        encoded = self.method.embed(query.volume)

        rows: list[Row] = []
        for count, drawn in self.pools.items():
            for index, pool in enumerate(drawn):
                if unit in pool or not organs:
                    continue
                for result in self.method.locator.locate(
                    encoded, asked_for(self._template(pool), organs)
                ):
                    row = score(
                        f"ours-{count}", "+".join(pool), query, result.target, detection_of(result)
                    )
                    rows.append({**row, "references": count, "pool": index})

        return rows

    def _template(self, pool: Pool) -> Template:
        if pool not in self._templates:
            self._templates[pool] = reduce(
                Template.merged, [self.method.template(name) for name in pool]
            )
        return self._templates[pool]


def pools(
    references: Sequence[str], pools_per_size: dict[int, int], seed: int = 0
) -> dict[int, list[Pool]]:
    """Size -> that many different pools, fewer if there are not as many.

    Sizes beyond the references are left out.

    The references are shuffled once per size and dealt out in turn, so that each is in about as
    many pools as any
    other: the sizes then differ in the number of references and not in which references were drawn.
    """
    pools_of: dict[int, list[Pool]] = {}
    for size, count in pools_per_size.items():
        if size > len(references):
            continue
        order = np.random.default_rng([seed, size]).permutation(len(references))
        dealt = [order[(np.arange(size) + n * size) % len(order)] for n in range(count)]
        names = [tuple(references[i] for i in sorted(hand)) for hand in dealt]
        pools_of[size] = list(dict.fromkeys(names))
    return pools_of
