"""Several volumes per step, shared out among the processes of a group.

Every volume starts from the same BatchNorm statistics, and their mean is kept: so it does not
matter which process handled which volume, and one process with a batch gives the same result as
several that share it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from rprloc.errors import InputError

from ..distributed import ProcessGroup
from .step import StepFigures, StepResult

# Views hold too little now and then; a CT whose views do so 8 times in a row has no body to show.
ATTEMPTS = 8

Losses = Callable[[int, int], "StepResult | None"]


def statistics(net: nn.Module) -> list[Tensor]:
    """The running means and variances of a network."""
    return [buffer for buffer in net.buffers() if buffer.dtype.is_floating_point]


def batch_gradients(
    net: nn.Module, parallel: nn.Module, batch: int, group: ProcessGroup, losses: Losses
) -> StepFigures:
    """Accumulate the gradients of the mean loss of a batch.

    Args:
        net: the network, whose statistics move.
        parallel: the same, as ``ProcessGroup.wrap`` returned it.
        batch: volumes, of which every process of the group handles its share.
        group: the processes.
        losses: of volume ``n`` of the batch at attempt ``m``; None where its views hold too little.

    Returns:
        Mean loss, mean errors, and the cells of all volumes.

    Raises:
        InputError: if a CT shows too little at every attempt.
    """
    mine = list(range(group.rank, batch, group.size))
    running = statistics(net)
    before = [buffer.clone() for buffer in running]
    total = [torch.zeros_like(buffer) for buffer in running]
    figures = torch.zeros(4, device=before[0].device if before else None)

    for item in mine:
        # The gradients are exchanged once, with those of the last volume.
        with nullcontext() if item == mine[-1] else group.unsynchronized(parallel):
            result = _first_result(item, losses, running, before)
            (result.loss / len(mine)).backward()
        for mean, buffer in zip(total, running, strict=True):
            mean += buffer / len(mine)
        figures += _share_of_mean(result, len(mine), group.size).to(figures.device)

    for buffer, mean in zip(running, total, strict=True):
        buffer.copy_(mean)
    group.average_([*running, figures])
    loss, near_mm, mean_mm, cells = (float(value) for value in figures)
    return StepFigures(loss, near_mm, mean_mm, round(cells))


def _share_of_mean(result: StepResult, count: int, processes: int) -> Tensor:
    """(4,) what a volume adds to the figures; cells are summed, so the later mean is undone."""
    one = result.figures()
    means = torch.tensor([one.loss, one.near_mm, one.mean_mm]) / count
    return torch.cat([means, torch.tensor([float(one.cells * processes)])])


def _first_result(
    item: int, losses: Losses, running: list[Tensor], before: list[Tensor]
) -> StepResult:
    """The losses of a volume at the first attempt whose views hold enough."""
    for attempt in range(ATTEMPTS):
        for buffer, value in zip(running, before, strict=True):
            buffer.copy_(value)
        result = losses(item, attempt)
        if result is not None:
            return result
    raise InputError(
        "the CTs show too little of a body to train on: are they too small, or cut too close?"
    )
