"""Is the answer to be believed? Cycle error, field of view, and the status that follows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.field import LatentField
from ..model.relative_offset import relative_offset
from ..model.settings import ConfidenceThresholds
from .estimate import StackedExamples
from .status import Status


@dataclass(frozen=True)
class Verdict:
    """Status and, unless it is ``ok``, the reason in the user's words."""

    status: Status
    reason: str = ""


def cycle_consistency_error(
    query: LatentField,
    each: Tensor,
    rows: StackedExamples,
    range_mm: float,
    bandwidth_mm: float,
) -> float:
    """Return how far in mm a located point, mapped back to its reference, misses its mark.

    The way back needs no image: the points of the template's examples vote (Eq. 2) for the latent
    found in the query. Of several examples the median counts, so that one odd reference does not
    spoil the others.

    Args:
        query: coarse field of the query.
        each: (E, K, 3) LPS mm, the located key points of every example.
        rows: the examples' points and latents.
        range_mm: ``r`` of Eq. 2.
        bandwidth_mm: standard deviation of the weights of the voting points.
    """
    errors = []
    for part, located in zip(rows.slices, each, strict=True):
        latents = query.at(located)[:, :3]
        offsets, support = rows.offsets[part], rows.coarse[part]
        voted = offsets[None] + relative_offset(latents[:, None], support[None], range_mm)

        marked = offsets[: rows.keys]
        distance = (offsets[None] - marked[:, None]).square().sum(-1)
        weight = torch.softmax(-0.5 * distance / bandwidth_mm**2, dim=1)

        back = (weight[..., None] * voted).sum(1)
        errors.append((back - marked).norm(dim=1).mean())
    return float(torch.stack(errors).median())


def missing_surroundings(offsets: Tensor, centre: Tensor, bounds: tuple[Tensor, Tensor]) -> float:
    """Share of a target's points that the scan does not show.

    They lay in tissue around the target on its references.

    Args:
        offsets: (N, 3) mm from the target's centre on the references.
        centre: (3,) LPS mm where it was located.
        bounds: lower and upper corner (3,) of the scan.
    """
    points = offsets + centre.to(offsets)
    return float(
        (overshoot(points, bounds[0].to(points), bounds[1].to(points)) > 0.0).float().mean()
    )


def overshoot(points: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """(K,) mm by which points (K, 3) lie beyond the box ``lower``..``upper``; 0 inside."""
    return torch.maximum(lower - points, points - upper).clamp_min(0.0).amax(-1)


def judge(
    coarse_points: Tensor,
    bounds: tuple[Tensor, Tensor],
    cycle_mm: float,
    spread_mm: float,
    similarity: float | None,
    missing: float,
    limits: ConfidenceThresholds,
) -> Verdict:
    """Judge a target by its coarse key points, the body's bounds, and four measures of doubt."""
    beyond = overshoot(coarse_points, bounds[0].to(coarse_points), bounds[1].to(coarse_points))
    centre = overshoot(
        coarse_points.mean(0, keepdim=True),
        bounds[0].to(coarse_points),
        bounds[1].to(coarse_points),
    )
    # Half of the points beyond the body: what is left of the target is not worth showing.
    mostly_beyond = float((beyond > limits.outside_mm).float().mean()) >= 0.5
    if float(centre.max()) > 0.0 or mostly_beyond:
        return Verdict("outside", "the target lies outside the field of view of this volume")

    reason = _doubt(float(beyond.max()), cycle_mm, spread_mm, similarity, missing, limits)
    return Verdict("low-confidence", reason) if reason else Verdict("ok")


def with_note(verdict: Verdict, note: str) -> Verdict:
    """Put what is wrong with the whole CT before what is said of one target in it.

    With a note nothing is ``ok``; an empty one changes nothing.
    """
    if not note:
        return verdict
    reason = "; ".join(filter(None, (note, verdict.reason)))
    return Verdict("low-confidence" if verdict.status == "ok" else verdict.status, reason)


def _doubt(
    beyond_mm: float,
    cycle_mm: float,
    spread_mm: float,
    similarity: float | None,
    missing: float,
    limits: ConfidenceThresholds,
) -> str:
    """Return why an answer is not to be trusted, the weightiest reason first; empty if it is."""
    unlike = similarity is not None and similarity < limits.similarity
    doubts = (
        (beyond_mm > limits.outside_mm, "the target is cut by the border of this volume"),
        (
            missing > limits.missing,
            "the scan ends close to the target: too little of its surroundings is there",
        ),
        (
            cycle_mm > limits.cycle_mm,
            f"mapped back to the reference it misses the mark by {cycle_mm:.0f} mm",
        ),
        (unlike, "the anatomy found there does not look like that of the reference"),
        (spread_mm > limits.spread_mm, f"the votes disagree (spread {spread_mm:.0f} mm)"),
    )
    return next((reason for doubtful, reason in doubts if doubtful), "")
