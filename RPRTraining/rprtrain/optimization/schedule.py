"""How long and how a stage is trained, and what its training looked like."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..atlas.cross_patient import CrossPatientPairs
from ..distributed import ProcessGroup
from .control import Control
from .events import OnEvent, ignore_events
from .step import StepFigures

WARM_UP_STEPS = 200
# The learning rate falls along a half cosine from its peak to this fraction of it.
LAST_RATE = 0.01
SHORTEST_S = 1e-9


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
        report_every, validate_every: steps.
        sign_of_life_s: seconds between two events at most, slow steps aside.
        stop: asked before every step; True ends the training early, and keeps the best so far.
        control: pause and stop, instead of ``stop``.
        report: gets the progress lines.
        on_event: gets the same as events.
        on_saved: called after every checkpoint.
        batch: volumes per step, shared out among the processes of ``group``.
        cross_patient: pairs across patients in the later part of the training; None: views of one
            CT only.
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
    cross_patient: CrossPatientPairs | None = None
    control: Control | None = None
    on_event: OnEvent = ignore_events
    on_saved: Callable[[], None] = lambda: None
    batch: int = 1
    group: ProcessGroup = field(default_factory=ProcessGroup)

    def fraction_done(self, history: History) -> float:
        """From 0 to 1."""
        if self.minutes is not None:
            return min(1.0, history.seconds / (self.minutes * 60))
        return min(1.0, history.steps / max(1, self.steps))

    def seconds_left(self, history: History, steps_per_second: float) -> float:
        """What the clock leaves, or what the remaining steps take."""
        if self.minutes is not None:
            return self.minutes * 60 - history.seconds
        return (self.steps - history.steps) / steps_per_second

    def pairs_patients(self, done: float) -> CrossPatientPairs | None:
        """The pairs across patients, if they are drawn at this fraction of the training."""
        cross_patient = self.cross_patient
        return cross_patient if cross_patient is not None and done >= cross_patient.start else None


@dataclass
class History:
    """What a stage's training looked like; part of the checkpoint and of the model card."""

    curve: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    stopped_early: bool = False
    notes: list[str] = field(default_factory=list)


def learning_rate(peak: float, step: int, done: float) -> float:
    """A linear warm-up, then a half cosine over the fraction that is done."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return peak * warm * (0.5 * (1 + math.cos(math.pi * done)) * (1 - LAST_RATE) + LAST_RATE)


@dataclass
class RecentSteps:
    """The steps since the last report.

    Attributes:
        since_s: seconds of training at that report.
        figures: of each step.
    """

    since_s: float = 0.0
    figures: list[StepFigures] = field(default_factory=list)

    def means(self, now_s: float) -> MeanFigures:
        """Means of the steps and what a second holds; only where there are steps."""
        count = len(self.figures)
        seconds = max(SHORTEST_S, now_s - self.since_s)
        return MeanFigures(
            loss=round(sum(f.loss for f in self.figures) / count, 4),
            pair_mm=round(sum(f.mean_mm for f in self.figures) / count, 2),
            near_mm=round(sum(f.near_mm for f in self.figures) / count, 2),
            cells_per_second=sum(f.cells for f in self.figures) / seconds,
            steps_per_second=count / seconds,
        )


@dataclass(frozen=True)
class MeanFigures:
    """Means of some steps, as they are reported: loss, errors in mm, and the pace."""

    loss: float
    pair_mm: float
    near_mm: float
    cells_per_second: float
    steps_per_second: float

    def errors(self) -> dict[str, float]:
        """The part that the curve and the events hold, by their names."""
        return {"loss": self.loss, "pair_mm": self.pair_mm, "near_mm": self.near_mm}
