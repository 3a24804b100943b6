"""Train in a child process that is killed at random moments; print what was on disk (JSON lines).

    python killable_training.py FOLDER KILLS

PyTorch is imported once: each training is a fork. One thread, as PyTorch's thread pool does not
survive a fork.
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
from rprtrain.optimization.events import TrainingEvent, ignore_events
from rprtrain.optimization.schedule import TrainingSchedule
from rprtrain.optimization.trainer import Trainer
from rprtrain.run.record import RunRecord, is_locked, locked, read_run
from rprtrain.run.request import TrainingRequest
from rprtrain.run.session import TrainingSession
from support.trainings.tiny_training import CPU, TINY, phantom_volume

SAVE_EVERY_S = 0.05


def ignore_line(line: str) -> None:
    pass


def train(folder: Path, pipe: int) -> None:
    """Train until killed; write the step of every finished checkpoint to the pipe."""
    volumes = [phantom_volume(f"p{n}", 0.9 + 0.05 * n) for n in range(3)]
    request = TrainingRequest(folder, folder)
    record = RunRecord(folder, request.to_json())
    session = TrainingSession(request, Control(), ignore_line, ignore_events, record)

    def write_event(event: TrainingEvent) -> None:
        os.write(pipe, f"{event.kind} {event.step}\n".encode())

    schedule = TrainingSchedule(
        10**6,
        save_every_s=SAVE_EVERY_S,
        report_every=1,
        report=ignore_line,
        on_event=write_event,
        on_saved=lambda: session.record_progress(trainer),
    )
    trainer = Trainer(TINY, schedule, volumes[:2], volumes[2:], CPU, folder / "coarse.ckpt")
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
        latest = {kind: latest_step(told, kind) for kind in ("step", "saved")}
        path, record = folder / "coarse.ckpt", read_run(folder)
        on_disk = {
            "found": load_checkpoint(path, CPU)["step"] if path.exists() else 0,
            "noted": 0 if record is None else record.step,
            "state": None if record is None else record.state,
            "locked": is_locked(folder),
        }
        print(json.dumps({**latest, **on_disk}), flush=True)


def latest_step(told: list[str], kind: str) -> int:
    """The step of the latest event of a kind, 0 without any."""
    return max([int(line.split()[1]) for line in told if line.startswith(kind)], default=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
