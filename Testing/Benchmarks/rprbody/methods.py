"""What is compared: this product, registration, proportional mapping and gray-value matching."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from registration import Settings, Subject, affine, bspline, subject_of

from rprbench.methods.patch_grid import PATCH, PatchGrid, patch_grid
from rprbench.methods.proportional import body_box
from rprbench.methods.sliding_window import Windows, best_window
from rprloc.geometry import Box, FloatArray
from rprloc.image.volume import Volume
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.locator import Locator, Options, Way, box_walls
from rprloc.localization.result import Result
from rprloc.localization.template import Template
from rprloc.model.finding import find_model
from rprloc.model.loading import load_model
from rprloc.targets.target import Target

from .cases import Case

REGISTRATION_MM = 6.0
#: So many CTs' fields are kept in memory.
KEPT = 24
Names = Sequence[str]


@dataclass(frozen=True, eq=False)
class Found:
    """Where a target was found: LPS mm; ``center`` is None where it was not.

    Attributes:
        center: (3,). size: (3,), None for a landmark.
        told: what the method says of its answer (status, radius, measures of doubt).
    """

    center: FloatArray | None
    size: FloatArray | None = None
    told: Mapping[str, Any] | None = None


class BodyMethod(ABC):
    """Finds a reference's targets in queries.

    Attributes:
        name: in tables and files. title: for readers.
    """

    name: str
    title: str

    @abstractmethod
    def learn(self, volume: Volume, targets: Mapping[str, Target]) -> Any:
        """Prepare a reference."""

    @abstractmethod
    def encode(self, volume: Volume) -> Any:
        """Prepare a query."""

    @abstractmethod
    def find(self, learned: Any, encoded: Any, names: Names) -> dict[str, Found]:
        """Find targets of the reference in the query."""


class Ours(BodyMethod):
    """This product, with one model."""

    def __init__(self, model: str | Path, way: Way = "auto", with_radius: bool = True) -> None:
        """Load a model; without its radius, the other limits alone judge its answers."""
        loaded = load_model(find_model(model), torch.device("cpu"))
        limits = loaded.card.confidence
        if not with_radius:
            limits = replace(limits, radius=None, aligned=None)
        self.locator = Locator(loaded, Options(way=way, confidence=limits))
        card = loaded.card.name
        self.name = f"ours-{card}" if way == "auto" else f"ours-{card}-{way}"
        self.title = f"RPRLoc, {card}" if way == "auto" else f"RPRLoc, {card}, {way} alone"

        self._templates: dict[str, Template] = {}
        self._embedded: dict[tuple[object, ...], EmbeddedVolume] = {}

    def template_of(self, case: Case) -> Template:
        """The template of a reference, made once."""
        if case.name not in self._templates:
            self._templates[case.name] = self.learn(case.read(), case.targets)
        return self._templates[case.name]

    def learn(self, volume: Volume, targets: Mapping[str, Target]) -> Template:
        """A template of every target."""
        return self.locator.make_template(self.encode(volume), list(targets.values()))

    def encode(self, volume: Volume) -> EmbeddedVolume:
        """The CT's fields, computed once: every CT is asked by all references.

        They are kept, some 0.1 GB each, the latest ``KEPT`` of them.
        """
        geometry = volume.geometry
        key = (volume.name, *geometry.size, *geometry.spacing, *geometry.origin)
        if key not in self._embedded:
            if len(self._embedded) >= KEPT:
                del self._embedded[next(iter(self._embedded))]
            self._embedded[key] = self.locator.embed(volume)
        return self._embedded[key]

    def find(self, learned: Any, encoded: Any, names: Names) -> dict[str, Found]:
        """Locate the targets that are asked for."""
        wanted = tuple(target for target in learned.targets if target.name in names)
        results = self.locator.locate(encoded, replace(learned, targets=wanted))
        return {r.target: found_of(r) for r in results}


def found_of(result: Result) -> Found:
    """A result of the engine as an answer."""
    told = {
        "status": result.status,
        "radius90_mm": result.radius90_mm,
        "features": result.features,
        "spread_mm": result.spread_mm,
        "cycle_mm": result.cycle_mm,
    }
    return Found(result.center, result.size, told)


class Registration(BodyMethod):
    """SimpleITK at 6 mm, body only; points of the reference go through the transform."""

    def __init__(self, with_bspline: bool) -> None:
        self.with_bspline = with_bspline
        self.name = "bspline" if with_bspline else "affine"
        self.title = "SimpleITK affine + B-spline" if with_bspline else "SimpleITK affine"
        self.settings = Settings()

    def learn(self, volume: Volume, targets: Mapping[str, Target]) -> Any:
        """The image, and the points of every target."""
        return subject_of(volume, REGISTRATION_MM), dict(targets)

    def encode(self, volume: Volume) -> Subject:
        """The image."""
        return subject_of(volume, REGISTRATION_MM)

    def find(self, learned: Any, encoded: Any, names: Names) -> dict[str, Found]:
        """Register the query to the reference: the transform leads from there to the query."""
        subject, targets = learned
        transform = affine(subject, encoded, self.settings)
        if self.with_bspline:
            transform = bspline(subject, encoded, transform, self.settings)
        return {
            name: _through(targets[name], lambda p: transform.TransformPoint(p.tolist()))
            for name in names
        }


class ProportionalMapping(BodyMethod):
    """Every target keeps its place relative to the box of the body; no image is looked at."""

    name, title = "proportional", "Proportional mapping of the body's box"

    def learn(self, volume: Volume, targets: Mapping[str, Target]) -> Any:
        """The body's box, and the points of every target."""
        return body_box(volume), dict(targets)

    def encode(self, volume: Volume) -> Box:
        """The body's box."""
        return body_box(volume)

    def find(self, learned: Any, encoded: Any, names: Names) -> dict[str, Found]:
        """The same place in the query's box."""
        own, targets = learned
        return {
            name: _through(
                targets[name],
                lambda p: encoded.lower + (p - own.lower) / own.size * encoded.size,
            )
            for name in names
        }


class GrayValues(BodyMethod):
    """The window of the query that is most alike a patch around each point, by NCC."""

    name, title = "gs-ncc", "Template matching, gray-scale NCC"

    def learn(self, volume: Volume, targets: Mapping[str, Target]) -> Any:
        """Patches around the points of every target."""
        grid = patch_grid(volume)
        return {name: grid.cut(target.points.xyz) for name, target in targets.items()}

    def encode(self, volume: Volume) -> tuple[PatchGrid, Windows]:
        """All windows of the query."""
        grid = patch_grid(volume)
        return grid, Windows(grid.values, PATCH, torch.get_num_threads())

    def find(self, learned: Any, encoded: Any, names: Names) -> dict[str, Found]:
        """Search every patch."""
        return {name: self._find(*learned[name], *encoded) for name in names}

    @staticmethod
    def _find(patches: Any, rest: FloatArray, grid: PatchGrid, windows: Windows) -> Found:
        points = []
        for patch, away in zip(patches, rest, strict=True):
            start = best_window(windows.likeness(patch, ["ncc"])["ncc"])
            if start is None:
                return Found(None)
            points.append(grid.window_centres(np.array([start]))[0] + away)
        return _of_points(np.array(points))


def _through(target: Target, move: Any) -> Found:
    return _of_points(np.array([move(point) for point in target.points.xyz]))


def _of_points(points: FloatArray) -> Found:
    lower, upper = box_walls(points)
    return Found((lower + upper) / 2, None if len(points) == 1 else upper - lower)
