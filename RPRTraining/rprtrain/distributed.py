"""Processes that train one network together, on several GPUs or machines (``torchrun``).

Usually there is only one.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import warnings
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

# The others wait at a collective call while the user pauses the leader.
LONGEST_PAUSE = datetime.timedelta(days=7)


class ProcessGroup:
    """This process's place in the group.

    Alone it is rank 0 of 1, and nothing here costs anything.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
    """

    def __init__(self) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if together else 0
        self.size = dist.get_world_size() if together else 1

    @property
    def leads(self) -> bool:
        """True for the one process that reports, saves and exports."""
        return self.rank == 0

    def wrap(self, net: nn.Module) -> nn.Module:
        """The network in PyTorch's data-parallel wrapper: gradients become the processes' mean."""
        if self.size == 1:
            return net
        # The trainer averages the BatchNorms' statistics; a broadcast in each pass would change
        # them within a step.
        with warnings.catch_warnings():
            # The option's new name is not in PyTorch 2.4.
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(net, broadcast_buffers=False)

    def share(self, value: float, device: torch.device) -> float:
        """The leader's value, in every process."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        dist.broadcast(shared, 0)
        return float(shared)

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)
                tensor /= self.size

    def unsynchronized(self, net: nn.Module) -> contextlib.AbstractContextManager[object]:
        """A block whose gradients stay in this process for now."""
        return (
            net.no_sync() if isinstance(net, DistributedDataParallel) else contextlib.nullcontext()
        )

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()


def join_process_group() -> int:
    """Join the group that torchrun describes in the environment.

    Returns:
        The number of this machine's GPU to use.
    """
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if backend == "nccl":
        torch.cuda.set_device(local)
    dist.init_process_group(backend, timeout=LONGEST_PAUSE)
    return local
