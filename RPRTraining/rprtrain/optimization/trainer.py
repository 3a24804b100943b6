"""The training loop of one stage: schedule, progress, validation, checkpoints, resume, pause and early stop."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rprloc.errors import InputError, is_out_of_memory
from rprloc.model.pnet import Pnet

from ..atlas.atlas import Atlas
from ..atlas.cross_patient import CrossPatientPairs
from ..checkpoint import load_checkpoint, save_checkpoint
from ..config import StageConfig, describe, reduced
from ..data.dataset import TrainingVolume
from ..distributed import ProcessGroup
from ..random_stream import RandomStream
from .averaging import BestCheckpoint, ExponentialMovingAverage, better
from .batch import batch_gradients
from .control import Control, retry_until_written
from .events import Kind, Tell, TrainingEvent, ignore_events
from .step import StepResult, run_step
from .validation import Validation, validate

WARM_UP_STEPS = 200
FROZEN_FROM = 0.6
FIRST_LOOK = 0.1


@dataclass
class TrainingSchedule:
    """How long and how a stage is trained.

    Attributes:
        steps: length; used for the schedule unless ``minutes`` is given.
        minutes: wall-clock length instead; the schedule follows the clock, so a curve is repeated
            only with ``steps``.
        seed: of everything random.
        save_every_s: seconds between checkpoints; with a step and a validation between, they are at
            most 60 apart.
        report_every, validate_every: steps. sign_of_life_s: seconds between two events at most,
            slow steps aside.
        stop: asked before every step; True ends the training early, and keeps the best so far.
        control: pause and stop, instead of ``stop``.
        report: gets the progress lines. tell: gets the same as events.
        saved: called after every checkpoint.
        batch: volumes per step, shared out among the processes of ``team``.
        across: pairs across patients in the later part of the training; None: views of one CT only.
    """

    steps: int
    minutes: float | None = None
    seed: int = 0
    save_every_s: float = 40.0
    report_every: int = 50
    sign_of_life_s: float = 2.0
    validate_every: int = 500
    stop: Callable[[], bool] = lambda: False
    report: Callable[[str], None] = print
    across: CrossPatientPairs | None = None
    control: Control | None = None
    tell: Tell = ignore_events
    saved: Callable[[], None] = lambda: None
    batch: int = 1
    team: ProcessGroup = field(default_factory=ProcessGroup)


@dataclass(frozen=True)
class StepFigures:
    """Of one step: loss, errors in mm, and latent cells seen."""

    loss: float
    near_mm: float
    mean_mm: float
    cells: int


@dataclass
class History:
    """What a stage's training looked like; part of the checkpoint and of the model card."""

    curve: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    stopped_early: bool = False
    notes: list[str] = field(default_factory=list)


