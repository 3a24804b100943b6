"""The plan of a training, to be shown before Start: on what, for how long, and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from rprloc.model.pnet import Pnet

from ..config import StageConfig
from ..data.dataset import LEAST_CTS
from ..data.scan import ScanRow
from ..data.sources import held_out
from .cost import StageCost, data_bytes, measure_stage
from .presets import Preset, describe_stage

READ_SECONDS = 0.2  # per CT and stage; measured 0.1 to 0.3 on CTs of 2 to 10 million voxels
VALIDATION_SHARE = 0.02  # 16 view pairs without gradients every 500 steps
TORCH_BYTES = 600_000_000
SAVED_COPIES = 6  # weights, average, best, two moments of AdamW, and the exported network
FEW_PATIENTS = 8
# Offsets are steep and exact only well below r: see ``rprtrain.run.presets``.
WIDEST_OF_RANGE = 0.8

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
    """Estimate what a training takes.

    Args:
        preset: the stages.
        rows: of a scan; those that are used count.
        device: to train on.
        minutes: length of both stages together.
        steps: length of each stage instead; without either, each stage's usual steps.
        measure: time a few steps on the device (once per device and network); without it the times
            are null.

    Returns:
        The plan as a JSON object (docs/worker-protocol.md, PLAN).
    """
    used = [row for row in rows if row.used]
    costs = [_cost(stage, device, used, measure) for stage in preset.stages.values()]
    stages = []
    for stage, cost in zip(preset.stages.values(), costs, strict=True):
        share = None if minutes is None else minutes * 60.0 / len(costs)
        stages.append({**describe_stage(stage), **_length(cost, steps or stage.steps, share)})

    timed = [s["seconds"] for s in stages if s["seconds"] is not None]
    reading = READ_SECONDS * len(used) * len(stages)
    enough = len(used) >= LEAST_CTS
    held = sum(held_out([(row.group, row.name) for row in used])) if enough else 0
    problem = f"{len(used)} usable CTs: at least {LEAST_CTS} are needed"
    return {
        "preset": preset.name,
        "description": preset.description,
        "body_region": preset.body_region,
        "device": str(device),
        "training": len(used) - held,
        "held_out": held,
        "patients": len({row.group for row in used}),
        "stages": stages,
        "seconds": round(sum(timed) + reading, 1) if len(timed) == len(stages) else None,
        **_sizes(preset, costs, device),
        "notes": _notes(preset, used),
        "problem": "" if enough else problem,
    }


def _cost(
    stage: StageConfig, device: torch.device, rows: Sequence[ScanRow], measure: bool
) -> StageCost:
    """Measured, or remembered, as neither voxel size nor range change it; 0 if not measured."""
    sizes = (stage.net, stage.crop, stage.supports, stage.queries)
    key = repr((str(device), *sizes, torch.get_num_threads()))
    if measure and key not in _measured:
        _measured[key] = measure_stage(stage, device)
    measured = _measured.get(key, StageCost(stage.name, 0.0, 0))
    return replace(measured, data_bytes=data_bytes(stage, rows))


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
    beyond = sum(
        max(row.body_mm[:2]) > WIDEST_OF_RANGE * coarse.range_mm for row in used if row.body_mm
    )
    if beyond:
        notes.append(
            f"{beyond} bodies are wider than r = {coarse.range_mm:g} mm has room for:"
            " choose a larger r"
        )
    return notes
