"""The plan of a training: what will be trained, on what, for how long, and what it needs; to be shown before Start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from rprloc.model.pnet import Pnet

from ..config import StageConfig
from ..data.scan import ScanRow
from ..data.sources import held_out
from .cost import StageCost, data_bytes, measure_stage
from .presets import Preset, describe_stage

READ_SECONDS = 0.2  # per CT and stage; measured 0.1 to 0.3 on CTs of 2 to 10 million voxels
VALIDATION_SHARE = 0.02  # 16 view pairs without gradients every 500 steps
TORCH_BYTES = 600_000_000
SAVED_COPIES = 6  # weights, average, best, two moments of AdamW, and the exported network
FEW_PATIENTS, LEAST_CTS = 8, 2

_measured: dict[str, StageCost] = {}


def estimate_run(
    preset: Preset,
    rows: Sequence[ScanRow],
    device: torch.device,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    measure: bool = True,
) -> dict[str, Any]:
    """The plan as a JSON object (docs/worker-protocol.md, PLAN).

    minutes (for both stages together) or steps (of each) set the length; else each stage's usual
    steps. ``measure``: time a few steps on the device (once per device and network); without it the
    times are null.
    """
    used = [row for row in rows if row.used]
    costs = [_cost(stage, device, used, measure) for stage in preset.stages.values()]
    stages = []
    for stage, cost in zip(preset.stages.values(), costs, strict=True):
        share = None if minutes is None else minutes * 60.0 / len(costs)
        stages.append({**describe_stage(stage), **_length(cost, steps or stage.steps, share)})
    known = [s["seconds"] for s in stages if s["seconds"] is not None]
    reading = READ_SECONDS * len(used) * len(stages)
    held = sum(held_out([(row.group, row.name) for row in used])) if len(used) >= LEAST_CTS else 0
    return {
        "preset": preset.name,
        "description": preset.description,
        "body_region": preset.body_region,
        "device": str(device),
        "training": len(used) - held,
        "held_out": held,
        "patients": len({row.group for row in used}),
        "stages": stages,
        "seconds": round(sum(known) + reading, 1) if len(known) == len(stages) else None,
        **_sizes(preset, costs, device),
        "notes": _notes(preset, used),
        "problem": ""
        if len(used) >= LEAST_CTS
        else f"{len(used)} usable CTs: at least {LEAST_CTS} are needed",
    }


def _cost(
    stage: StageConfig, device: torch.device, rows: Sequence[ScanRow], measure: bool
) -> StageCost:
    """Measured, or remembered: neither voxel size nor range change the time of a step. All 0: not measured."""
    key = repr(
        (str(device), stage.net, stage.crop, stage.supports, stage.queries, torch.get_num_threads())
    )
    if measure and key not in _measured:
        _measured[key] = measure_stage(stage, device)
    return replace(
        _measured.get(key, StageCost(stage.name, 0.0, 0)), data_bytes=data_bytes(stage, rows)
    )


def _length(cost: StageCost, steps: int, seconds: float | None) -> dict[str, Any]:
    """Steps and seconds of a stage; with a time limit, the steps are what fits into it."""
    per_step = cost.seconds_per_step * (1.0 + VALIDATION_SHARE)
    if seconds is not None:
        steps = max(1, round(seconds / per_step)) if per_step else steps
    elif per_step:
        seconds = round(steps * per_step, 1)
    return {
        "steps": steps,
        "seconds": seconds,
        "seconds_per_step": round(cost.seconds_per_step, 3) or None,
    }


def _sizes(
    preset: Preset, costs: Sequence[StageCost], device: torch.device
) -> dict[str, float | None]:
    """Memory of the machine and of the GPU, and what is written, in GB."""
    weights = [
        sum(p.numel() * 4 for p in Pnet(stage.net).parameters()) for stage in preset.stages.values()
    ]
    data, steps = max(cost.data_bytes for cost in costs), max(cost.step_bytes for cost in costs)
    on_gpu = device.type == "cuda"
    return {
        "memory_gb": round((TORCH_BYTES + 2 * data + (0 if on_gpu else steps)) / 1e9, 1),
        "gpu_gb": round((data + steps + TORCH_BYTES) / 1e9, 1) if on_gpu else None,
        "disk_gb": round(sum(SAVED_COPIES * w for w in weights) / 1e9, 2),
    }


def _notes(preset: Preset, used: Sequence[ScanRow]) -> list[str]:
    notes = []
    patients = len({row.group for row in used})
    if used and patients < FEW_PATIENTS:
        notes.append(
            f"only {patients} patients: at least {FEW_PATIENTS} are advised, and more are better"
        )
    coarse = preset.stages["coarse"]
    beyond = sum(max(row.body_mm[:2]) > 0.8 * coarse.range_mm for row in used if row.body_mm)
    if beyond:
        notes.append(
            f"{beyond} bodies are wider than r = {coarse.range_mm:g} mm has room for: choose a larger r"
        )
    return notes
