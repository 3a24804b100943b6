"""Is the answer to be believed? Cycle error, field of view, and the status that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.field import LatentField
from ..model.radius import RadiusSettings
from ..model.relative_offset import relative_offset
from ..model.settings import ConfidenceThresholds
from ..targets.target import Kind
from .estimate import Agreement, Estimate, StackedExamples
from .status import Status

#: An answer that may be farther off points at nothing. On ``val`` 3 of 409 answers of targets that
#: the scan shows had larger radii (59 mm off at least), and 11 of 12 of targets that it does not.
LOST_MM = 100.0


@dataclass(frozen=True)
class Verdict:
    """Status and, unless it is ``ok``, the reason in the user's words."""

    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Doubts:
    """What speaks against an answer.

    Attributes:
        kind: of the target.
        spread_mm: of the votes. cycle_mm: cycle-consistency error.
        similarity: of the matched descriptors, None without a fine network.
        missing: share of the target's surroundings that the scan does not show.
        beyond_mm: how far the farthest coarse point lies beyond the body.
        fine_shift_mm: how far the fine network moved the coarse answer, mean over the key points.
        apart_mm: how far the answers of the examples lie from their mean (root mean square).
        examples: how many there are.
        matched: how the matches of the points around the target fit each other, if there are any.
        unsteady_mm: how far apart searches from other starts end.
        likeness, common_mm: of the alignment of reference and query that the answer began with
            (``Overlap``); None where it began with votes.
        votes_apart_mm: then, how far off the votes have it.
    """

    kind: Kind
    spread_mm: float
    cycle_mm: float
    similarity: float | None
    missing: float
    beyond_mm: float
    fine_shift_mm: float
    apart_mm: float
    examples: int
    matched: Agreement | None = None
    unsteady_mm: float = 0.0
    likeness: float | None = None
    common_mm: float = 0.0
    votes_apart_mm: float = 0.0

    @classmethod
    def of(
        cls,
        kind: Kind,
        estimate: Estimate,
        cycle_mm: float,
        missing: float,
        bounds: tuple[Tensor, Tensor],
    ) -> Doubts:
        """Measure an estimate; bounds: lower and upper corner (3,) of the body."""
        coarse, each = estimate.coarse_points, estimate.each
        beyond = overshoot(coarse, bounds[0].to(coarse), bounds[1].to(coarse))
        shift = (estimate.points - coarse).norm(dim=1).mean()
        apart = (each - each.mean(0)).square().sum(-1).mean().sqrt()
        return cls(
            kind,
            estimate.spread_mm,
            cycle_mm,
            estimate.similarity,
            missing,
            *(float(beyond.max()), float(shift), float(apart), len(each)),
            estimate.matched,
            estimate.unsteady_mm,
        )

    def features(self) -> dict[str, float]:
        """What the radius is foretold from (``rprloc.model.radius.FEATURES``).

        Lengths count by their logarithm, and every feature grows with the doubt.
        """
        matched = self.matched
        return {
            "spread": math.log1p(self.spread_mm),
            "cycle": math.log1p(self.cycle_mm),
            "unlike": 0.0 if self.similarity is None else 1.0 - self.similarity,
            "missing": self.missing,
            "beyond": math.log1p(self.beyond_mm),
            "fine_shift": math.log1p(self.fine_shift_mm),
            "apart": math.log1p(self.apart_mm),
            "single": float(self.examples == 1),
            "landmark": float(self.kind == "landmark"),
            "unlikeness": 0.0 if self.likeness is None else 1.0 - self.likeness,
            "short": 0.0 if self.likeness is None else 100.0 / (100.0 + self.common_mm),
            "votes_apart": math.log1p(self.votes_apart_mm),
            "disagree": 0.0 if matched is None else math.log1p(matched.apart_mm),
            "vague": 0.0 if matched is None else math.log1p(matched.vague_mm),
            "unsteady": math.log1p(self.unsteady_mm),
            "unlike_around": 0.0 if matched is None else 1.0 - matched.similarity,
        }

    def settings(self, limits: ConfidenceThresholds) -> RadiusSettings | None:
        """What foretells the radius of answers that began as this one did."""
        return limits.radius if self.likeness is None else limits.aligned

    def radius_mm(self, limits: ConfidenceThresholds) -> float | None:
        """The radius that 90 % of such answers' errors stay below; None if the card has none."""
        settings = self.settings(limits)
        return None if settings is None else settings.radius_mm(self.features())


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
    doubts: Doubts,
    limits: ConfidenceThresholds,
) -> Verdict:
    """Judge a target by its coarse key points, the body's bounds, and the measures of doubt."""
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

    radius = doubts.radius_mm(limits)
    if radius is not None and radius > LOST_MM:
        return Verdict("outside", "nothing like the target was found in this volume")

    reason = _doubt(doubts, limits, radius)
    return Verdict("low-confidence", reason) if reason else Verdict("ok")


def with_note(verdict: Verdict, note: str) -> Verdict:
    """Put what is wrong with the whole CT before what is said of one target in it.

    With a note nothing is ``ok``; an empty one changes nothing.
    """
    if not note:
        return verdict
    reason = "; ".join(filter(None, (note, verdict.reason)))
    return Verdict("low-confidence" if verdict.status == "ok" else verdict.status, reason)


def _doubt(doubts: Doubts, limits: ConfidenceThresholds, radius: float | None) -> str:
    """Return why an answer is not to be trusted, the weightiest reason first; empty if it is."""
    similarity = doubts.similarity
    unlike = similarity is not None and similarity < limits.similarity
    settings = doubts.settings(limits)
    uncertain = settings is not None and (radius or 0.0) > settings.doubtful_mm
    # The votes say nothing of an answer that does not come from them.
    voted = doubts.likeness is None
    reasons = (
        (doubts.beyond_mm > limits.outside_mm, "the target is cut by the border of this volume"),
        (
            doubts.missing > limits.missing,
            "the scan ends close to the target: too little of its surroundings is there",
        ),
        (
            voted and doubts.cycle_mm > limits.cycle_mm,
            f"mapped back to the reference it misses the mark by {doubts.cycle_mm:.0f} mm",
        ),
        (unlike, "the anatomy found there does not look like that of the reference"),
        (
            voted and doubts.spread_mm > limits.spread_mm,
            f"the votes disagree (spread {doubts.spread_mm:.0f} mm)",
        ),
        (uncertain, f"it may be up to {radius or 0.0:.0f} mm off, by the signs of doubt together"),
    )
    return next((reason for doubtful, reason in reasons if doubtful), "")
