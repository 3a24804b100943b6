"""The self-check of a model, without labels: are body points carried well and steadily?

* Cycle error: a point of CT A is marked as a landmark and located in CT B, as a user would do it;
  what is located there is marked and located in A again. How far from its start does it end? Points
  that B does not show are not counted.
* Repeatability: the landmark is located in two altered copies of B (other ends cut off, other noise
  and gray values); how far apart are the answers?

Both can be small in a model that is steadily wrong, so they say "no" more surely than "yes".
Annotations say more: see ``rprtrain.check.annotated``. On the altered copies, confidence thresholds
for the model's card are proposed too: see ``rprtrain.check.right_answers``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rprloc.errors import InputError
from rprloc.geometry import FloatArray, Points
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.locator import Locator, Options
from rprloc.localization.result import Result
from rprloc.model.loading import ModelPair

from ..data.sources import ImageSource
from ..random_stream import RandomStream
from .checked_ct import CheckedCt, shown_by_all
from .right_answers import RIGHT_MM, Proposal, propose, right_answers

# More CTs and points hardly change the medians, and every CT takes as long as a localization.
MOST_CTS, LEAST_CTS = 8, 2
POINTS = 12
# Of each kind of error, in the JSON object.
MOST_ERRORS = 500
# Median cycle errors below which a model is good, or usable: about the size of a small organ.
GOOD_MM, USABLE_MM = RIGHT_MM, 15.0
CYCLE, REPEATABILITY = "cycle error", "repeatability"


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        name, unit: what was measured.
        mean, median, p95: statistics; None without values.
        n: how many values.
    """

    name: str
    unit: str
    mean: float | None
    median: float | None
    p95: float | None
    n: int

    @classmethod
    def of(cls, name: str, unit: str, values: Sequence[float]) -> Measure:
        """Statistics of the values."""
        if not len(values):
            return cls(name, unit, None, None, None, 0)
        figures = (np.mean(values), np.median(values), np.percentile(values, 95))
        mean, median, p95 = (round(float(n), 2) for n in figures)
        return cls(name, unit, mean, median, p95, len(values))


