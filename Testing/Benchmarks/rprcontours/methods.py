"""What is compared: the interface, and contours of one reference or of several fused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

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
    """Of one query: masks on its lattice, boxes that the search gave beside them."""

    masks: Mapping[str, Mask]
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

    def __init__(
        self, name: str, model: str, pools: bool = False, with_images: bool = True
    ) -> None:
        self.name, self.pools, self.with_images = name, pools, with_images
        self.locator = Locator(load_model(find_model(model), torch.device("cpu")))

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
        located = learned.search(query, learned.template)
        found = contours_of(located)
        masks = {}
        for one in found.contours:
            masks[one.target] = np.zeros(query.geometry.size[::-1], dtype=np.bool_)
            masks[one.target][one.window.slices] = one.mask.voxels
        boxes = {r.target: r.box for r in located.results if r.box is not None}
        least = min((f.least_jacobian() for f in found.fields.values()), default=None)
        return Found(masks, boxes, least)
