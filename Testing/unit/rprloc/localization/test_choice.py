"""Several models for one question: who is asked first, and whose answer counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from support.phantoms import OBLIQUE, body_volume

from rprloc.image.volume import Volume
from rprloc.localization.choice import Located, by_reference, locate_with_best
from rprloc.localization.result import Result
from rprloc.localization.status import LOW_CONFIDENCE, OK, OUTSIDE, Status
from rprloc.localization.template import Example, Template, TemplateTarget

Answers = Mapping[str, tuple[Status, float | None]]


@pytest.fixture(scope="module")
def ct() -> Volume:
    return body_volume(OBLIQUE, at=OBLIQUE.bounds().center - [0, 0, 40], scale=0.25)


@dataclass
class Model:
    """A model that answers as it is told, and remembers what it was asked."""

    name: str
    answers: Answers
    asked: list[list[str]] = field(default_factory=list)

    @property
    def template(self) -> Template:
        point = np.zeros((1, 3), dtype=np.float32)
        example = Example("reference", None, point, point, None)
        targets = tuple(TemplateTarget(name, "landmark", (example,)) for name in self.answers)
        return Template({"name": self.name}, "", targets)

    def search(self, volume: Volume, template: Template) -> Located:
        names = [target.name for target in template.targets]
        self.asked.append(names)
        return Located([self._result(name) for name in names], {"embed": 1.0})

    def _result(self, name: str) -> Result:
        status, radius = self.answers[name]
        found = Result("q", name, "landmark", status, center=np.zeros(3), radius90_mm=radius)
        return replace(found, model=self.name)


def whose(models: list[Model], ct: Volume) -> dict[str, str]:
    return {result.target: result.model for result in locate_with_best(models, ct).results}


def test_a_model_that_is_sure_of_all_is_asked_alone(ct: Volume) -> None:
    first = Model("first", {"a": (OK, 9.0), "b": (OK, 8.0)})
    second = Model("second", {"a": (OK, 1.0), "b": (OK, 1.0)})
    assert whose([first, second], ct) == {"a": "first", "b": "first"}
    assert second.asked == []


def test_the_other_model_is_asked_for_what_the_first_one_doubts(ct: Volume) -> None:
    first = Model("first", {"a": (OK, 9.0), "b": (LOW_CONFIDENCE, 60.0), "c": (OUTSIDE, 90.0)})
    second = Model("second", {"a": (OK, 1.0), "b": (OK, 9.0), "c": (LOW_CONFIDENCE, 70.0)})
    assert whose([first, second], ct) == {"a": "first", "b": "second", "c": "second"}
    assert second.asked == [["b", "c"]]


def test_of_two_that_doubt_the_surer_one_counts(ct: Volume) -> None:
    first = Model("first", {"a": (LOW_CONFIDENCE, 40.0), "b": (LOW_CONFIDENCE, 40.0)})
    second = Model("second", {"a": (LOW_CONFIDENCE, 39.0), "b": (LOW_CONFIDENCE, 30.0)})
    assert whose([first, second], ct) == {"a": "first", "b": "second"}


def test_rows_stay_in_the_order_of_the_targets_and_times_add_up(ct: Volume) -> None:
    first = Model("first", {"b": (LOW_CONFIDENCE, 40.0), "a": (OK, 4.0)})
    second = Model("second", {"b": (OK, 3.0), "a": (OK, 3.0)})
    located = locate_with_best([first, second], ct)
    assert [result.target for result in located.results] == ["b", "a"]
    assert located.seconds == {"embed": 2.0}


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ((OK, 12.0), (OK, 5.0)),
        ((LOW_CONFIDENCE, 5.0), (OK, 12.0)),
        ((OK, None), (OK, 12.0)),
    ],
)
def test_the_model_that_finds_the_targets_on_their_reference_comes_first(
    ct: Volume, here: tuple[Status, float | None], there: tuple[Status, float | None]
) -> None:
    worse, better = Model("worse", {"a": here}), Model("better", {"a": there})
    assert [m.name for m in by_reference([worse, better], ct)] == ["better", "worse"]


def test_a_single_model_is_not_tried_on_the_reference(ct: Volume) -> None:
    alone = Model("alone", {"a": (OK, 3.0)})
    assert by_reference([alone], ct) == [alone]
    assert alone.asked == []