@dataclass
class Report:
    """What a check found.

    Attributes:
        rows: the table.
        volumes, pairs: how many CTs, and ordered pairs of them.
        errors: all errors in mm by the row's name, for a picture.
        left_out: why CTs were not used, one line each.
        proposal: confidence thresholds for the model's card.
    """

    rows: list[Measure]
    volumes: int
    pairs: int
    errors: dict[str, list[float]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    proposal: Proposal = field(default_factory=Proposal)

    @property
    def verdict(self) -> str:
        """One line for people."""
        cycle = next((row for row in self.rows if row.name == CYCLE), None)
        if cycle is None or cycle.median is None:
            return (
                "No point of one CT was found in another: do they show the same part of the body?"
            )
        if cycle.median < GOOD_MM:
            return "Good: most points come back to where they started."
        if cycle.median < USABLE_MM:
            return (
                "Usable: most points come back near to where they started;"
                " longer training or more CTs may help."
            )
        return (
            "Poor: most points do not come back to where they started;"
            " train longer, or with more CTs."
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object; of each kind of error at most ``MOST_ERRORS``, evenly spread."""
        rows = [asdict(row) for row in self.rows]
        counts = {"volumes": self.volumes, "pairs": self.pairs, "left_out": self.left_out}
        errors = {name: thinned(values) for name, values in self.errors.items()}
        thresholds = self.proposal.thresholds
        proposed = {
            "thresholds": None if thresholds is None else thresholds.to_json(),
            "thresholds_problem": self.proposal.problem,
        }
        return {"rows": rows, **counts, "errors": errors, "verdict": self.verdict, **proposed}


def thinned(values: Sequence[float]) -> list[float]:
    """At most ``MOST_ERRORS`` of the values, sorted, to 0.1, with the same distribution."""
    ordered = np.sort(np.asarray(values, dtype=float))
    if len(ordered) > MOST_ERRORS:
        ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_ERRORS).round().astype(int)]
    return [round(float(value), 1) for value in ordered]


Progress = Callable[[int, int, str], None]


def check_model(
    model: ModelPair,
    sources: Sequence[ImageSource],
    progress: Progress = lambda done, total, text: None,
    seed: int = 0,
) -> Report:
    """Measure cycle error and repeatability between each CT and the next; see the module.

    Args:
        model: what is checked.
        sources: CTs, best such that the training has not seen; at most ``MOST_CTS`` are used,
            evenly chosen.
        progress: gets (done, total, text) before each part.
        seed: of the points and the noise.

    Raises:
        InputError: if fewer than two CTs can be used.
    """
    chosen = _evenly(sources)
    total = 2 * len(chosen)
    locator = Locator(model, Options() if model.fine is not None else Options(steps="coarse3"))
    cts, left_out = [], []
    for number, source in enumerate(chosen):
        progress(number, total, f"reading {source.name}")
        try:
            cts.append(CheckedCt.of(source.read(), locator))
        except InputError as error:
            left_out.append(f"{source.name}: {error}")
    if len(cts) < LEAST_CTS:
        raise InputError(f"{len(cts)} usable CTs: at least {LEAST_CTS} are needed for a check")

    errors: dict[str, list[float]] = {CYCLE: [], REPEATABILITY: []}
    answers: list[Result] = []
    pairs = _pairs(len(cts))
    for number, (a, b) in enumerate(pairs):
        done = len(chosen) + number * len(chosen) // len(pairs)
        progress(done, total, f"comparing pair {number + 1} of {len(pairs)}")
        rng = RandomStream("check", seed, number)
        points = cts[a].body_points(POINTS, rng)
        located = _located(cts[a], points, cts[b].embedding, locator)
        errors[CYCLE] += _cycle(cts[a], cts[b], points, located, locator)

        copies = cts[b].altered_copies(locator, rng)
        errors[REPEATABILITY] += _repeated(cts[a], copies, points, located, locator)
        answers += right_answers(cts[b], copies, locator, RandomStream("answers", seed, number))

    rows = [Measure.of(name, "mm", values) for name, values in errors.items()]
    proposal = propose(answers, len(cts), locator.confidence)
    return Report(rows, len(cts), len(pairs), errors, left_out, proposal)


def _evenly(sources: Sequence[ImageSource]) -> list[ImageSource]:
    """At most ``MOST_CTS`` of the sources, evenly chosen."""
    if not sources:
        return []
    numbers = np.linspace(0, len(sources) - 1, MOST_CTS).astype(int)
    return [sources[n] for n in np.unique(numbers)]


def _pairs(count: int) -> list[tuple[int, int]]:
    """Each with the next, the last with the first."""
    return [(n, (n + 1) % count) for n in range(count)]


def _located(
    source: CheckedCt, points: FloatArray, target: EmbeddedVolume, locator: Locator
) -> FloatArray:
    """Where points (n, 3) of one CT are in another, (n, 3) LPS mm; NaN where it lacks them."""
    results = source.locate(points, target, locator)
    if not results:
        return np.empty((0, 3))
    missing = np.full(3, np.nan)
    return np.stack([r.center if r.found and r.center is not None else missing for r in results])


def _cycle(
    a: CheckedCt, b: CheckedCt, points: FloatArray, located: FloatArray, locator: Locator
) -> list[float]:
    """Distances in mm from points (n, 3) of A, located in B, to where these are located in A."""
    inside = b.embedding.geometry.contains(Points(np.nan_to_num(located)))
    usable = ~np.isnan(located).any(1) & inside
    back = _located(b, located[usable], a.embedding, locator)
    return _numbers(np.linalg.norm(back - points[usable], axis=1))


def _repeated(
    a: CheckedCt,
    copies: list[EmbeddedVolume],
    points: FloatArray,
    located: FloatArray,
    locator: Locator,
) -> list[float]:
    """Distances in mm between the answers in two copies of B, of points that both show well.

    Beyond their ends, the answers are guesses.
    """
    if not copies:
        return []
    shown = shown_by_all(located, copies)
    first, second = (_located(a, points[shown], copy, locator) for copy in copies)
    return _numbers(np.linalg.norm(first - second, axis=1))


def _numbers(values: FloatArray) -> list[float]:
    return [float(value) for value in values if not np.isnan(value)]
