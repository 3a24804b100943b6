"""Targets by the alignment of their reference with the query, where votes are in doubt.

Votes come from networks that know some part of the body. Tissue in cells of 12 mm is alike
everywhere: it says where reference and query show the same, and the fine network does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..alignment.overlap import Overlap
from .estimate import StackedExamples, stack_examples
from .template import TemplateTarget
from .voting import Consensus

#: An alignment is about so exact; the fine network searches farther.
SPREAD_MM = 15.0


@dataclass(frozen=True, eq=False)
class AlignedTarget:
    """One target as aligned references have it.

    Attributes:
        rows: the points of the examples on these references.
        start: where the alignments put them.
        likeness, common_mm: of the best alignment.
    """

    rows: StackedExamples
    start: Consensus
    likeness: float
    common_mm: float


def aligned_target(
    target: TemplateTarget,
    maps: dict[str, Overlap],
    device: torch.device,
    context_points: int,
) -> AlignedTarget | None:
    """Where alignments put a target's points; None if none of its references is aligned."""
    examples = [e for e in target.examples if e.sketch_name in maps and e.center is not None]
    if not examples:
        return None
    rows = stack_examples(replace(target, examples=tuple(examples)), device, context_points)
    parts = []
    for example, part in zip(examples, rows.slices, strict=True):
        overlap = maps[example.sketch_name]
        on_reference = rows.offsets[part] + torch.as_tensor(example.center, device=device)
        parts.append(on_reference @ overlap.matrix.T.to(device) + overlap.shift.to(device))
    position = torch.cat(parts)
    best = max((maps[e.sketch_name] for e in examples), key=lambda overlap: overlap.score)
    spread = torch.full((len(position),), SPREAD_MM, device=device)
    return AlignedTarget(rows, Consensus(position, spread), best.likeness, best.common_mm)


def sketches_of(targets: Sequence[TemplateTarget]) -> set[str]:
    """Names of the sketches that the examples of targets lie in."""
    return {example.sketch_name for target in targets for example in target.examples}
