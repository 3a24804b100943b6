"""The self-check of a model, without labels: how well body points are carried between CTs, and how steadily.

* Cycle error: a point of CT A is marked as a landmark and located in CT B, as a user would do it;
  what is found there is marked and located in A again. How far from its start does it end? Points
  that B does not show are not counted.
* Repeatability: the landmark is located in two altered copies of B (other ends cut off, other noise
  and gray values); how far apart are the answers?

Both can be small in a model that is steadily wrong, so they say "no" more surely than "yes".
Annotations say more: see ``rprtrain.check.annotated``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from rprloc.errors import InputError
from rprloc.geometry import FloatArray, Geometry, Points
from rprloc.image.hounsfield import HU_MAX, HU_MIN
from rprloc.image.volume import Volume
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.example import ReferenceFields
from rprloc.localization.locator import Locator, Options
from rprloc.model.loading import ModelPair
from rprloc.targets.target import target_from_point

from ..data.sources import ImageSource
from ..random_stream import RandomStream

MOST_CTS = 8
POINTS = 12
INSIDE_MM, SHOWN_MM = 12.0, 30.0
CUT_SHARE = 0.12
MOST_ERRORS = 500
GOOD_MM, USABLE_MM = 8.0, 15.0
CYCLE, REPEATABILITY = "cycle error", "repeatability"


@dataclass(frozen=True)
class Measure:
    """A row of the table: statistics of ``n`` values in ``unit``; None without any."""

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
    """Of a check: the rows, how many CTs and ordered pairs of them, and all errors in mm by row name for a picture."""

    rows: list[Measure]
    volumes: int
    pairs: int
    errors: dict[str, list[float]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

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
            return "Usable: most points come back near to where they started; longer training or more CTs may help."
        return "Poor: most points do not come back to where they started; train longer, or with more CTs."

    def to_json(self) -> dict[str, Any]:
        """A JSON object; of the errors, at most ``MOST_ERRORS`` of each kind, sorted and evenly spread."""
        rows = [asdict(row) for row in self.rows]
        counts = {"volumes": self.volumes, "pairs": self.pairs, "left_out": self.left_out}
        errors = {name: thinned(values) for name, values in self.errors.items()}
        return {"rows": rows, **counts, "errors": errors, "verdict": self.verdict}


def thinned(values: Sequence[float]) -> list[float]:
    """At most ``MOST_ERRORS`` of the values, sorted, to 0.1, with the same distribution."""
    ordered = np.sort(np.asarray(values, dtype=float))
    if len(ordered) > MOST_ERRORS:
        ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_ERRORS).round().astype(int)]
    return [round(float(value), 1) for value in ordered]


@dataclass(frozen=True)
class _Seen:
    """A CT as the model sees it."""

    volume: Volume
    embedding: EmbeddedVolume
    fields: ReferenceFields


Progress = Callable[[int, int, str], None]


def check_model(
    model: ModelPair,
    sources: Sequence[ImageSource],
    progress: Progress = lambda done, total, text: None,
    seed: int = 0,
) -> Report:
    """Measure cycle error and repeatability between each CT and the next; see the module.

    At most ``MOST_CTS`` are used, evenly chosen. ``progress`` gets (done, total, text) before each
    part. Raises InputError if fewer than two CTs can be used.
    """
    chosen = (
        [sources[n] for n in np.unique(np.linspace(0, len(sources) - 1, MOST_CTS).astype(int))]
        if sources
        else []
    )
    total = 2 * len(chosen)
    locator = Locator(model, Options() if model.fine is not None else Options(steps="coarse3"))
    seen, left_out = [], []
    for number, source in enumerate(chosen):
        progress(number, total, f"reading {source.name}")
        try:
            seen.append(_look(source.read(), locator))
        except InputError as error:
            left_out.append(f"{source.name}: {error}")
    if len(seen) < 2:
        raise InputError(f"{len(seen)} usable CTs: at least 2 are needed for a check")
    errors: dict[str, list[float]] = {CYCLE: [], REPEATABILITY: []}
    pairs = _pairs(len(seen))
    for number, (a, b) in enumerate(pairs):
        progress(
            len(chosen) + number * len(chosen) // len(pairs),
            total,
            f"comparing pair {number + 1} of {len(pairs)}",
        )
        rng = RandomStream("check", seed, number)
        points = _body_points(seen[a], rng)
        there = _located(seen[a], points, seen[b].embedding, locator)
        errors[CYCLE] += _cycle(seen[a], seen[b], points, there, locator)
        errors[REPEATABILITY] += _repeated(seen[a], seen[b].volume, points, there, locator, rng)
    rows = [Measure.of(name, "mm", values) for name, values in errors.items()]
    return Report(rows, len(seen), len(pairs), errors, left_out)


def _pairs(count: int) -> list[tuple[int, int]]:
    """Each with the next, the last with the first."""
    return [(n, (n + 1) % count) for n in range(count)]


def _look(volume: Volume, locator: Locator) -> _Seen:
    embedding = locator.embed(volume)
    with torch.inference_mode():
        return _Seen(volume, embedding, ReferenceFields.of(embedding))


def _body_points(seen: _Seen, rng: RandomStream) -> FloatArray:
    """(n, 3) LPS mm: centres of cells of the coarse field that hold tissue, away from the ends of the CT."""
    cells = seen.embedding.coarse.body_cells()[0].cpu().numpy().astype(np.float64)
    lower, upper = (bound.numpy() for bound in seen.embedding.body_bounds())
    deep = cells[((cells > lower + INSIDE_MM) & (cells < upper - INSIDE_MM)).all(-1)]
    chosen: FloatArray = deep[rng.choose(len(deep), POINTS).numpy()]
    return chosen


def _located(
    source: _Seen, points: FloatArray, target: EmbeddedVolume, locator: Locator
) -> FloatArray:
    """Where landmarks (n, 3) of one CT are found in another, (n, 3) LPS mm; NaN where they are not."""
    if not len(points):
        return np.empty((0, 3))
    marked = [target_from_point(f"{n}", Points(point[None])) for n, point in enumerate(points)]
    template = locator.make_template(source.embedding, marked, source.fields)
    results = locator.locate(target, template)
    missing = np.full(3, np.nan)
    return np.stack([r.center if r.found and r.center is not None else missing for r in results])


def _cycle(
    a: _Seen, b: _Seen, points: FloatArray, there: FloatArray, locator: Locator
) -> list[float]:
    usable = ~np.isnan(there).any(1) & b.embedding.geometry.contains(Points(np.nan_to_num(there)))
    back = _located(b, there[usable], a.embedding, locator)
    return _known(np.linalg.norm(back - points[usable], axis=1))


def _repeated(
    a: _Seen,
    volume: Volume,
    points: FloatArray,
    there: FloatArray,
    locator: Locator,
    rng: RandomStream,
) -> list[float]:
    """Only for points that both copies show well: beyond their ends, the answers are guesses."""
    altered = [_altered(volume, end, rng) for end in (0, 1)]
    bounds = [copy.geometry.bounds() for copy in altered]
    low, high = (
        max(b.lower[2] for b in bounds) + SHOWN_MM,
        min(b.upper[2] for b in bounds) - SHOWN_MM,
    )
    shown = (there[:, 2] > low) & (there[:, 2] < high)
    try:
        found = [_located(a, points[shown], locator.embed(copy), locator) for copy in altered]
    except InputError:
        return []
    return _known(np.linalg.norm(found[0] - found[1], axis=1))


def _known(values: FloatArray) -> list[float]:
    return [float(value) for value in values if not np.isnan(value)]


def _altered(volume: Volume, end: int, rng: RandomStream) -> Volume:
    """A copy with one end cut off along the axis nearest to the patient's, other gray values and other noise."""
    geometry = volume.geometry
    axis = int(np.abs(geometry.direction[2]).argmax())
    count = geometry.size[axis]
    cut = min(round(CUT_SHARE * count), count - 2)
    start = cut if end == 0 else 0
    kept = np.take(volume.array, range(start, start + count - cut), axis=2 - axis).astype(
        np.float32
    )
    noise = rng.normal(*kept.shape).numpy() * 15.0
    gain = 0.95 if end == 0 else 1.05
    hu = np.where(kept > -900, (kept + 1000.0) * gain - 1000.0 + noise, kept)
    size = list(geometry.size)
    size[axis] = count - cut
    origin = geometry.origin + geometry.direction[:, axis] * geometry.spacing[axis] * start
    lattice = Geometry((size[0], size[1], size[2]), geometry.spacing, origin, geometry.direction)
    return Volume(np.clip(np.rint(hu), HU_MIN, HU_MAX).astype(np.int16), lattice, volume.name)
