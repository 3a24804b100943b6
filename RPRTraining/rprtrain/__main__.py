"""``rprloc train`` on several GPUs or machines.

    torchrun --nproc-per-node N -m rprtrain --images ... --out ...

The options are those of ``rprloc train``; ``--batch`` is shared out, one volume per process unless
the option says more. All machines must see the same folders. Without torchrun, it is the same as
``rprloc train``.
"""

from __future__ import annotations

import os
import sys

from rprloc.cli.main import main


def run(arguments: list[str]) -> int:
    """Join the process group, if there is one, and train; returns the exit code."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        import torch

        from .distributed import join_process_group

        local = join_process_group()
        if torch.cuda.is_available() and "--device" not in arguments:
            arguments = [*arguments, "--device", f"cuda:{local}"]
    return main(["train", *arguments])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
