"""Training of the detector: a fixed number of steps, each a function of its number.

It goes on after a kill.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rprtrain.checkpoint import load_checkpoint, save_checkpoint

from .detector_data import Augmentation, Sample, training_image
from .detector_net import NetSettings, PartlyLabelledDetector, build

SAVE_EVERY_S = 60.0
REPORTS = 40


@dataclass(frozen=True)
class TrainSettings:
    """Of the training. shape: z, y, x of a training image on the network's lattice. warmup: steps.

    A step took 0.5 s on one CPU thread with AVX-512 BF16, so that ``steps`` fit into half an hour
    of two.
    """

    steps: int = 4000
    batch: int = 1
    rate: float = 1e-3
    decay: float = 1e-4
    warmup: int = 50
    clip: float = 5.0
    shape: tuple[int, int, int] = (80, 72, 112)
    seed: int = 5
    augmentation: Augmentation = field(default_factory=Augmentation)


class DetectorTraining:
    """A detector under training.

    ``path`` is its checkpoint, from which it goes on if it is there.
    """

    def __init__(
        self,
        net: NetSettings,
        train: TrainSettings,
        samples: Sequence[Sample],
        path: Path,
        device: torch.device,
    ) -> None:
        self.net, self.settings, self.samples = net, train, samples
        self.path, self.device = path, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(train.seed)
            self.detector: PartlyLabelledDetector = build(net).to(device)
        weights = self.detector.parameters()
        self.optimizer = torch.optim.AdamW(weights, lr=train.rate, weight_decay=train.decay)
        self.step = 0
        if path.exists():
            self._resume()

    def _resume(self) -> None:
        state = load_checkpoint(self.path, self.device)
        self.detector.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.settings.steps

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.detector.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        save_checkpoint(self.path, state)

    def run(self, report: Callable[[str], None], *, save_every_s: float = SAVE_EVERY_S) -> None:
        """Do the steps that are left, with a checkpoint every ``save_every_s`` and at the end."""
        first, total = self.step, self.settings.steps
        started = saved = time.monotonic()

        every, losses = max(1, total // REPORTS), []
        for step in range(first, total):
            losses.append(self.one_step())
            now = time.monotonic()
            if now - saved >= save_every_s or self.finished:
                self.save()
                saved = now
            if self.step % every == 0 or self.finished:
                left = (now - started) / (step + 1 - first) * (total - self.step)
                report(
                    f"  detector step {self.step}/{total}: loss {np.mean(losses):.3f}, "
                    f"{left / 60:.1f} min left"
                )
                losses = []

    def one_step(self) -> float:
        """Train on the next images; the loss before the step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * self._pace()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed + 1 + self.step)
            loss = self._loss()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.detector.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def _pace(self) -> float:
        """Fraction of the learning rate: a warm-up, then half a cosine down to nothing."""
        warm = min(1.0, (self.step + 1) / self.settings.warmup)
        return warm * 0.5 * (1 + math.cos(math.pi * self.step / self.settings.steps))

    def _loss(self) -> Tensor:
        images, targets = [], []
        for place in range(self.step * self.settings.batch, (self.step + 1) * self.settings.batch):
            random = np.random.default_rng((self.settings.seed, place))
            sample = self.samples[self._turn_of(place)]
            image, target = training_image(
                sample, self.net, self.settings.augmentation, self.settings.shape, random
            )
            images.append(image.to(self.device))
            targets.append({key: value.to(self.device) for key, value in target.items()})

        self.detector.train()
        losses = self.detector(images, targets)
        total: Tensor = losses[self.detector.cls_key] + losses[self.detector.box_reg_key]
        return total

    def _turn_of(self, place: int) -> int:
        """The sample at a place of the endless sequence.

        Every round takes all of them, in an order of its own.
        """
        around, within = divmod(place, len(self.samples))
        return int(
            np.random.default_rng((self.settings.seed, around, 1)).permutation(len(self.samples))[
                within
            ]
        )
