"""Training of the auto-encoder on patches of unlabelled CTs.

Goes on from its checkpoint after a kill.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from rprloc.image.volume import read_volume

from ..core.cohort import Cohort
from .autoencoder_net import AutoEncoder
from .patch_grid import PATCH, FloatVolume, patch_grid

_TRIES = 16
_SAVES = 10
_REPORTS = 20


@dataclass(frozen=True)
class TrainingPlan:
    """How long and on what to train.

    scans: CTs of ``train`` to use, spread over its list; None for all. learning_rate: at the first
    step; falls to 0 by a cosine.
    """

    steps: int = 3000
    batch: int = 64
    scans: int | None = None
    learning_rate: float = 1e-3
    seed: int = 0


QUICK = TrainingPlan(steps=20, batch=8, scans=2)


class PatchSource:
    """Random patches in the body of CTs, kept in memory at half precision.

    volumes: values of PatchGrid (z, y, x), with half a patch of air on every side.
    """

    def __init__(self, volumes: Iterable[FloatVolume]) -> None:
        self.volumes = [volume.astype(np.float16) for volume in volumes]

    def draw(self, count: int, random: np.random.Generator) -> npt.NDArray[np.float16]:
        """Patches (count, 1, *PATCH); each CT is as likely as any other."""
        chosen = random.integers(len(self.volumes), size=count)
        return np.stack([_patch(self.volumes[n], random) for n in chosen])[:, None]


def _patch(volume: npt.NDArray[np.float16], random: np.random.Generator) -> npt.NDArray[np.float16]:
    """A patch around a voxel that is not air; if all of _TRIES are, around the last one."""
    room = np.array(volume.shape, dtype=np.int64) - np.array(PATCH, dtype=np.int64) + 1
    starts = random.integers(room, size=(_TRIES, 3))
    z, y, x = (starts + np.array(PATCH) // 2).T
    start = starts[_TRIES - 1 if not volume[z, y, x].any() else int(np.argmax(volume[z, y, x] > 0))]
    return volume[tuple(slice(s, s + n) for s, n in zip(start, PATCH, strict=True))]


def train_encoder(
    plan: TrainingPlan,
    source: Callable[[], PatchSource],
    file: Path,
    device: torch.device,
    report: Callable[[str], None] = print,
) -> None:
    """Train until ``file`` holds the model of the plan's last step; returns at once if it does.

    Step n draws the same patches whether or not the training was interrupted. Steps are computed in
    bfloat16; the weights, and their use, are float32. ``source`` is only called if there is
    something to do.
    """
    saved = read_checkpoint(file, plan)
    if saved is not None and saved["step"] == plan.steps:
        return

    torch.manual_seed(plan.seed)
    model = AutoEncoder().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=plan.learning_rate)
    first, losses = 0, []
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first, losses = int(saved["step"]), list(saved["losses"])
        report(f"  auto-encoder: goes on after step {first} of {plan.steps}")

    patches = source()
    started = time.perf_counter()
    for step in range(first, plan.steps):
        random = np.random.default_rng((plan.seed, step))
        batch = torch.from_numpy(patches.draw(plan.batch, random)).to(device).float()
        losses.append(_step(model, optimizer, batch, _rate(plan, step)))
        done = step + 1
        if done % max(1, plan.steps // _REPORTS) == 0:
            left = (time.perf_counter() - started) / (done - first) * (plan.steps - done)
            error = np.mean(losses[-max(1, plan.steps // _REPORTS) :]) ** 0.5
            report(
                f"  auto-encoder {done}/{plan.steps}: error {1000 * error:.0f} HU, "
                f"{left / 60:.1f} min left"
            )
        if done % max(1, plan.steps // _SAVES) == 0 or done == plan.steps:
            _save(file, plan, done, losses, model, optimizer)


def read_checkpoint(file: Path, plan: TrainingPlan) -> dict[str, Any] | None:
    """The checkpoint of a plan: step, losses (mean square, one per step), model, optimizer.

    None if there is none.
    """
    if not file.exists():
        return None
    saved: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return saved if saved["plan"] == asdict(plan) else None


def patches_of(cohort: Cohort, scans: int | None, report: Callable[[str], None]) -> PatchSource:
    """Read the CTs of ``train``, or ``scans`` of them, spread over the list."""
    names = cohort.names("train")
    count = len(names) if scans is None else min(scans, len(names))
    chosen = [names[n * len(names) // count] for n in range(count)]
    report(f"  auto-encoder: reading {count} CTs of train")
    # one after the other, and not through the cohort, which would keep all of them in memory
    return PatchSource(
        patch_grid(read_volume(cohort.folder / "train" / f"{n}.nii.gz")).values for n in chosen
    )


def _step(
    model: AutoEncoder, optimizer: torch.optim.Optimizer, batch: Tensor, rate: float
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast(batch.device.type, torch.bfloat16):
        decoded = model(batch)
    loss = functional.mse_loss(decoded.float(), batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _rate(plan: TrainingPlan, step: int) -> float:
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * step / plan.steps))


def _save(
    file: Path,
    plan: TrainingPlan,
    step: int,
    losses: list[float],
    model: AutoEncoder,
    optimizer: torch.optim.Optimizer,
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "plan": asdict(plan),
        "step": step,
        "losses": losses,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(state, file.with_suffix(".tmp"))
    os.replace(file.with_suffix(".tmp"), file)
