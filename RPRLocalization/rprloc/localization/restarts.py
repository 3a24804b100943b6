"""How steady an answer is: the fine search begun again from around its start.

A search that was led astray ends elsewhere when it begins elsewhere; one that has found the target
comes back to it. No other image and no other network is needed to notice the difference. (The mean
of the searches that agree is no better an answer than the first one: measured on ``val``.)
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..model.field import LatentField
from ..model.settings import SearchSettings
from .estimate import Estimate, StackedExamples, fewer_points, fine_estimate, searched
from .voting import Consensus

#: How far off a search begins again, along each axis and both ways.
SHIFT_MM = 22.0
#: Points beside the key points that take part in a search that is begun again (time).
CONTEXT_POINTS = 72


def steadied_estimate(
    field: LatentField,
    rows: StackedExamples,
    coarse: Consensus,
    search: SearchSettings,
    match_weight: float,
) -> Estimate:
    """The fine estimate, and how far apart six searches from around its start end.

    For the arguments see ``fine_estimate``; the field has to reach some 60 mm beyond the coarse
    positions.
    """
    found = fine_estimate(field, rows, coarse, search, match_weight)
    if rows.fine is None:
        return found
    fewer, index = fewer_points(rows, CONTEXT_POINTS)
    starts = coarse.position[index] + _shifts(coarse.position)[:, None]
    again = searched(field, fewer, starts, search, match_weight)
    ends = torch.stack([estimate.points.mean(0) for estimate in again])
    apart = (ends - ends.median(0).values).norm(dim=1).median()
    return replace(found, unsteady_mm=float(apart))


def _shifts(like: Tensor) -> Tensor:
    """(6, 3) mm: both ways along every axis."""
    axes = SHIFT_MM * torch.eye(3, device=like.device)
    return torch.cat([axes, -axes])
