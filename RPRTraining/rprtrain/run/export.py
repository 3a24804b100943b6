"""From trained weights to a model folder: TorchScript files with the card embedded, and ``model.json``."""

from __future__ import annotations

import copy
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rprloc.errors import OutputError
from rprloc.files import atomic_write_text
from rprloc.model.card import StageCard
from rprloc.model.loading import file_sha256
from rprloc.model.pnet import fold_batch_norm

from ..config import StageConfig


def export_stage(
    net: nn.Module, stage: StageConfig, folder: Path, facts: dict[str, Any]
) -> StageCard:
    """Fold the BatchNorm, script, and write ``<stage>.pt`` atomically; returns its card.

    Args:
        net: a trained ``Pnet`` (left unchanged).
        facts: what the card tells of the training; embedded in the file too, as ``card.json``.

    Raises OutputError if the file cannot be written.
    """
    folded = fold_batch_norm(copy.deepcopy(net).cpu().eval())
    script = torch.jit.script(folded)
    name = f"{stage.name}.pt"
    path, temporary = folder / name, folder / f"{stage.name}.tmp"
    card = StageCard(name, "0" * 64, stage.spacing, stage.range_mm, stage.net, facts)
    embedded = {k: v for k, v in card.to_json().items() if k != "sha256"}
    try:
        script.save(str(temporary), _extra_files={"card.json": json.dumps(embedded)})
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: the model could not be written ({error})") from error
    return StageCard(name, file_sha256(path), stage.spacing, stage.range_mm, stage.net, facts)


def write_json(path: Path, content: dict[str, Any]) -> Path:
    """Write a JSON object atomically; raises OutputError if that fails."""
    atomic_write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor or GPU, threads and PyTorch version; no host or user names."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": device.type,
        "processor": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        return platform.machine()
    return platform.processor() or platform.machine()
