"""A plug-in of the training worker for pictures: it validates every few steps, not every 500.

A training of minutes has a few hundred steps, and so would show one validation. What is measured,
and how the network is trained, stay as they are.
"""

from __future__ import annotations

from typing import Any

from rprloc.worker.job import Registry

VALIDATE_EVERY = 20


def register(registry: Registry) -> None:
    """Change the schedule of every training of this worker; add no method."""
    from rprtrain.optimization.schedule import TrainingSchedule

    plain = TrainingSchedule.__init__

    def often(self: TrainingSchedule, *args: Any, **settings: Any) -> None:
        plain(self, *args, **{"validate_every": VALIDATE_EVERY, **settings})

    TrainingSchedule.__init__ = often  # type: ignore[method-assign]
