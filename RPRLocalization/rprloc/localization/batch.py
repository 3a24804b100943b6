"""Many queries in a row: unique names, and a query that cannot be used costs its own rows only."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RprLocError, explain_unexpected, one_line
from ..files import safe_names
from ..formats.reading import stem_of
from ..image.resampling import IsotropicVolume
from ..image.volume import Volume, read_volume
from ..targets.placement import LeftOut
from .choice import Candidate, Located, locate_with_best
from .learning import Learned
from .result import Result, with_notes
from .status import FAILED

if TYPE_CHECKING:
    from .locator import Locator
    from .template import Template

PHASES = ("read", "resample", "embed", "locate", "contours")


@dataclass(frozen=True, eq=False)
class LocalizationTask:
    """What is sought, and with what.

    Attributes:
        locator, template: the model, and the targets as it learned them.
        left_out: marked, but of no use.
        images: CTs of references that are at hand (``Learned``).
        others: other models that learned the same targets, asked where the first one doubts.
    """

    locator: Locator
    template: Template
    left_out: tuple[LeftOut, ...] = ()
    others: tuple[Candidate, ...] = ()
    images: Mapping[str, IsotropicVolume] = field(default_factory=dict)

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> LocalizationTask:
        """The task of what one or several models learned of a reference, the best one first."""
        first = candidates[0]
        learned = first.learned
        others = tuple(candidates[1:])
        return cls(first.locator, learned.template, learned.left_out, others, learned.images)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All models with what they learned, the first one first."""
        learned = Learned(self.template, self.left_out, self.images)
        return (Candidate(self.locator, learned), *self.others)


@dataclass(frozen=True, eq=False)
class QueryResult:
    """The answer for one query.

    results: one per target of the template, in its order. seconds: wall clock per phase
    (``PHASES``), ``after_read`` and ``total``; empty if the query failed. problem: why it failed,
    in one line, else empty.
    volume: the CT, None if the query failed. located: what the models have seen of it, None too.
    """

    name: str
    path: Path
    results: list[Result]
    seconds: dict[str, float]
    problem: str = ""
    volume: Volume | None = None
    located: Located | None = None


def query_names(paths: Sequence[Path]) -> list[str]:
    """A file-name-safe name for each query, all different: its stem.

    Where two share it, ``folder_stem``.
    """
    stems = [stem_of(path) for path in paths]
    shared = {
        stem for stem, count in Counter(stem.casefold() for stem in stems).items() if count > 1
    }

    pairs = zip(paths, stems, strict=True)
    names = [
        f"{_parent(path)}_{stem}" if stem.casefold() in shared else stem for path, stem in pairs
    ]
    return safe_names(names)


def locate_query(search: LocalizationTask, path: Path, name: str) -> QueryResult:
    """Read one query and locate every target of the template in it.

    A failure becomes rows with the reason.

    Results carry ``name`` as their query. KeyboardInterrupt is the only exception let through.
    """
    notes: tuple[str, ...] = ()
    try:
        started = time.perf_counter()
        volume = replace(read_volume(path), name=name)
        notes = volume.notes
        read = time.perf_counter()
        located = locate_with_best(search.candidates, volume)
        results = located.results + left_out_results(search.left_out, name)
        total = time.perf_counter() - started
    except Exception as error:
        problem = with_notes(describe(error), notes)
        failed = failed_results(search.template, name, problem)
        failed += left_out_results(search.left_out, name)
        return QueryResult(name, path, failed, {}, problem)
    spent = read - started

    seconds = {"read": spent, **located.seconds, "after_read": total - spent, "total": total}
    return QueryResult(name, path, results, seconds, "", volume, located)


def failed_results(template: Template, query: str, reason: str) -> list[Result]:
    """One ``failed`` result per target of the template."""
    return [
        Result(query, target.name, target.kind, "failed", reason) for target in template.targets
    ]


def left_out_results(left_out: Sequence[LeftOut], query: str) -> list[Result]:
    """One ``failed`` result per target that could not be learned, so that none disappears."""
    return [
        Result(query, t.name, t.kind, FAILED, f"as marked on the reference it {t.reason}")
        for t in left_out
    ]


def describe(error: BaseException) -> str:
    """Return one line for the user about any exception."""
    return one_line(error) if isinstance(error, RprLocError) else explain_unexpected(error)


def _parent(path: Path) -> str:
    return path.resolve().parent.name or "root"
