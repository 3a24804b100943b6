"""A training while it runs: what was asked for, whom to tell, and its record on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rprloc.errors import InputError

from ..distributed import ProcessGroup
from ..optimization.control import Control
from ..optimization.events import Kind, OnEvent, TrainingEvent
from ..optimization.trainer import Trainer
from .record import RunRecord
from .request import TrainingRequest


@dataclass
class TrainingSession:
    """A training while it runs.

    Attributes:
        request: what to train.
        control: what the user wants.
        report: gets lines for people.
        on_event: gets events for programs.
        record: how far it is, for another session to go on.
        group: the processes that train together.
    """

    request: TrainingRequest
    control: Control
    report: Callable[[str], None]
    on_event: OnEvent
    record: RunRecord
    group: ProcessGroup = field(default_factory=ProcessGroup)

    @property
    def batch(self) -> int:
        """Volumes per step: one per process unless the request asks for more; raises InputError."""
        batch = max(self.request.batch, self.group.size)
        if batch % self.group.size:
            raise InputError(
                f"--batch {batch} cannot be shared by {self.group.size} processes:"
                " choose a multiple"
            )
        return batch

    def all_agree(self, value: bool) -> bool:
        """What the leader of the group answered, in every process."""
        return self.group.share(float(value), self.request.device) > 0

    def tell(self, kind: Kind, stage: str, message: str, fraction: float = 0.0) -> None:
        """Send an event without figures."""
        self.on_event(TrainingEvent(kind, stage, fraction=fraction, message=message))

    def pause(self, stage: str, reason: str) -> None:
        """Tell that something must be done before the training can go on."""
        self.report(reason)
        self.tell("paused", stage, reason)

    def record_progress(self, trainer: Trainer) -> None:
        """Write how far it is, after a checkpoint; raises OutputError."""
        self.record.stage, self.record.step = trainer.stage.name, trainer.history.steps
        self.record.fraction = round(trainer.progress(), 4)
        self.record.write()
