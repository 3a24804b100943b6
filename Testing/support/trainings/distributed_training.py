"""Train a tiny network for a few steps, alone or under torchrun, and save its weights.

python distributed_training.py OUT.pt STEPS BATCH
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from rprtrain.distributed import ProcessGroup, join_process_group
from rprtrain.optimization import step
from rprtrain.optimization.schedule import TrainingSchedule
from rprtrain.optimization.trainer import Trainer
from support.trainings.tiny_training import CPU, TINY_FINE, phantom_volume


def main(out: Path, steps: int, batch: int) -> None:
    """Train; the leader saves."""
    torch.set_num_threads(1)
    # In bfloat16, roundings would differ as much as weights move in a few steps.
    step.fast_dtype = lambda device: torch.float32
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        join_process_group()
    volumes = [phantom_volume(f"p{n}", 0.9 + 0.05 * n) for n in range(4)]
    stage = TINY_FINE.with_changes(learning_rate=5e-2)
    schedule = TrainingSchedule(
        steps, seed=3, report_every=1, batch=batch, report=lambda line: None
    )
    trainer = Trainer(stage, schedule, volumes[:3], volumes[3:], CPU, out.with_suffix(".ckpt"))
    trainer.run()
    if ProcessGroup().leads:
        losses = [entry["loss"] for entry in trainer.history.curve if "loss" in entry]
        torch.save({"net": trainer.net.state_dict(), "losses": losses}, out)
    ProcessGroup().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
