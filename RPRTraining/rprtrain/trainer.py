"""The training loop of one stage: schedule, progress, validation, checkpoints, resume and early stop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rprloc.errors import InputError
from rprloc.pnet import Pnet

from .across import Across
from .average import AverageModel
from .checkpoint import load_checkpoint, save_checkpoint
from .config import StageConfig
from .dataset import TrainingVolume
from .dice import Dice
from .step import run_step
from .validate import Validation, validate

WARM_UP_STEPS = 200
FROZEN_FROM = 0.6


@dataclass
class Plan:
    """How long and how a stage is trained.

    Attributes:
        steps: length; used for the schedule unless ``minutes`` is given.
        minutes: wall-clock length instead; the schedule follows the clock, so a curve is repeated only with ``steps``.
        seed: of everything random.
        save_every_s: seconds between checkpoints.
        report_every, validate_every: steps.
        stop: asked before every step; True ends the training early, and keeps what it has.
        report: gets the progress lines.
        across: pairs across patients in the later part of the training; None: views of one CT only.
    """

    steps: int
    minutes: float | None = None
    seed: int = 0
    save_every_s: float = 60.0
    report_every: int = 50
    validate_every: int = 500
    stop: Callable[[], bool] = lambda: False
    report: Callable[[str], None] = print
    across: Across | None = None


@dataclass
class History:
    """What a stage's training looked like; part of the checkpoint and of the model card."""

    curve: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    stopped_early: bool = False


class Trainer:
    """Trains one stage on volumes in memory; see ``Plan``."""

    def __init__(
        self,
        stage: StageConfig,
        plan: Plan,
        training: list[TrainingVolume],
        held_out: list[TrainingVolume],
        device: torch.device,
        checkpoint: Path,
    ) -> None:
        self.stage, self.plan, self.device, self.path = stage, plan, device, checkpoint
        self.training = [v.to(device) for v in training]
        self.held_out = [v.to(device) for v in held_out]
        torch.manual_seed(plan.seed)
        self.net: nn.Module = Pnet(stage.net).to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.average = AverageModel(self.net)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=stage.learning_rate, weight_decay=1e-3)
        self.history = History()
        self._reported = 0.0
        self._validated: tuple[int, Validation] | None = None
        sizes = torch.tensor([float(v.hu.numel()) for v in training])
        self.chances = torch.cumsum(sizes.sqrt() / sizes.sqrt().sum(), 0)

    def resume(self) -> None:
        """Continue from the checkpoint; raises InputError if there is none or it belongs to other settings."""
        state = load_checkpoint(self.path, self.device)
        if state["stage"] != json.dumps(self.stage.to_json()) or state["seed"] != self.plan.seed:
            raise InputError(f"{self.path}: the checkpoint was made with other settings; train without --resume")
        self.net.load_state_dict(state["net"])
        self.average.net.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = History(**json.loads(state["history"]))
        self._reported = self.history.seconds

    def save(self) -> None:
        """Write the checkpoint atomically."""
        save_checkpoint(
            self.path,
            {
                "step": self.history.steps,
                "seed": self.plan.seed,
                "stage": json.dumps(self.stage.to_json()),
                "history": json.dumps(self.history.__dict__),
                "net": self.net.state_dict(),
                "average": self.average.net.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
        )

    def progress(self) -> float:
        """Fraction done, 0 to 1."""
        if self.plan.minutes is not None:
            return min(1.0, self.history.seconds / (self.plan.minutes * 60))
        return min(1.0, self.history.steps / max(1, self.plan.steps))

    def run(self) -> Validation:
        """Train to the end of the plan or until asked to stop; returns the last validation."""
        self.history.stopped_early = False
        saved = time.monotonic()
        recent: list[tuple[float, float, float]] = []
        while self.progress() < 1.0:
            if self.plan.stop():
                self.history.stopped_early = True
                break
            started = time.monotonic()
            errors = self._step()
            if errors is not None:
                recent.append(errors)
            self.history.seconds += time.monotonic() - started
            if self.history.steps % self.plan.report_every == 0 and recent:
                self._report(recent)
                recent = []
            if self.history.steps % self.plan.validate_every == 0:
                self._validate()
            if time.monotonic() - saved > self.plan.save_every_s:
                self.save()
                saved = time.monotonic()
        if self._validated is None or self._validated[0] != self.history.steps:
            self._validate()
        assert self._validated is not None
        self.save()
        return self._validated[1]

    def _set_rate(self, done: float) -> None:
        warm = min(1.0, (self.history.steps + 1) / WARM_UP_STEPS)
        rate = self.stage.learning_rate * warm * (0.5 * (1 + math.cos(math.pi * done)) * 0.99 + 0.01)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _set_mode(self, done: float) -> None:
        """Train; in the last part with the running BatchNorm statistics, which are the ones used at inference."""
        self.net.train()
        if done >= FROZEN_FROM:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.eval()

    def _step(self) -> tuple[float, float, float] | None:
        done = self.progress()
        self._set_rate(done)
        self._set_mode(done)
        dice = Dice(self.plan.seed, self.stage.name, self.history.steps)
        index = int(torch.searchsorted(self.chances, dice.uniform()).clamp_max(len(self.training) - 1))
        partner = None
        if self.plan.across is not None and done >= self.plan.across.start:
            atlas = self.plan.across.atlas(self.average.net, self.training, self.device)
            partner = self.plan.across.partner(atlas, self.training, index, dice)
        result = run_step(self.net, self.training[index], self.stage, dice, partner)
        self.history.steps += 1
        if result is None:
            return None
        self.optimizer.zero_grad()
        result.loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.net, self.history.steps)
        return float(result.loss.detach()), result.near_mm, result.mean_mm

    def _report(self, recent: list[tuple[float, float, float]]) -> None:
        loss, near, mean = (sum(c) / len(recent) for c in zip(*recent, strict=True))
        done = self.progress()
        entry = {
            "step": self.history.steps,
            "loss": round(loss, 4),
            "pair_mm": round(mean, 2),
            "near_mm": round(near, 2),
        }
        self.history.curve.append(entry)
        rate = len(recent) / max(1e-9, self.history.seconds - self._reported)
        self._reported = self.history.seconds
        left = (self.plan.steps - self.history.steps) / rate
        if self.plan.minutes is not None:
            left = self.plan.minutes * 60 - self.history.seconds
        self.plan.report(
            f"{self.stage.name} step {self.history.steps} ({100 * done:.0f} %): loss {loss:.3f}, mean pair error"
            f" {mean:.1f} mm (near {near:.1f}), {rate:.2f} steps/s, {left / 60:.0f} min left"
        )

    def _validate(self) -> None:
        result = validate(self.average.net, self.held_out, self.stage)
        self.history.curve.append({"step": self.history.steps, "validation": result.to_json()})
        match = "" if result.match_mm is None else f", descriptor match {result.match_mm:.1f} mm"
        self.plan.report(
            f"{self.stage.name} step {self.history.steps}: held-out pair error {result.pair_mm:.1f} mm"
            f" (near {result.near_mm:.1f}; mean offset would be {result.mean_offset_mm:.1f}){match}"
        )
        self._validated = (self.history.steps, result)
