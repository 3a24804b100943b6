"""Where the control points of a reference lie in a query, and the dense map through them.

Every point is sought by its descriptor, closer in each round; in between, a smooth field through
all of them takes back what single points got wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..localization.matching import match_descriptors
from ..localization.robust_affine import tukey_weights
from ..localization.voting import dense_consensus
from ..model.field import LatentField
from ..model.settings import MatchSettings, SearchSettings
from .control_points import STEP_MM, ControlPoints
from .displacement import DisplacementField, lattice
from .moving_least_squares import Neighbourhood, moving_affine

#: Per round: how far is searched, the prior around the last estimate, and the field's smoothness,
#: which grows where the points lie farther apart than ``STEP_MM``.
ROUNDS_MM = ((30.0, 15.0, 30.0), (20.0, 8.0, 20.0), (15.0, 6.0, 14.0), (12.0, 5.0, 10.0))
#: Votes are coarse: their field is as smooth.
VOTES_SMOOTH_MM = 40.0
#: Rounds of reweighting after every match.
ROBUST_ROUNDS = 2
#: Smoothness and nodes of the dense map.
MAP_SMOOTH_MM = 8.0
MAP_STEP_MM = 10.0
MAP_MARGIN_MM = 25.0


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Pairs of places.

    Attributes:
        reference: (N, 3) LPS mm, in the reference. query: (N, 3) LPS mm, in the query.
        weight: (N,) how far each is trusted.
        similarity: (N,) of the descriptors.
        step_mm: distance of neighbouring points in the reference.
    """

    reference: Tensor
    query: Tensor
    weight: Tensor
    similarity: Tensor
    step_mm: float = STEP_MM

    @property
    def smooth_mm(self) -> float:
        """Smoothness of the map."""
        return MAP_SMOOTH_MM * self.step_mm / STEP_MM

    def onto_query(self, reference: Tensor) -> Tensor:
        """Where points (n, 3) of the reference lie in the query, LPS mm."""
        pairs = (self.reference, self.query, self.weight)
        return moving_affine(reference, *pairs, self.smooth_mm)

    def dense_map(self, lower: Tensor, upper: Tensor) -> DisplacementField:
        """The map from query to reference over a box of the query; not folded if it can be."""
        nodes, counts = lattice(lower, upper, MAP_STEP_MM)
        pairs = (self.query, self.reference, self.weight)
        moved = moving_affine(nodes, *pairs, self.smooth_mm) - nodes
        return DisplacementField(moved.reshape(*counts, 3), lower, MAP_STEP_MM).unfolded()


def voted_start(
    points: ControlPoints, coarse: LatentField, range_mm: float, search: SearchSettings
) -> Tensor:
    """Where the votes of the body's cells have the points, (N, 3) LPS mm."""
    few = points.first
    voted = dense_consensus(coarse, points.coarse[few], range_mm, search.vote_bandwidths_mm)
    alike = torch.ones(int(few.sum()), device=voted.position.device)
    source = points.position[few]
    return moving_affine(points.position, source, voted.position, alike, VOTES_SMOOTH_MM)


def find_correspondence(
    points: ControlPoints, start: Tensor, fine: LatentField, search: SearchSettings
) -> Correspondence:
    """Match the points' descriptors around ``start`` (N, 3), closer in every round."""
    found, position = None, start
    for number, (radius, prior, finest) in enumerate(ROUNDS_MM):
        smooth = finest * points.step_mm / STEP_MM
        # The widest search takes most time, and its field is so smooth that few points will do.
        chosen = points.first if number == 0 else torch.ones_like(points.first)
        settings = MatchSettings(radius, search.matches[-1].temperature, prior)
        match = match_descriptors(
            fine, points.descriptors[chosen][:, None], position[chosen], settings
        )
        trust = match.similarity.clamp_min(0.0).square()
        weight = trust / (match.spread.square() + search.match_noise_mm**2)
        source = points.position[chosen]
        near = Neighbourhood(source, source, smooth)
        weight = _robust(near, match.position, weight)
        # From the second round on, the points that are matched are all.
        last = near if number else Neighbourhood(points.position, source, smooth)
        position = last.carry(match.position, weight)
        pairs = (source, match.position, weight, match.similarity)
        found = Correspondence(*pairs, points.step_mm)
    assert found is not None
    return found


def _robust(near: Neighbourhood, target: Tensor, weight: Tensor) -> Tensor:
    """Weights by Tukey, against what the smooth field through the pairs says of each."""
    trust = weight
    for _ in range(ROBUST_ROUNDS):
        error = (near.carry(target, trust) - target).norm(dim=1)
        trust = weight * (tukey_weights(error) + 1e-6)
    return trust
