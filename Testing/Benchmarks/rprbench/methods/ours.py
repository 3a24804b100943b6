"""Our method as it is used: the dense field, the steps of Table 2, the starts of Table 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rprloc.geometry import Box, Points
from rprloc.image.volume import Volume
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.locator import Locator, Options, box_walls
from rprloc.localization.result import Result
from rprloc.localization.steps import Steps
from rprloc.localization.template import Template
from rprloc.model.finding import find_model
from rprloc.model.loading import ModelPair, load_model
from rprloc.targets.target import Target, target_from_point

from ..core.cohort import Patient
from ..core.method import Answers, Context, Detection, Method

MODEL = "han-ct"
STEPS: dict[str, Steps] = {
    "ours-coarse": "coarse",
    "ours-coarse2": "coarse2",
    "ours-coarse3": "coarse3",
    "ours-fine": "fine",
}
STEP_TITLES = {
    "ours-coarse": "Ours, coarse x 1",
    "ours-coarse2": "Ours, coarse x 2",
    "ours-coarse3": "Ours, coarse x 3",
    "ours-fine": "Ours, coarse + fine",
}
RUNS: tuple[int | None, ...] = (1, 5, 10, 15, 20, None)
LOWER, UPPER = ":lower", ":upper"


def _label(runs: int | None) -> str:
    return "all" if runs is None else f"k{runs}"


def _in_words(runs: int | None) -> str:
    return "all cells" if runs is None else f"K = {runs}"


RUN_TITLES = {
    f"{points}-{_label(k)}": f"{title}, {_in_words(k)}"
    for points, title in (("diagonal", "Diagonal points"), ("coarse", "Extreme points"))
    for k in RUNS
}


def model_of(context: Context) -> ModelPair:
    """The bundled model on the context's device."""
    return load_model(find_model(MODEL), torch.device(context.device))


def chosen(titles: dict[str, str], only: Iterable[str] | None) -> dict[str, str]:
    """The titles asked for; raises KeyError for an id that is not there."""
    return titles if only is None else {variant: titles[variant] for variant in only}


def asked_for(template: Template, names: Sequence[str]) -> Template:
    """The template with the targets of these names only."""
    return replace(template, targets=tuple(t for t in template.targets if t.name in names))


def detection_of(result: Result) -> Detection:
    """An answer of the engine; its box counts whatever its status says."""
    assert result.center is not None and result.size is not None
    box = Box.from_center_size(result.center, result.size)
    return Detection(box, result.status, result.spread_mm, result.cycle_mm)


class Ours(Method):
    """Table 2: the coarse network once, twice, three times, and coarse + fine.

    The last is what the extension does.
    """

    name = "ours"

    def __init__(self, context: Context, only: Iterable[str] | None = None) -> None:
        super().__init__(context)
        self._titles = chosen(STEP_TITLES, only)
        model = model_of(context)
        self.locators = {v: Locator(model, Options(steps=STEPS[v])) for v in self._titles}
        self.locator = next(iter(self.locators.values()))

    @property
    def variants(self) -> dict[str, str]:
        """The steps that were asked for."""
        return self._titles

    def settings(self) -> dict[str, Any]:
        """The model, by the hash of its weights."""
        return {"model": self.locator.model.card.identity}

    def prepare(self, reference: Patient) -> Template:
        """Template of all organs."""
        return self.locator.make_template(
            self.locator.embed(reference.volume), list(reference.organs.values())
        )

    def encode(self, query: Volume) -> EmbeddedVolume:
        """Dense field of the query."""
        return self.locator.embed(query)

    def find(self, encoded: EmbeddedVolume, prepared: Template, organs: Sequence[str]) -> Answers:
        """Locate the organs with every step."""
        template = asked_for(prepared, organs)
        return {
            variant: {r.target: detection_of(r) for r in locator.locate(encoded, template)}
            for variant, locator in self.locators.items()
        }


class Runs(Method):
    """Table 1: extreme or diagonal points, from K random starts or from all cells.

    The coarse network locates them, in one step.
    """

    name = "runs"

    def __init__(self, context: Context, seed: int = 0) -> None:
        super().__init__(context)
        self.seed = seed
        self.locator = Locator(model_of(context), Options(steps="coarse"))

    @property
    def variants(self) -> dict[str, str]:
        """Extreme and diagonal points, with every number of starts."""
        return RUN_TITLES

    def settings(self) -> dict[str, Any]:
        """The model, and the seed and numbers of the starts."""
        return {"model": self.locator.model.card.identity, "seed": self.seed, "starts": list(RUNS)}

    def prepare(self, reference: Patient) -> tuple[Template, Template]:
        """Templates of the organs, and of the lower and upper corners of their boxes."""
        embedding = self.locator.embed(reference.volume)
        organs = list(reference.organs.values())
        corners = [corner for organ in organs for corner in corner_targets(organ)]
        return self.locator.make_template(embedding, organs), self.locator.make_template(
            embedding, corners
        )

    def encode(self, query: Volume) -> EmbeddedVolume:
        """Dense field of the query."""
        return self.locator.embed(query)

    def find(
        self, encoded: EmbeddedVolume, prepared: tuple[Template, Template], organs: Sequence[str]
    ) -> Answers:
        """Locate extreme points and corners with every number of starts."""
        extreme = asked_for(prepared[0], organs)
        diagonal = asked_for(prepared[1], corner_names(organs))
        answers: Answers = {}
        for runs in RUNS:
            answers[f"coarse-{_label(runs)}"] = {
                r.target: detection_of(r) for r in self._locator(runs).locate(encoded, extreme)
            }
            located = {r.target: r.center for r in self._locator(runs).locate(encoded, diagonal)}
            answers[f"diagonal-{_label(runs)}"] = {
                organ: Detection(box_between(located[organ + LOWER], located[organ + UPPER]))
                for organ in organs
            }

        return answers

    def _locator(self, runs: int | None) -> Locator:
        return Locator(self.locator.model, Options(runs=runs, steps="coarse", seed=self.seed))


def corner_targets(organ: Target) -> list[Target]:
    """The two diagonal points of an organ's box (Fig. 3a) as landmarks."""
    assert organ.box is not None
    corners = ((LOWER, organ.box.lower), (UPPER, organ.box.upper))
    return [
        target_from_point(organ.name + suffix, Points(corner[None])) for suffix, corner in corners
    ]


def corner_names(organs: Sequence[str]) -> list[str]:
    """Names of the diagonal points of the organs."""
    return [organ + suffix for organ in organs for suffix in (LOWER, UPPER)]


def box_between(first: np.ndarray | None, second: np.ndarray | None) -> Box | None:
    """The box with two located points (3,) as corners, in whichever order they came out."""
    if first is None or second is None:
        return None
    return Box(np.minimum(first, second), np.maximum(first, second))


def box_of_points(points: np.ndarray) -> Box:
    """The box through six located extreme points (6, 3) LPS mm."""
    return Box(*box_walls(points))
