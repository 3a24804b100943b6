"""What a training tells while it runs, for programs; the same as the text lines, in numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal[
    "reading",
    "begin",
    "step",
    "validation",
    "note",
    "saved",
    "paused",
    "continued",
    "exported",
    "finished",
]


@dataclass(frozen=True)
class TrainingEvent:
    """One thing that happened.

    Attributes:
        kind: ``reading`` (the CTs), ``begin`` (of a stage), ``step`` (figures of the last steps),
            ``validation``, ``note`` (something was changed or left out), ``saved`` (checkpoint),
            ``paused`` (on request, or because something must be done first: see ``message``),
            ``continued``, ``exported``, ``finished``.
        stage: ``coarse`` or ``fine``.
        step, fraction: done of this stage; the fraction from 0 to 1.
        message: one line for people.
        loss: mean of the last steps.
        pair_mm, near_mm: mean error of all pairs and of near ones, on the training CTs.
        validation: figures on held-out CTs (``rprtrain.optimization.validation.Validation``).
        throughput: cells of the latent field x volumes per second.
        seconds_left: of this stage.
    """

    kind: Kind
    stage: str = ""
    step: int = 0
    fraction: float = 0.0
    message: str = ""
    loss: float | None = None
    pair_mm: float | None = None
    near_mm: float | None = None
    validation: dict[str, float | None] | None = None
    throughput: float | None = None
    seconds_left: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object without the fields that are None."""
        return {key: value for key, value in asdict(self).items() if value is not None}


OnEvent = Callable[[TrainingEvent], None]


def ignore_events(event: TrainingEvent) -> None:
    """Do nothing: for trainings that nobody watches."""
