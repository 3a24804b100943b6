"""Smaller steps of a stage, for machines whose memory the usual ones do not fit."""

from __future__ import annotations

from .config import StageConfig

LEAST_SUPPORTS = 100
LEAST_EDGE = 32
EDGE_FACTOR = 0.8


def reduced(stage: StageConfig) -> StageConfig | None:
    """The stage with half the pairs' points, or with half the volume per view; None where it is small already.

    First the points (the results hardly change), then the views (what is farther apart than a view is not learnt).
    """
    if stage.supports >= 2 * LEAST_SUPPORTS:
        return stage.with_changes(supports=stage.supports // 2, queries=stage.queries // 2)
    align = stage.net.alignment
    edges = [max(min(edge, LEAST_EDGE), int(edge * EDGE_FACTOR) // align * align) for edge in stage.crop]
    crop = (edges[0], edges[1], edges[2])
    return None if crop == stage.crop else stage.with_changes(crop=crop)


def describe(stage: StageConfig) -> str:
    """What a step of this size holds, for a note."""
    return f"{stage.supports} x {stage.queries} pairs, views of up to {' x '.join(map(str, stage.crop))} voxels"
