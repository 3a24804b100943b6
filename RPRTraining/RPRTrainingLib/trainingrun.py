"""A training as the panel sees it: what the worker has told so far."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from RPRLocalizationLib.jobs.workerjob import Problem
from slicer.i18n import tr as _


class RunState(enum.Enum):
    """What a training does."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclass
class RunListener:
    """Whom a training tells; any may be left out. onFinished(result or None, Problem or None)."""

    onChanged: Callable[[], None] = lambda: None
    onLog: Callable[[str, str], None] = lambda level, text: None
    onFinished: Callable[[Any, Problem | None], None] = lambda result, problem: None


@dataclass
class TrainingRun:
    """State and latest figures; ``take`` reads the events of ``train.start``.

    fraction: done of the whole training, 0 to 1. errorMm: of the latest steps on the training CTs;
    heldOutMm, guessMm: of the latest validation, and what always guessing the mean offset would
    give. message: why it is paused, or what it does before its first step.
    """

    name: str
    request: Any = None
    stageNames: tuple[str, ...] = ("coarse", "fine")
    state: RunState = RunState.STARTING
    stage: str = ""
    step: int = 0
    fraction: float = 0.0
    secondsLeft: float | None = None
    errorMm: float | None = None
    heldOutMm: float | None = None
    guessMm: float | None = None
    message: str = ""

    @property
    def active(self) -> bool:
        """True until it has ended."""
        return self.state != RunState.ENDED

    def take(self, event: dict[str, Any]) -> None:
        """Follow one event (``TrainingEvent`` of the engine, as JSON)."""
        kind = str(event.get("kind", ""))
        if event.get("stage") and event["stage"] != self.stage:
            self.stage, self.step = str(event["stage"]), 0
            self.errorMm = self.heldOutMm = self.guessMm = None
        self.step = max(self.step, int(event.get("step", 0)))
        self._takeProgress(event, kind)
        self._takeFigures(event)
        self._takeTexts(str(event.get("message", "")), kind)
        self._takeState(kind)

    def _takeProgress(self, event: dict[str, Any], kind: str) -> None:
        if "total_fraction" in event:
            self.fraction = float(event["total_fraction"])
        elif kind in ("step", "validation", "saved", "exported") and self.stage in self.stageNames:
            done = self.stageNames.index(self.stage) + float(event.get("fraction", 0.0))
            self.fraction = done / len(self.stageNames)
        left = event.get("total_seconds_left", event.get("seconds_left"))
        if left is not None:
            self.secondsLeft = float(left)

    def _takeFigures(self, event: dict[str, Any]) -> None:
        if event.get("pair_mm") is not None:
            self.errorMm = float(event["pair_mm"])
        validation = event.get("validation") or {}
        if validation.get("pair_mm") is not None:
            self.heldOutMm = float(validation["pair_mm"])
            self.guessMm = validation.get("mean_offset_mm")

    def _takeTexts(self, message: str, kind: str) -> None:
        if kind == "paused":
            self.message = message
        elif kind not in ("step", "note"):
            self.message = message or self.message

    def _takeState(self, kind: str) -> None:
        if kind == "paused":
            self.state = RunState.PAUSED
        elif kind == "continued" or (kind != "note" and self.state == RunState.STARTING):
            self.state = RunState.RUNNING

    def stageTitle(self) -> str:
        """The stage for people."""
        return {"coarse": _("coarse network"), "fine": _("fine network")}.get(
            self.stage, self.stage
        )
