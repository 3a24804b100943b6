"""What is compared: contours of one reference, of several fused, and registration."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from registration import Settings, affine, bspline, subject_of

from rprbench.methods.registration import SPACING_MM, carried, on_lattice
from rprloc.contour.contours import contours_of
from rprloc.contour.learning import learn_with_outlines
from rprloc.geometry import Box
from rprloc.image.volume import Volume
from rprloc.localization.choice import Candidate
from rprloc.localization.learning import Learned
from rprloc.localization.locator import Locator
from rprloc.model.finding import find_model
from rprloc.model.loading import load_model
from rprloc.targets.placement import UsableTargets

from .cases import Case

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Found:
    """Of one query: masks on its lattice, boxes that the search gave beside them, seconds."""

    masks: Mapping[str, Mask]
    seconds: float
    boxes: Mapping[str, Box] | None = None
    least_jacobian: float | None = None


class ContourMethod(ABC):
    """Carries the organs of references to queries. ``name``: in rows; ``pools``: all at once."""

    name: str
    pools = False

    @abstractmethod
    def learn(self, references: list[Case]) -> Any:
        """Prepare one reference, or several that are fused."""

    @abstractmethod
    def find(self, learned: Any, query: Volume) -> Found:
        """Carry the organs to a query that is read already."""


class Carried(ContourMethod):
    """This product. with_images: the references' CTs are at hand, and sharpen the maps."""

    def __init__(self, name: str, pools: bool = False, with_images: bool = True) -> None:
        self.name, self.pools, self.with_images = name, pools, with_images
        self.locator = Locator(load_model(find_model(), torch.device("cpu")))

    def learn(self, references: list[Case]) -> Candidate:
        """One template of all references."""
        parts = [
            learn_with_outlines(self.locator, c.volume, UsableTargets(list(c.targets.values()), ()))
            for c in references
        ]
        template = parts[0].template
        for part in parts[1:]:
            template = template.merged(part.template)
        images = {key: grid for part in parts for key, grid in part.images.items()}
        return Candidate(self.locator, Learned(template, (), images if self.with_images else {}))

    def find(self, learned: Candidate, query: Volume) -> Found:
        """Locate, then carry."""
        started = time.perf_counter()
        located = learned.search(query, learned.template)
        found = contours_of(located)
        seconds = time.perf_counter() - started
        masks = {}
        for one in found.contours:
            masks[one.target] = np.zeros(query.geometry.size[::-1], dtype=np.bool_)
            masks[one.target][one.window.slices] = one.mask.voxels
        boxes = {r.target: r.box for r in located.results if r.box is not None}
        least = min((f.least_jacobian() for f in found.fields.values()), default=None)
        return Found(masks, seconds, boxes, least)


class Registered(ContourMethod):
    """SimpleITK, as in the benchmark of boxes."""

    def __init__(self, with_bspline: bool) -> None:
        self.name = "bspline" if with_bspline else "affine"
        self.with_bspline = with_bspline
        self.settings = Settings()

    def learn(self, references: list[Case]) -> Case:
        """The only reference."""
        return references[0]

    def find(self, learned: Case, query: Volume) -> Found:
        """Register, and carry the masks."""
        started = time.perf_counter()
        fixed, moving = subject_of(query, SPACING_MM), subject_of(learned.volume, SPACING_MM)
        transform = affine(fixed, moving, self.settings)
        if self.with_bspline:
            transform = bspline(fixed, moving, transform, self.settings)
        moved = on_lattice(transform, query.geometry)
        masks = {
            name: carried(mask, learned.geometry, moved, query.geometry)
            for name, mask in learned.masks.items()
        }
        return Found(masks, time.perf_counter() - started)
