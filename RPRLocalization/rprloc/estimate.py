"""Where a template's target lies in a query: coarse consensus, descriptor match, and the agreement of many points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .field import LatentField
from .matching import MatchSettings, match_descriptors
from .template import TemplateTarget, key_points
from .votes import Consensus, dense_consensus

CONTEXT_BUDGET = 48
OWN_WEIGHT = 0.5
LANDMARK_OWN_WEIGHT = 0.75


@dataclass(frozen=True)
class Rows:
    """The points of one target's examples, stacked: example ``e`` has the rows of ``slices[e]``, key points first.

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
    """Located key points (K, 3) LPS mm, spread in mm, and the similarity of the descriptors (None without them)."""

    points: Tensor
    coarse_points: Tensor
    spread_mm: float
    similarity: float | None


def stack_rows(target: TemplateTarget, device: torch.device, with_context: bool = True) -> Rows:
    """Put a target's examples on the device; many examples bring fewer context points each."""
    keys = key_points(target.kind)
    context = max(3, CONTEXT_BUDGET // len(target.examples)) if with_context else 0
    parts, slices, start = [], [], 0
    for example in target.examples:
        stop = min(len(example.offsets), keys + context)
        parts.append((example, stop))
        slices.append(slice(start, start + stop))
        start += stop

    def gather(name: str) -> Tensor:
        return torch.cat([torch.as_tensor(getattr(e, name)[:n], dtype=torch.float32) for e, n in parts]).to(device)

    has_fine = all(e.fine is not None for e in target.examples)
    return Rows(keys, slices, gather("offsets"), gather("coarse"), gather("fine") if has_fine else None)


def coarse_estimates(
    field: LatentField, rows: list[Rows], range_mm: float, nearness: tuple[float, ...]
) -> list[Consensus]:
    """One consensus per target, of all its rows, from one batch of votes."""
    found = dense_consensus(field, torch.cat([r.coarse for r in rows]), range_mm, nearness)
    counts = [len(r.coarse) for r in rows]
    return [Consensus(p, s) for p, s in zip(found.position.split(counts), found.spread.split(counts), strict=True)]


def plain_estimate(rows: Rows, coarse: Consensus) -> Estimate:
    """The mean over the examples of the coarse positions of the key points."""
    points = rows.key_rows(coarse.position).mean(0)
    return Estimate(points, points, float(rows.key_rows(coarse.spread).mean()), None)


def fine_estimate(
    field: LatentField, rows: Rows, coarse: Consensus, settings: MatchSettings, own_weight: float
) -> Estimate:
    """Match the descriptors around the coarse positions, then let all points of the target agree on its place.

    The key points of all examples are matched together; every example's context points are matched on their own, and
    their robust mean displacement carries that example's key points along. ``own_weight`` is the share of the key
    points' own match in the result: an extreme point alone errs more than the organ as a whole.
    """
    plain = plain_estimate(rows, coarse)
    if rows.fine is None:
        return plain
    support = rows.key_rows(rows.fine[:, 3:]).transpose(0, 1)
    keys = match_descriptors(field, support, plain.points, settings)
    context = match_descriptors(field, rows.fine[:, None, 3:], coarse.position, settings)
    carried = torch.stack([_carried(rows.offsets[s], context.position[s], rows.keys) for s in rows.slices]).mean(0)
    points = own_weight * keys.position + (1.0 - own_weight) * carried
    return Estimate(points, plain.points, plain.spread_mm, float(keys.similarity.mean()))


def _carried(offsets: Tensor, located: Tensor, keys: int) -> Tensor:
    """Key points (keys, 3) moved by the robust mean displacement of all points (n, 3) of one example."""
    return offsets[:keys] + robust_mean(located - offsets)


def robust_mean(values: Tensor, rounds: int = 5) -> Tensor:
    """Tukey-weighted mean (3,) of (n, 3) vectors; outliers do not count."""
    weight = torch.ones(len(values), device=values.device)
    mean = values.median(dim=0).values
    for _ in range(rounds):
        error = (values - mean).norm(dim=1)
        limit = 4.685 * error.median().clamp_min(1.0)
        weight = (1.0 - (error / limit).clamp(max=1.0) ** 2) ** 2
        mean = (weight[:, None] * values).sum(0) / weight.sum()
    return mean
