"""What a model card says of the machine that trained the model."""

from __future__ import annotations

import platform
from typing import Any

import torch


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
