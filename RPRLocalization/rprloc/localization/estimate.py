"""Where a template's target lies in a query.

Coarse consensus, descriptor match, and the agreement of many points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from ..model.field import LatentField
from ..model.settings import MatchSettings, SearchSettings
from .matching import Match, match_descriptors
from .robust_affine import transform_points
from .template import TemplateTarget, key_points
from .voting import Consensus, dense_consensus

# An organ thinner than this is held to the identity as if it were this thick (robust_affine).
LEAST_EXTENT_MM = 5.0
# Of very many examples, each still brings so many points beside its key points.
LEAST_CONTEXT = 3


@dataclass(frozen=True)
class StackedExamples:
    """The points of one target's examples, stacked.

    Example ``e`` has the rows of ``slices[e]``, key points first.

    Attributes:
        offsets: (N, 3) mm from the target's centre. coarse: (N, 3). fine: (N, 3 + D) or None.
    """

    keys: int
    slices: list[slice]
    offsets: Tensor
    coarse: Tensor
    fine: Tensor | None

    def key_rows(self, values: Tensor) -> Tensor:
        """(N, ...) -> (E, keys, ...), the key points of every example."""
        return torch.stack([values[s][: self.keys] for s in self.slices])


@dataclass(frozen=True)
class Estimate:
    """Where a target lies.

    Attributes:
        points: (K, 3) LPS mm, the located key points. coarse_points: the same before the fine step.
        each: (E, K, 3) LPS mm, the key points as each example on its own would have them.
        spread_mm: of the votes. similarity: of the matched descriptors, None without them.
        matched: how the points around the target agree, None without a fine step.
        unsteady_mm: how far apart searches from other starts end (``restarts``), 0 without them.
    """

    points: Tensor
    coarse_points: Tensor
    each: Tensor
    spread_mm: float
    similarity: float | None
    matched: Agreement | None = None
    unsteady_mm: float = 0.0


@dataclass(frozen=True)
class Agreement:
    """How the matches of a target's points in the last round fit each other.

    Attributes:
        apart_mm: median distance of a match from where the agreed map has it.
        vague_mm: median spread of a match.
        similarity: mean over all points, those around the target too.
    """

    apart_mm: float
    vague_mm: float
    similarity: float


def stack_examples(
    target: TemplateTarget, device: torch.device, context_points: int
) -> StackedExamples:
    """Put a target's examples on the device; many examples bring fewer context points each."""
    keys = key_points(target.kind)
    stops = _kept([len(e.offsets) for e in target.examples], keys, context_points)
    parts = list(zip(target.examples, stops, strict=True))

    def gather(name: str) -> Tensor:
        return torch.cat(
            [torch.as_tensor(getattr(e, name)[:n], dtype=torch.float32) for e, n in parts]
        ).to(device)

    has_fine = all(e.fine is not None for e in target.examples)
    return StackedExamples(
        keys,
        _slices(stops),
        gather("offsets"),
        gather("coarse"),
        gather("fine") if has_fine else None,
    )


def fewer_points(rows: StackedExamples, context_points: int) -> tuple[StackedExamples, Tensor]:
    """The rows of so many context points over all examples, and which of ``rows`` they are."""
    assert rows.fine is not None
    stops = _kept([s.stop - s.start for s in rows.slices], rows.keys, context_points)
    kept = [
        n
        for s, stop in zip(rows.slices, stops, strict=True)
        for n in range(s.start, s.start + stop)
    ]
    index = torch.tensor(kept, device=rows.offsets.device)
    chosen = StackedExamples(
        rows.keys, _slices(stops), rows.offsets[index], rows.coarse[index], rows.fine[index]
    )
    return chosen, index


