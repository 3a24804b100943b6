"""Train in a child process that is killed at random moments; prints what was on disk after each kill (JSON lines).

    python killable_training.py FOLDER KILLS

PyTorch is imported once: each training is a fork. One thread, because PyTorch's thread pool does
    not survive a fork.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from rprtrain.checkpoint import load_checkpoint
from rprtrain.optimization.control import Control
from rprtrain.optimization.events import TrainingEvent
from rprtrain.optimization.trainer import Trainer, TrainingSchedule
from rprtrain.run.record import RunRecord, is_locked, locked, read_run
from rprtrain.run.request import TrainingRequest
from rprtrain.run.train import Run
from support.tiny_training import CPU, TINY, phantom_volume

SAVE_EVERY_S = 0.05


def train(folder: Path, pipe: int) -> None:
    """Train until killed; write the step of every finished checkpoint to the pipe."""
    volumes = [phantom_volume(f"p{n}", 0.9 + 0.05 * n) for n in range(3)]
    notes = RunRecord(folder, TrainingRequest(folder, folder).to_json())
    run = Run(
        TrainingRequest(folder, folder), Control(), lambda line: None, lambda event: None, notes
    )

    def tell(event: TrainingEvent) -> None:
        os.write(pipe, f"{event.kind} {event.step}\n".encode())

    plan = TrainingSchedule(
        10**6, save_every_s=SAVE_EVERY_S, report_every=1, report=lambda line: None, tell=tell,
        saved=lambda: run.note_progress(trainer),
    )  # fmt: skip
    trainer = Trainer(TINY, plan, volumes[:2], volumes[2:], CPU, folder / "coarse.ckpt")
    with locked(folder):
        if trainer.path.exists():
            trainer.resume()
        trainer.run()


def killed_training(folder: Path, seconds: float) -> list[str]:
    """What a training told before it was killed, ``seconds`` after its first step."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        train(folder, writer)
        os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        told = [stream.readline()]
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        told += stream.readlines()
    os.waitpid(child, 0)
    return [line.decode().strip() for line in told if line.endswith(b"\n")]


def main(folder: Path, kills: int) -> None:
    """Kill and report."""
    torch.set_num_threads(1)
    moments = random.Random(0)
    for _ in range(kills):
        told = killed_training(folder, moments.uniform(0.1, 0.8))
        steps = {
            kind: max([int(t.split()[1]) for t in told if t.startswith(kind)], default=0)
            for kind in ("step", "saved")
        }
        notes = read_run(folder)
        found = (
            load_checkpoint(folder / "coarse.ckpt", CPU)["step"]
            if (folder / "coarse.ckpt").exists()
            else 0
        )
        state = None if notes is None else notes.state
        noted = 0 if notes is None else notes.step
        print(
            json.dumps(
                {
                    **steps,
                    "found": found,
                    "noted": noted,
                    "state": state,
                    "locked": is_locked(folder),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
