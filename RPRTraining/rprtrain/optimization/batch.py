"""Several volumes per step, shared out among the processes of a team.

Every volume starts from the same BatchNorm statistics, and their mean is kept: so it does not
matter which process handled which volume, and one process with a batch gives the same result as
several that share it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rprloc.errors import InputError

from ..distributed import ProcessGroup
from .step import StepResult

ATTEMPTS = 8

Losses = Callable[[int, int], "StepResult | None"]


def statistics(net: nn.Module) -> list[Tensor]:
    """The running means and variances of a network."""
    return [buffer for buffer in net.buffers() if buffer.dtype.is_floating_point]


def batch_gradients(
    net: nn.Module, parallel: nn.Module, batch: int, team: ProcessGroup, losses: Losses
) -> list[float]:
    """Gradients of the mean loss of ``batch`` volumes; returns mean loss, near and mean error, and the cells of all.

    Args:
        net: the network, whose statistics move. parallel: the same, as ``team.wrap`` returned it.
        losses: of volume ``n`` of the batch at attempt ``m``; None where its views hold too little.
    """
    mine = list(range(team.rank, batch, team.size))
    held = statistics(net)
    before = [buffer.clone() for buffer in held]
    total = [torch.zeros_like(buffer) for buffer in held]
    figures = torch.zeros(4, device=before[0].device if before else None)
    for item in mine:
        alone = (
            team.unsynchronized(parallel)
            if item != mine[-1]
            else team.unsynchronized(nn.Identity())
        )
        with alone:
            result = _result(item, losses, held, before)
            (result.loss / len(mine)).backward()
        for mean, buffer in zip(total, held, strict=True):
            mean += buffer / len(mine)
        values = [
            float(result.loss.detach()),
            result.near_mm,
            result.mean_mm,
            float(result.cells * team.size),
        ]
        figures += torch.tensor(values, device=figures.device) / torch.tensor(
            [len(mine)] * 3 + [1], device=figures.device
        )
    for buffer, mean in zip(held, total, strict=True):
        buffer.copy_(mean)
    team.average_([*held, figures])
    return [float(value) for value in figures]


def _result(item: int, losses: Losses, held: list[Tensor], before: list[Tensor]) -> StepResult:
    for attempt in range(ATTEMPTS):
        for buffer, value in zip(held, before, strict=True):
            buffer.copy_(value)
        result = losses(item, attempt)
        if result is not None:
            return result
    raise InputError(
        "the CTs show too little of a body to train on: are they too small, or cut too close?"
    )
