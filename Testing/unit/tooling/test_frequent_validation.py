"""The plug-in with which the picture of a training is taken."""

from __future__ import annotations

import pytest
from support.trainings import frequent_validation

from rprloc.worker.job import Registry
from rprtrain.optimization.schedule import TrainingSchedule


def test_the_plugin_changes_only_how_often_a_training_is_validated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TrainingSchedule, "__init__", TrainingSchedule.__init__)
    plain = TrainingSchedule(300)
    frequent_validation.register(Registry())
    often = TrainingSchedule(300)
    assert often.validate_every == frequent_validation.VALIDATE_EVERY < plain.validate_every
    numbers = {name: n for name, n in vars(plain).items() if isinstance(n, int | float)}
    changed = {name for name, number in numbers.items() if vars(often)[name] != number}
    assert changed == {"validate_every"}
