"""A CT of the self-check: what the model sees of it, points in its body, and altered copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rprloc.errors import InputError
from rprloc.geometry import FloatArray, Geometry, Points
from rprloc.image.hounsfield import AIR_OF_SCALE_HU, HU_MAX, HU_MIN
from rprloc.image.volume import Volume
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.example import ReferenceFields
from rprloc.localization.locator import Locator
from rprloc.localization.result import Result
from rprloc.targets.target import target_from_point

from ..random_stream import RandomStream

# Points lie so far from the ends of what the CT shows of the body; and, where two copies must both
# show them well, from the copies' ends.
INSIDE_MM, SHOWN_MM = 12.0, 30.0
# An altered copy lacks this share of the CT at one end.
CUT_SHARE = 0.12
# Its tissue (everything denser than this) has other gray values and other noise.
NOT_AIR_HU = -900
NOISE_HU = 15.0
GAINS = (0.95, 1.05)


@dataclass(frozen=True)
class CheckedCt:
    """A CT as the model sees it.

    Attributes:
        volume: the CT.
        embedding: its coarse field.
        fields: both fields, to mark landmarks on.
    """

    volume: Volume
    embedding: EmbeddedVolume
    fields: ReferenceFields

    @classmethod
    def of(cls, volume: Volume, locator: Locator) -> CheckedCt:
        """Run the networks; raises InputError if there is no body in the CT."""
        embedding = locator.embed(volume)
        with torch.inference_mode():
            return cls(volume, embedding, ReferenceFields.of(embedding))

    def body_points(self, count: int, rng: RandomStream) -> FloatArray:
        """Draw centres of cells that hold tissue, away from the ends of the CT: (n, 3) LPS mm."""
        cells = self.embedding.coarse.body_cells()[0].cpu().numpy().astype(np.float64)
        lower, upper = (bound.numpy() for bound in self.embedding.body_bounds())
        deep = cells[((cells > lower + INSIDE_MM) & (cells < upper - INSIDE_MM)).all(-1)]
        chosen: FloatArray = deep[rng.choose(len(deep), count).numpy()]
        return chosen

    def locate(self, points: FloatArray, target: EmbeddedVolume, locator: Locator) -> list[Result]:
        """Mark points (n, 3) LPS mm of this CT as landmarks, and locate them in another."""
        if not len(points):
            return []
        marks = [target_from_point(f"{n}", Points(point[None])) for n, point in enumerate(points)]
        template = locator.make_template(self.embedding, marks, self.fields)
        return locator.locate(target, template)

    def altered_copies(self, locator: Locator, rng: RandomStream) -> list[EmbeddedVolume]:
        """Embed two copies, each cut at another end; none if one is too short to have a body."""
        copies = [altered(self.volume, end, rng) for end in (0, 1)]
        try:
            return [locator.embed(copy) for copy in copies]
        except InputError:
            return []


def shown_by_all(points: FloatArray, copies: list[EmbeddedVolume]) -> np.ndarray:
    """Which points (n, 3) LPS mm lie well between the ends of all copies: (n,) bool."""
    bounds = [copy.geometry.bounds() for copy in copies]
    low = max(b.lower[2] for b in bounds) + SHOWN_MM
    high = min(b.upper[2] for b in bounds) - SHOWN_MM
    inside: np.ndarray = (points[:, 2] > low) & (points[:, 2] < high)
    return inside


def altered(volume: Volume, end: int, rng: RandomStream) -> Volume:
    """A copy with other gray values and other noise, cut along the axis nearest to the patient's.

    Args:
        volume: the CT.
        end: 0 cuts its first slices off, 1 its last.
        rng: of the noise.
    """
    geometry = volume.geometry
    axis = int(np.abs(geometry.direction[2]).argmax())
    count = geometry.size[axis]
    cut = min(round(CUT_SHARE * count), count - 2)
    start = cut if end == 0 else 0
    slices = range(start, start + count - cut)
    hu = np.take(volume.array, slices, axis=2 - axis).astype(np.float32)

    noise = rng.normal(*hu.shape).numpy() * NOISE_HU
    other = (hu - AIR_OF_SCALE_HU) * GAINS[end] + AIR_OF_SCALE_HU + noise
    hu = np.where(hu > NOT_AIR_HU, other, hu)

    size = list(geometry.size)
    size[axis] = count - cut
    origin = geometry.origin + geometry.direction[:, axis] * geometry.spacing[axis] * start
    i, j, k = size
    lattice = Geometry((i, j, k), geometry.spacing, origin, geometry.direction)
    return Volume(np.clip(np.rint(hu), HU_MIN, HU_MAX).astype(np.int16), lattice, volume.name)