def _kept(lengths: Sequence[int], keys: int, context_points: int) -> list[int]:
    """How many points each example keeps: its key points, and its share of the context points."""
    context = max(LEAST_CONTEXT, context_points // len(lengths))
    return [min(length, keys + context) for length in lengths]


def _slices(lengths: Sequence[int]) -> list[slice]:
    """Where parts of these lengths lie one behind the other."""
    return [slice(stop - n, stop) for n, stop in zip(lengths, accumulate(lengths), strict=True)]


def coarse_estimates(
    field: LatentField,
    rows: list[StackedExamples],
    range_mm: float,
    bandwidths_mm: tuple[float, ...],
) -> list[Consensus]:
    """One consensus per target, of all its rows, from one batch of votes."""
    found = dense_consensus(field, torch.cat([r.coarse for r in rows]), range_mm, bandwidths_mm)

    counts = [len(r.coarse) for r in rows]
    return [
        Consensus(p, s)
        for p, s in zip(found.position.split(counts), found.spread.split(counts), strict=True)
    ]


def plain_estimate(rows: StackedExamples, coarse: Consensus) -> Estimate:
    """The mean over the examples of the coarse positions of the key points."""
    each = rows.key_rows(coarse.position)
    points = each.mean(0)
    return Estimate(points, points, each, float(rows.key_rows(coarse.spread).mean()), None)


def fine_estimate(
    field: LatentField,
    rows: StackedExamples,
    coarse: Consensus,
    search: SearchSettings,
    match_weight: float,
) -> Estimate:
    """Match descriptors around the coarse positions, then let the target's points agree.

    Every example's points are matched on their own, and a robust affine map of them says where they
    should have been found; the next round searches closer around these places. At the end the map
    carries the example's key points, and the mean over the examples is taken. ``match_weight`` is
    the share of the key points' own match in the result: an extreme point alone errs more than the
    organ and its surroundings as a whole.
    """
    plain = plain_estimate(rows, coarse)
    if rows.fine is None:
        return plain
    (found,) = searched(field, rows, coarse.position[None], search, match_weight)
    return replace(found, coarse_points=plain.points, spread_mm=plain.spread_mm)


def searched(
    field: LatentField,
    rows: StackedExamples,
    starts: Tensor,
    search: SearchSettings,
    match_weight: float,
) -> list[Estimate]:
    """The fine estimates of searches that begin at different places, all at once.

    Args:
        field: of the fine network.
        rows: points of the examples, with fine latents.
        starts: (S, N, 3) LPS mm, of every search, all of these points.
        search: as for ``fine_estimate``.
        match_weight: as for ``fine_estimate``.
    """
    assert rows.fine is not None
    support, position = rows.fine[:, 3:], starts
    agreements: list[Agreement] = []
    for settings in search.matches:
        found = _matched(field, support[:, None], position, settings)
        parts = [
            _carried(rows.offsets[s], found.position[:, s], found.spread[:, s], rows.keys, search)
            for s in rows.slices
        ]
        position = torch.cat(parts, 1)
        agreements = _agreements(found, position)

    # (S, E, K, 3): the key points of every search as every example has them.
    each = torch.stack([position[:, s][:, : rows.keys] for s in rows.slices], 1)
    wanted = rows.key_rows(support).transpose(0, 1)
    keys = _matched(field, wanted, each.mean(1), search.matches[-1])
    points = match_weight * keys.position + (1.0 - match_weight) * each.mean(1)
    likeness = keys.similarity.mean(1).tolist()
    return [
        Estimate(p, p, e, 0.0, similarity, agreement)
        for p, e, similarity, agreement in zip(points, each, likeness, agreements, strict=True)
    ]


def _matched(
    field: LatentField, support: Tensor, position: Tensor, settings: MatchSettings
) -> Match:
    """Match the same descriptors (N, E, D) around the positions (S, N, 3) of every search."""
    count = len(position)
    found = match_descriptors(field, support.repeat(count, 1, 1), position.reshape(-1, 3), settings)
    return Match(
        found.position.view(position.shape),
        found.spread.view(count, -1),
        found.similarity.view(count, -1),
    )


def _agreements(found: Match, agreed: Tensor) -> list[Agreement]:
    """Compare the matches of every search with where their agreed map has them, (S, N, 3)."""
    apart = (found.position - agreed).norm(dim=-1).median(1).values
    vague = found.spread.median(1).values
    measures = torch.stack([apart, vague, found.similarity.mean(1)], 1)
    return [Agreement(*values) for values in measures.tolist()]


def _carried(
    offsets: Tensor, located: Tensor, spread: Tensor, keys: int, search: SearchSettings
) -> Tensor:
    """All points (S, n, 3) of one example moved by their agreed map, in every search.

    Sharp matches and near points count more.
    """
    extent = offsets[:keys].abs().amax(0).clamp_min(LEAST_EXTENT_MM)
    beyond = (offsets.abs() - extent).clamp_min(0.0).norm(dim=1)
    weight = torch.exp(-0.5 * (beyond / search.neighbourhood_mm) ** 2) / (
        spread.square() + search.match_noise_mm**2
    )
    return transform_points(offsets, offsets, located, weight, extent, search.ridge)
