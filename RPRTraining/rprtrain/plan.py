"""The plan of a training: what will be trained, on what, for how long, and what it needs; to be shown before Start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .cost import StageCost, measure_stage
from .presets import Preset, describe_stage
from .scan import ScanRow

READ_SECONDS = 0.2  # per CT and stage; measured 0.1 to 0.3 on CTs of 2 to 10 million voxels
VALIDATION_STEPS = 16.0 / 500.0 * 0.4  # cost of the validations in steps, per step


def make_plan(
    preset: Preset,
    rows: Sequence[ScanRow],
    device: torch.device,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    measure: bool = True,
) -> dict[str, Any]:
    """The plan as a JSON object (docs/worker-protocol.md, PLAN).

    minutes (for both stages together) or steps (of each) set the length; else each stage's usual steps. ``measure``:
    time a few steps on the device; without it the times and the memory are null.
    """
    used = [row for row in rows if row.used]
    stages = []
    for stage in preset.stages.values():
        cost = measure_stage(stage, device, used) if measure else None
        length = steps or stage.steps
        stages.append({**describe_stage(stage), **_time(cost, length, minutes, len(preset.stages))})
    known = [s["seconds"] for s in stages if s["seconds"] is not None]
    reading = READ_SECONDS * len(used) * len(stages)
    memory = [s["memory_bytes"] for s in stages if s["memory_bytes"] is not None]
    return {
        "preset": preset.name,
        "title": preset.title,
        "description": preset.description,
        "body_region": preset.body_region,
        "device": str(device),
        "volumes": len(used),
        "patients": len({row.group for row in used}),
        "stages": stages,
        "seconds": round(sum(known) + reading, 1) if len(known) == len(stages) else None,
        "memory_bytes": max(memory) if memory else None,
    }


def _time(cost: StageCost | None, steps: int, minutes: float | None, stages: int) -> dict[str, Any]:
    """Steps and seconds of a stage; with a time limit, the steps are what fits into it."""
    if minutes is not None:
        seconds = minutes * 60.0 / stages
        fitting = None if cost is None else max(1, round(seconds / cost.seconds_per_step))
        return {"steps": fitting, "seconds": seconds, **_cost(cost)}
    seconds_or_none = None if cost is None else round(steps * cost.seconds_per_step * (1.0 + VALIDATION_STEPS), 1)
    return {"steps": steps, "seconds": seconds_or_none, **_cost(cost)}


def _cost(cost: StageCost | None) -> dict[str, Any]:
    if cost is None:
        return {"seconds_per_step": None, "memory_bytes": None}
    return {"seconds_per_step": round(cost.seconds_per_step, 3), "memory_bytes": cost.memory_bytes}
