"""A plug-in of the training worker for pictures: it validates every few steps, not every 500.

A training of minutes has a few hundred steps, and so would show one validation. What is measured,
and how the network is trained, stay as they are.
"""

from __future__ import annotations

from functools import partial

from rprloc.worker.job import Registry
from rprtrain.run import train

VALIDATE_EVERY = 20


def register(registry: Registry) -> None:
    """Change the schedule of every training of this worker; add no method."""
    train.TrainingSchedule = partial(  # type: ignore[misc, assignment]
        train.TrainingSchedule, validate_every=VALIDATE_EVERY
    )
