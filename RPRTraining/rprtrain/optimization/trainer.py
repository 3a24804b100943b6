"""The training loop of one stage: progress, validation, checkpoints, resume, pause, early stop."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rprloc.errors import InputError, is_out_of_memory
from rprloc.model.pnet import Pnet

from ..atlas.atlas import Atlas
from ..atlas.cross_patient import CrossPatientPairs
from ..checkpoint import load_checkpoint, save_checkpoint
from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from .averaging import BestCheckpoint, ExponentialMovingAverage, better
from .batch import batch_gradients
from .control import Control, retry_until_written
from .events import Kind, TrainingEvent
from .schedule import History, MeanFigures, RecentSteps, TrainingSchedule, learning_rate
from .step import StepFigures, StepResult, run_step
from .validation import Validation, validate

# From this fraction on, BatchNorm uses its running statistics, which are those used at inference.
FROZEN_FROM = 0.6
# With a time limit, steps may be few: one validation at this fraction, to have something to see.
FIRST_LOOK = 0.1
WEIGHT_DECAY = 1e-3
LARGEST_GRADIENT = 1.0
STATE_KEYS = ("step", "seed", "stage", "history", "net", "average", "optimizer")


class Trainer:
    """Trains one stage on volumes in memory.

    Attributes:
        stage: the settings. working: the same, smaller where memory ran out.
        schedule: how long, and whom to tell.
        net: the network that is trained. average: its averaged weights.
        history: what happened so far.
        kept: the network to export after ``run``: the averaged weights at the end of the schedule,
            or the best validated ones of a training that was stopped early.

    Example:
        >>> trainer = Trainer(COARSE, TrainingSchedule(6000), cts, held_out, device, path)
        >>> trainer.run().pair_mm
    """

    def __init__(
        self,
        stage: StageConfig,
        schedule: TrainingSchedule,
        training: list[TrainingVolume],
        held_out: list[TrainingVolume],
        device: torch.device,
        checkpoint: Path,
    ) -> None:
        self.stage, self.schedule, self.device, self.path = stage, schedule, device, checkpoint
        self.working = stage
        self.control = schedule.control or Control(schedule.stop)
        self.group = schedule.group
        self.training = [v.to(device) for v in training]
        self.held_out = [v.to(device) for v in held_out]

        # Large CTs show more, but not as much more as they are larger.
        sizes = torch.tensor([float(v.hu.numel()) for v in training]).sqrt()
        self.sampling_weights = torch.cumsum(sizes / sizes.sum(), 0)

        torch.manual_seed(schedule.seed)
        self.net: nn.Module = Pnet(stage.net).to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.parallel = self.group.wrap(self.net)
        self.average = ExponentialMovingAverage(self.net)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=stage.learning_rate, weight_decay=WEIGHT_DECAY
        )

        self.history = History()
        self.kept = self.average.net
        self.best: BestCheckpoint | None = None
        self._recent = RecentSteps()
        self._validated: tuple[int, Validation] | None = None
        self._told_at = 0.0
        self._saved_at = time.monotonic()

    def begin_with(self, prepare: Callable[[nn.Module], None]) -> None:
        """Begin with weights that ``prepare`` puts into the network."""
        prepare(self.net)
        self.average = ExponentialMovingAverage(self.net)
        self.kept = self.average.net

    def resume(self) -> None:
        """Continue from the checkpoint.

        Raises:
            InputError: if there is none, or it belongs to other settings.
        """
        state = load_checkpoint(self.path, self.device, STATE_KEYS)
        if _stage_of(state["stage"]) != self.stage or state["seed"] != self.schedule.seed:
            raise InputError(
                f"{self.path}: the checkpoint was made with other settings; train without --resume"
            )

        self.net.load_state_dict(state["net"])
        self.average.net.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = History(**json.loads(state["history"]))
        self.working = _stage_of(state.get("working", state["stage"])) or self.stage
        self.best = BestCheckpoint.from_state(state["best"]) if state.get("best") else None
        self._recent = RecentSteps(self.history.seconds)

    def save(self) -> None:
        """Write the checkpoint atomically; where that fails, pause if somebody can end the pause.

        Raises:
            OutputError: if it fails and nobody can.
        """
        self._saved_at = time.monotonic()
        if not self.group.leads:
            return
        state = {
            "step": self.history.steps,
            "seed": self.schedule.seed,
            "stage": json.dumps(self.stage.to_json()),
            "working": json.dumps(self.working.to_json()),
            "history": json.dumps(asdict(self.history)),
            "net": self.net.state_dict(),
            "average": self.average.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": None if self.best is None else self.best.to_state(),
        }

        def write() -> None:
            save_checkpoint(self.path, state)
            self.schedule.on_saved()

        retry_until_written(write, self.control, lambda reason: self._tell("paused", reason))
        self._saved_at = time.monotonic()
        self._tell("saved")

    def progress(self) -> float:
        """Fraction done, 0 to 1."""
        return self.schedule.fraction_done(self.history)

    def run(self) -> Validation:
        """Train to the end of the schedule or until asked to stop.

        Returns:
            The validation of what is ``kept``.
        """
        self.history.stopped_early = False
        self._saved_at = time.monotonic()

        while self.progress() < 1.0:
            if not self._go_on():
                self.history.stopped_early = True
                break
            self._timed_step()
            self._report_when_due()
            if self.history.steps % self.schedule.validate_every == 0 or self._first_look_due():
                self._validate()
            if time.monotonic() - self._saved_at > self.schedule.save_every_s:
                self.save()

        if self._validated is None or self._validated[0] != self.history.steps:
            self._validate()
        assert self._validated is not None
        self.save()
        return self._keep(self._validated[1])

    def _first_look_due(self) -> bool:
        return (
            self.schedule.minutes is not None
            and self._validated is None
            and self.progress() >= FIRST_LOOK
        )

    def _go_on(self) -> bool:
        """Obey the user: False to stop; a pause is sat out here."""
        requested_action = self.control.requested_action() if self.group.leads else "go"
        if requested_action == "pause":
            self.save()
            self._tell("paused")
            requested_action = self.control.wait()
            self._tell("continued")
            self._saved_at = time.monotonic()
        return self.group.share(float(requested_action != "stop"), self.device) > 0

    def _keep(self, last: Validation) -> Validation:
        """Choose what to export, and return its validation."""
        self.kept = self.average.net
        best = self.best
        if not self.history.stopped_early or best is None or best.step == self.history.steps:
            return last
        self.kept = copy.deepcopy(self.average.net)
        self.kept.load_state_dict(best.weights)
        self._note(f"stopped: kept the weights of step {best.step}, whose validation was the best")
        return best.validation

    def _timed_step(self) -> None:
        """One step; the processes agree on how long it took, so that they end together."""
        started = time.monotonic()
        figures = self._step_that_fits()
        if figures is not None:
            self._recent.figures.append(figures)
        seconds = self.history.seconds + time.monotonic() - started
        self.history.seconds = self.group.share(seconds, self.device)

    def _step_that_fits(self) -> StepFigures | None:
        """One step; where memory runs out, the same step again with less in it."""
        while True:
            try:
                return self._step()
            except (RuntimeError, MemoryError) as error:
                # Processes with different steps would wait for each other for ever.
                alone = self.group.size == 1
                smaller = self.working.smaller() if alone and is_out_of_memory(error) else None
                if smaller is None:
                    raise
            # Outside of the handler: its traceback would keep the tensors of the failed step alive.
            self.optimizer.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self.working = smaller
            self._note(f"out of memory: going on with {smaller.describe_size()}")

    def _step(self) -> StepFigures | None:
        """One step of the optimizer; None where the views held too little for one."""
        done = self.progress()
        rate = learning_rate(self.stage.learning_rate, self.history.steps, done)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = rate
        self._set_mode(done)

        one = self.schedule.batch == 1
        figures = self._gradients(done) if one else self._batch_gradients(done)
        if figures is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), LARGEST_GRADIENT)
            self.optimizer.step()

        self.history.steps += 1
        if figures is not None:
            self.average.update(self.net, self.history.steps)
        return figures

    def _set_mode(self, done: float) -> None:
        self.net.train()
        if done >= FROZEN_FROM:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.eval()

    def _gradients(self, done: float) -> StepFigures | None:
        """The gradients of one volume; None where its views hold too little."""
        key = (self.schedule.seed, self.stage.name, self.history.steps)
        result = self._losses(done, RandomStream(*key))
        if result is None:
            return None
        self.optimizer.zero_grad()
        result.loss.backward()
        return result.figures()

    def _batch_gradients(self, done: float) -> StepFigures:
        """The gradients of the mean loss of a batch."""
        key = (self.schedule.seed, self.stage.name, self.history.steps)
        self.optimizer.zero_grad()

        def losses(item: int, attempt: int) -> StepResult | None:
            return self._losses(done, RandomStream(*key, item, attempt))

        return batch_gradients(self.net, self.parallel, self.schedule.batch, self.group, losses)

    def _losses(self, done: float, rng: RandomStream) -> StepResult | None:
        """The losses of one CT that is drawn, and of its partner if there is one."""
        pairs = self.schedule.pairs_patients(done)
        atlas = None if pairs is None else self._atlas(pairs)
        drawn = torch.searchsorted(self.sampling_weights, rng.uniform())
        index = int(drawn.clamp_max(len(self.training) - 1))
        partner = None
        if pairs is not None and atlas is not None:
            partner = pairs.partner(atlas, self.training, index, rng)
        return run_step(self.parallel, self.training[index], self.working, rng, partner)

    def _atlas(self, pairs: CrossPatientPairs) -> Atlas:
        """The atlas; the group's leader makes it, and nothing is lost if that is interrupted."""
        if pairs.ready:
            return pairs.atlas(self.average.net, self.training, self.device)
        if self.group.leads:
            if not pairs.path.exists():
                self.save()
            pairs.atlas(self.average.net, self.training, self.device)
        self.group.wait()

        atlas = pairs.atlas(self.average.net, self.training, self.device)
        weights = pairs.sampling_weights(atlas, self.training)
        if weights is not None:
            self.sampling_weights = torch.cumsum(weights / weights.sum(), 0)
        return atlas

    def _report_when_due(self) -> None:
        """A line, an event and a point of the curve every so many steps; between them, events.

        On a CPU, two reports are more than a minute apart.
        """
        if not self._recent.figures:
            return
        history, schedule = self.history, self.schedule
        due = history.steps % schedule.report_every == 0
        if not due and time.monotonic() - self._told_at <= schedule.sign_of_life_s:
            return

        means = self._recent.means(history.seconds)
        left = schedule.seconds_left(history, means.steps_per_second)
        text = ""
        if due:
            history.curve.append({"step": history.steps, **means.errors()})
            self._recent = RecentSteps(history.seconds)
            text = self._report_line(means, left)
            schedule.report(text)
        self._told_at = time.monotonic()
        self._tell(
            "step",
            text,
            **means.errors(),
            throughput=round(means.cells_per_second, 1),
            seconds_left=round(max(0.0, left), 1),
        )

    def _report_line(self, means: MeanFigures, left: float) -> str:
        return (
            f"{self.stage.name} step {self.history.steps} ({100 * self.progress():.0f} %):"
            f" loss {means.loss:.3f}, mean pair error {means.pair_mm:.1f} mm"
            f" (near {means.near_mm:.1f}), {means.steps_per_second:.2f} steps/s,"
            f" {left / 60:.0f} min left"
        )

    def _validate(self) -> None:
        result = validate(self.average.net, self.held_out, self.stage)
        self.history.curve.append({"step": self.history.steps, "validation": result.to_json()})

        match = "" if result.match_mm is None else f", descriptor match {result.match_mm:.1f} mm"
        text = (
            f"{self.stage.name} step {self.history.steps}: held-out pair error"
            f" {result.pair_mm:.1f} mm (near {result.near_mm:.1f};"
            f" mean offset would be {result.mean_offset_mm:.1f}){match}"
        )
        self.schedule.report(text)
        self._tell("validation", text, validation=result.to_json())

        phase = int(self.schedule.pairs_patients(self.progress()) is not None)
        self.best = better(self.best, self.history.steps, phase, result, self.average.net)
        self._validated = (self.history.steps, result)

    def _note(self, text: str) -> None:
        """Something the user should know, kept for the card."""
        note = f"step {self.history.steps}: {text}"
        self.history.notes.append(note)
        self.schedule.report(f"{self.stage.name} {note}")
        self._tell("note", note)

    def _tell(self, kind: Kind, message: str = "", **figures: Any) -> None:
        if not self.group.leads:
            return
        place = (self.stage.name, self.history.steps, round(self.progress(), 4))
        self.schedule.on_event(TrainingEvent(kind, *place, message, **figures))


def _stage_of(text: str) -> StageConfig | None:
    """The settings that a checkpoint holds as JSON; None for what are not settings."""
    try:
        return StageConfig.from_json(json.loads(text))
    except (TypeError, KeyError, ValueError):
        return None
