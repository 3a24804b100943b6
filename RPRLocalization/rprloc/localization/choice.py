"""Several models for one question: each target's answer is that of the model that doubts least.

Models know different parts of the body. Which one knows the part that a target lies in shows on the
reference already, where the right answer is known, and in every query by the models' own doubt.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from ..image.resampling import IsotropicVolume
from ..image.volume import Volume
from .embedding import EmbeddedVolume
from .learning import Learned
from .locator import Locator
from .result import Result, is_surer
from .status import OK, STATUSES
from .template import Template

#: Of two models that are as sure, the one is asked that was better on the reference; another has
#: to be surer by so much (of its radius).
PREFERENCE = 0.9


@dataclass(frozen=True, eq=False)
class Searched:
    """A query as one model has embedded it, and what was sought (``template``, ``images``)."""

    locator: Locator
    embedding: EmbeddedVolume
    template: Template
    images: Mapping[str, IsotropicVolume]


@dataclass(frozen=True, eq=False)
class Located:
    """Results, one per target, and the seconds of every phase over all models that were asked.

    ``searched``: what each of these models has seen, for what is carried to the query after it.
    """

    results: list[Result]
    seconds: dict[str, float]
    searched: tuple[Searched, ...] = ()


class Searcher(Protocol):
    """One model that knows the targets."""

    @property
    def template(self) -> Template:
        """The targets as the model learned them."""

    def search(self, volume: Volume, template: Template) -> Located:
        """Locate the targets of a template, which may be some of ``self.template``'s."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One model in this process, and what it learned of the reference."""

    locator: Locator
    learned: Learned

    @property
    def template(self) -> Template:
        """The targets as the model learned them."""
        return self.learned.template

    def search(self, volume: Volume, template: Template) -> Located:
        """Embed the volume and locate the targets of a template in it."""
        embedding = self.locator.embed(volume)
        results = self.locator.locate(embedding, template)
        searched = Searched(self.locator, embedding, template, self.learned.images)
        return Located(results, embedding.seconds, (searched,))


S = TypeVar("S", bound=Searcher)


def by_reference(searchers: Sequence[S], reference: Volume) -> list[S]:
    """The models, first the one that finds the targets best on their own reference."""
    if len(searchers) < 2:
        return list(searchers)
    order = [(_doubt(one.search(reference, one.template)), n) for n, one in enumerate(searchers)]
    return [searchers[n] for _, n in sorted(order)]


def _doubt(located: Located) -> float:
    """Mean logarithm of the radius over the targets; one that is not ``ok`` counts e times."""
    return float(
        np.mean([math.log(r.radius_or_unknown) + STATUSES.index(r.status) for r in located.results])
    )


def locate_with_best(searchers: Sequence[Searcher], volume: Volume) -> Located:
    """Locate every target with the model that is surest of it.

    Later ones are asked for what the earlier ones doubt only. The results are in the order of the
    first one's template; their ``model`` says whose answer each is.
    """
    best: dict[str, Result] = {}
    seconds: Counter[str] = Counter()
    searched: list[Searched] = []
    for searcher in searchers:
        template = searcher.template
        wanted = tuple(t for t in template.targets if _is_open(best.get(t.name)))
        if not wanted:
            break
        located = searcher.search(volume, replace(template, targets=wanted))
        for result in located.results:
            known = best.get(result.target)
            if known is None or is_surer(result, known, PREFERENCE):
                best[result.target] = result
        seconds.update(located.seconds)
        searched += located.searched
    names = [t.name for t in searchers[0].template.targets]
    return Located([best[name] for name in names], dict(seconds), tuple(searched))


def _is_open(known: Result | None) -> bool:
    return known is None or known.status != OK
