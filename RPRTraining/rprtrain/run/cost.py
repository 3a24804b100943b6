"""How long a step takes and what it needs, measured on this machine before a training starts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rprloc.image.hounsfield import TISSUE_HU
from rprloc.model.pnet import Pnet

from ..config import StageConfig
from ..data.dataset import BODY_POINTS, TrainingVolume
from ..data.scan import ScanRow
from ..optimization.step import run_step
from ..random_stream import RandomStream

# Standard deviation of the made-up body.
NOISE_HU = 50.0
WEIGHT_COPIES = 5  # weights, gradients, two moments of AdamW, and the average


@dataclass(frozen=True)
class StageCost:
    """What a stage costs.

    Attributes:
        name: of the stage.
        seconds_per_step: measured.
        step_bytes: of the tensors that a step keeps for its gradients, and of the weights.
        data_bytes: of the CTs that stay in memory.
    """

    name: str
    seconds_per_step: float
    step_bytes: int
    data_bytes: int = 0


def measure_stage(stage: StageConfig, device: torch.device, steps: int = 2) -> StageCost:
    """Run a few steps of a stage on a made-up body, after one to warm up.

    Raises:
        RuntimeError: what the device raises, e.g. out of memory.
    """
    volume = _body(stage).to(device)
    net = Pnet(stage.net).to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    times: list[float] = []
    sizes: list[int] = []
    for number in range(steps + 1):
        saved: dict[int, int] = {}

        # By storage, because several tensors share one.
        def note(tensor: Tensor, sizes_by_address: dict[int, int] = saved) -> Tensor:
            storage = tensor.untyped_storage()
            sizes_by_address[storage.data_ptr()] = storage.nbytes()
            return tensor

        _wait(device)
        started = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(note, _same):
            result = run_step(net, volume, stage, RandomStream("cost", number))
        if result is not None:
            result.loss.backward()
        _wait(device)
        times.append(time.perf_counter() - started)
        sizes.append(sum(saved.values()))
    weights = WEIGHT_COPIES * sum(p.numel() * p.element_size() for p in net.parameters())
    return StageCost(stage.name, min(times[1:]), max(sizes) + weights)


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _body(stage: StageConfig) -> TrainingVolume:
    """An ellipsoid of noise that fills the largest view."""
    axes = [torch.linspace(-1.0, 1.0, n) for n in stage.crop]
    inside = sum(a**2 for a in torch.meshgrid(*axes, indexing="ij")) < 0.9
    noise = RandomStream("body of noise").normal(*stage.crop) * NOISE_HU
    hu = torch.where(torch.as_tensor(inside), noise, torch.tensor(-1000.0)).to(torch.int16)
    body = torch.nonzero(hu > TISSUE_HU).to(torch.int16)
    return TrainingVolume("made up", hu, body, torch.zeros(3), stage.spacing)


def data_bytes(stage: StageConfig, rows: Sequence[ScanRow]) -> int:
    """Bytes of the CTs in memory: int16 voxels of the bodies' boxes, and the body points."""
    total = 0.0
    for row in rows:
        if row.used and row.body_mm:
            voxels = 1.0
            for edge in row.body_mm:
                voxels *= edge / stage.spacing + 2
            total += 2 * voxels + BODY_POINTS * 3 * 2
    return int(total)