class Trainer:
    """Trains one stage on volumes in memory; see ``TrainingSchedule``.

    ``kept``: the network to export after ``run``: the averaged weights at the end of the plan, or
    the best validated ones of a training that was stopped early. ``stage``: the settings;
    ``working``: the same, smaller where memory ran out.
    """

    def __init__(
        self,
        stage: StageConfig,
        plan: TrainingSchedule,
        training: list[TrainingVolume],
        held_out: list[TrainingVolume],
        device: torch.device,
        checkpoint: Path,
    ) -> None:
        self.stage, self.plan, self.device, self.path = stage, plan, device, checkpoint
        self.working = stage
        self.control = plan.control or Control(plan.stop)
        self.training = [v.to(device) for v in training]
        self.held_out = [v.to(device) for v in held_out]
        torch.manual_seed(plan.seed)
        self.net: nn.Module = Pnet(stage.net).to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.team = plan.team
        self.parallel = self.team.wrap(self.net)
        self.average = ExponentialMovingAverage(self.net)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=stage.learning_rate, weight_decay=1e-3
        )
        self.history = History()
        self.kept = self.average.net
        self.best: BestCheckpoint | None = None
        self._reported = 0.0
        self._told = 0.0
        self._saved = time.monotonic()
        self._validated: tuple[int, Validation] | None = None
        sizes = torch.tensor([float(v.hu.numel()) for v in training])
        self.sampling_weights = torch.cumsum(sizes.sqrt() / sizes.sqrt().sum(), 0)

    def begin_with(self, prepare: Callable[[nn.Module], None]) -> None:
        """Begin with weights that ``prepare`` puts into the network."""
        prepare(self.net)
        self.average = ExponentialMovingAverage(self.net)
        self.kept = self.average.net

    def resume(self) -> None:
        """Continue from the checkpoint; raises InputError if there is none or it belongs to other settings."""
        state = load_checkpoint(self.path, self.device)
        if state["stage"] != json.dumps(self.stage.to_json()) or state["seed"] != self.plan.seed:
            raise InputError(
                f"{self.path}: the checkpoint was made with other settings; train without --resume"
            )
        self.net.load_state_dict(state["net"])
        self.average.net.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = History(**json.loads(state["history"]))
        self.working = StageConfig.from_json(json.loads(state.get("working", state["stage"])))
        self.best = BestCheckpoint.from_state(state["best"]) if state.get("best") else None
        self._reported = self.history.seconds

    def save(self) -> None:
        """Write the checkpoint atomically; where that fails, pause with the reason if somebody can end the pause."""
        self._saved = time.monotonic()
        if not self.team.leads:
            return
        state = {
            "step": self.history.steps,
            "seed": self.plan.seed,
            "stage": json.dumps(self.stage.to_json()),
            "working": json.dumps(self.working.to_json()),
            "history": json.dumps(self.history.__dict__),
            "net": self.net.state_dict(),
            "average": self.average.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": None if self.best is None else self.best.to_state(),
        }

        def write() -> None:
            save_checkpoint(self.path, state)
            self.plan.saved()

        retry_until_written(write, self.control, lambda reason: self._tell("paused", reason))
        self._saved = time.monotonic()
        self._tell("saved")

    def progress(self) -> float:
        """Fraction done, 0 to 1."""
        if self.plan.minutes is not None:
            return min(1.0, self.history.seconds / (self.plan.minutes * 60))
        return min(1.0, self.history.steps / max(1, self.plan.steps))

    def run(self) -> Validation:
        """Train to the end of the plan or until asked to stop; returns the validation of what is ``kept``."""
        self.history.stopped_early = False
        self._saved = time.monotonic()
        recent: list[StepFigures] = []
        while self.progress() < 1.0:
            if not self._go_on():
                self.history.stopped_early = True
                break
            started = time.monotonic()
            figures = self._step_that_fits()
            if figures is not None:
                recent.append(figures)
            self.history.seconds += time.monotonic() - started
            self.history.seconds = self.team.share(self.history.seconds, self.device)
            if self.history.steps % self.plan.report_every == 0 and recent:
                self._report(recent)
                recent = []
            elif recent and time.monotonic() - self._told > self.plan.sign_of_life_s:
                self._sign_of_life(recent)
            if self.history.steps % self.plan.validate_every == 0 or self._first_look_due():
                self._validate()
            if time.monotonic() - self._saved > self.plan.save_every_s:
                self.save()
        if self._validated is None or self._validated[0] != self.history.steps:
            self._validate()
        assert self._validated is not None
        self.save()
        return self._keep(self._validated[1])

    def _first_look_due(self) -> bool:
        """With a time limit, steps may be few: validate early once, so that there is something to see."""
        return (
            self.plan.minutes is not None
            and self._validated is None
            and self.progress() >= FIRST_LOOK
        )

    def _go_on(self) -> bool:
        """Obey the user: False to stop; a pause is sat out here."""
        requested_action = self.control.requested_action() if self.team.leads else "go"
        if requested_action == "pause":
            self.save()
            self._tell("paused")
            requested_action = self.control.wait()
            self._tell("continued")
            self._saved = time.monotonic()
        return self.team.share(float(requested_action != "stop"), self.device) > 0

    def _keep(self, last: Validation) -> Validation:
        self.kept = self.average.net
        if (
            not self.history.stopped_early
            or self.best is None
            or self.best.step == self.history.steps
        ):
            return last
        self.kept = copy.deepcopy(self.average.net)
        self.kept.load_state_dict(self.best.weights)
        self._note(
            f"stopped: kept the weights of step {self.best.step}, whose validation was the best"
        )
        return self.best.validation

    def _step_that_fits(self) -> StepFigures | None:
        """One step; where memory runs out, the same step again with less in it."""
        while True:
            try:
                return self._step()
            except (RuntimeError, MemoryError) as error:
                alone = self.team.size == 1
                smaller = reduced(self.working) if alone and is_out_of_memory(error) else None
                if smaller is None:
                    raise
            # Outside of the handler: its traceback would keep the tensors of the failed step alive.
            self.optimizer.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self.working = smaller
            self._note(f"out of memory: going on with {describe(smaller)}")

    def _set_rate(self, done: float) -> None:
        warm = min(1.0, (self.history.steps + 1) / WARM_UP_STEPS)
        rate = (
            self.stage.learning_rate * warm * (0.5 * (1 + math.cos(math.pi * done)) * 0.99 + 0.01)
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _set_mode(self, done: float) -> None:
        """Train; in the last part with the running BatchNorm statistics, which are the ones used at inference."""
        self.net.train()
        if done >= FROZEN_FROM:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.eval()

    def _step(self) -> StepFigures | None:
        done = self.progress()
        self._set_rate(done)
        self._set_mode(done)
        figures = self._gradients(done) if self.plan.batch == 1 else self._batch_gradients(done)
        if figures is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
        self.history.steps += 1
        if figures is not None:
            self.average.update(self.net, self.history.steps)
        return figures

    def _gradients(self, done: float) -> StepFigures | None:
        """Of one volume; None where its views hold too little."""
        result = self._losses(
            done, RandomStream(self.plan.seed, self.stage.name, self.history.steps)
        )
        if result is None:
            return None
        self.optimizer.zero_grad()
        result.loss.backward()
        return StepFigures(
            float(result.loss.detach()), result.near_mm, result.mean_mm, result.cells
        )

    def _batch_gradients(self, done: float) -> StepFigures:
        key = (self.plan.seed, self.stage.name, self.history.steps)
        self.optimizer.zero_grad()

        def losses(item: int, attempt: int) -> StepResult | None:
            return self._losses(done, RandomStream(*key, item, attempt))

        loss, near, mean, cells = batch_gradients(
            self.net, self.parallel, self.plan.batch, self.team, losses
        )
        return StepFigures(loss, near, mean, round(cells))

    def _losses(self, done: float, dice: RandomStream) -> StepResult | None:
        index = int(
            torch.searchsorted(self.sampling_weights, dice.uniform()).clamp_max(
                len(self.training) - 1
            )
        )
        partner = None
        if self.plan.across is not None and done >= self.plan.across.start:
            partner = self.plan.across.partner(
                self._atlas(self.plan.across), self.training, index, dice
            )
        return run_step(self.parallel, self.training[index], self.working, dice, partner)

    def _atlas(self, across: CrossPatientPairs) -> Atlas:
        """The atlas; the leader of the team makes it, and nothing is lost if that is interrupted."""
        if not across.ready:
            if self.team.leads:
                if not across.path.exists():
                    self.save()
                across.atlas(self.average.net, self.training, self.device)
            self.team.wait()
        return across.atlas(self.average.net, self.training, self.device)

    def _report(self, recent: list[StepFigures]) -> None:
        """A line, an event and a point of the curve: means since the last report."""
        figures, cells, rate = self._means(recent)
        self.history.curve.append({"step": self.history.steps, **figures})
        left = self._seconds_left(rate)
        self._reported = self.history.seconds
        text = (
            f"{self.stage.name} step {self.history.steps} ({100 * self.progress():.0f} %): loss {figures['loss']:.3f},"
            f" mean pair error {figures['pair_mm']:.1f} mm (near {figures['near_mm']:.1f}), {rate:.2f} steps/s,"
            f" {left / 60:.0f} min left"
        )
        self.plan.report(text)
        self._tell_step(text, figures, cells, left)

    def _sign_of_life(self, recent: list[StepFigures]) -> None:
        """An event between two reports: on a CPU, they are more than a minute apart."""
        figures, cells, rate = self._means(recent)
        self._tell_step("", figures, cells, self._seconds_left(rate))

    def _tell_step(self, text: str, figures: dict[str, float], cells: float, left: float) -> None:
        self._told = time.monotonic()
        self._tell(
            "step",
            text,
            **figures,
            throughput=round(cells, 1),
            seconds_left=round(max(0.0, left), 1),
        )

    def _means(self, recent: list[StepFigures]) -> tuple[dict[str, float], float, float]:
        """Means of the steps since the last report, cells per second, steps per second."""
        loss, near, mean = (
            sum(getattr(f, key) for f in recent) / len(recent)
            for key in ("loss", "near_mm", "mean_mm")
        )
        spent = max(1e-9, self.history.seconds - self._reported)
        figures = {"loss": round(loss, 4), "pair_mm": round(mean, 2), "near_mm": round(near, 2)}
        return figures, sum(f.cells for f in recent) / spent, len(recent) / spent

    def _seconds_left(self, rate: float) -> float:
        if self.plan.minutes is not None:
            return self.plan.minutes * 60 - self.history.seconds
        return (self.plan.steps - self.history.steps) / rate

    def _validate(self) -> None:
        result = validate(self.average.net, self.held_out, self.stage)
        self.history.curve.append({"step": self.history.steps, "validation": result.to_json()})
        match = "" if result.match_mm is None else f", descriptor match {result.match_mm:.1f} mm"
        text = (
            f"{self.stage.name} step {self.history.steps}: held-out pair error {result.pair_mm:.1f} mm"
            f" (near {result.near_mm:.1f}; mean offset would be {result.mean_offset_mm:.1f}){match}"
        )
        self.plan.report(text)
        self._tell("validation", text, validation=result.to_json())
        phase = int(self.plan.across is not None and self.progress() >= self.plan.across.start)
        self.best = better(self.best, self.history.steps, phase, result, self.average.net)
        self._validated = (self.history.steps, result)

    def _note(self, text: str) -> None:
        """Something the user should know, kept for the card."""
        note = f"step {self.history.steps}: {text}"
        self.history.notes.append(note)
        self.plan.report(f"{self.stage.name} {note}")
        self._tell("note", note)

    def _tell(self, kind: Kind, message: str = "", **figures: Any) -> None:
        if not self.team.leads:
            return
        place = (self.stage.name, self.history.steps, round(self.progress(), 4))
        self.plan.tell(TrainingEvent(kind, *place, message, **figures))
