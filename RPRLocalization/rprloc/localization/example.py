"""From a marked target on a reference to its example in a template.

Where its points are, and their latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..geometry import FloatArray
from ..image.hounsfield import SOLID_HU
from ..image.resampling import IsotropicVolume
from ..model.field import LatentField
from ..targets.extreme_points import farthest_points
from ..targets.target import Target
from .embedding import EmbeddedVolume, rescaled
from .template import Example, Floats

#: A reference is embedded as it is, and 6 % smaller and larger.
SIZES = (1.0, 0.94, 1.06)
#: Context of an example: points of the target, and of the tissue within so much around it.
INSIDE_POINTS = 24
AROUND_POINTS = 48
AROUND_MM = 40.0
#: Radius of the points that stand for the inside of a landmark, which has none.
RING_MM = 15.0
#: So many voxels are drawn before those that lie far apart are chosen among them (time).
CANDIDATES = 4000


@dataclass(frozen=True)
class ReferenceFields:
    """Fields of one reference at several sizes.

    Their mean says more of the anatomy, less of this patient's scale.

    Attributes:
        coarse, fine: one field per size; ``fine`` is empty if the model has no fine network.
    """

    coarse: list[LatentField]
    fine: list[LatentField]

    @classmethod
    def of(cls, embedding: EmbeddedVolume) -> ReferenceFields:
        """Embed the reference at the sizes ``SIZES``."""
        model, coarse, fine = embedding.model, [embedding.coarse], []

        others = [s for s in SIZES if s != 1.0]
        coarse += [model.coarse.field(rescaled(embedding.grids[0], size)) for size in others]

        if model.fine is not None:
            fine.append(embedding.fine())
            fine += [model.fine.field(rescaled(embedding.grids[1], size)) for size in others]
        return cls(coarse, fine)

    @property
    def nbytes(self) -> int:
        """Memory that the fields take."""
        return sum(f.values.nbytes for f in [*self.coarse, *self.fine])

    def coarse_at(self, lps: Tensor) -> Tensor:
        """Mean latents (n, 3) at LPS points (n, 3)."""
        return torch.stack([f.at(lps)[:, :3] for f in self.coarse]).mean(0)

    def fine_at(self, lps: Tensor) -> Tensor:
        """Mean latents and mean normalized descriptors (n, 3 + D) at LPS points (n, 3)."""
        values = [f.at(lps) for f in self.fine]
        latents = torch.stack([v[:, :3] for v in values]).mean(0)
        descriptors = torch.stack([F.normalize(v[:, 3:], dim=1) for v in values]).mean(0)
        return torch.cat([latents, descriptors], dim=1)


def make_example(target: Target, embedding: EmbeddedVolume, fields: ReferenceFields) -> Example:
    """Read the latents of a target's points (key points, then context) in the reference's fields.

    Context is what tells where the key points are when they have no contrast of their own: points
    of the target, and tissue up to 40 mm around it, mixed so that any first part of them holds
    both.
    """
    keys = target.points.xyz
    centre = target.center
    inside = _inside(target, embedding.grids[-1])
    around = tissue_points(embedding.grids[-1], keys, AROUND_MM, AROUND_POINTS)

    points = np.concatenate([keys, _mixed(inside, around)])
    at = torch.as_tensor(points, dtype=torch.float32, device=embedding.coarse.values.device)

    return Example(
        reference=embedding.name,
        size_mm=None if target.box is None else np.asarray(target.box.size, dtype=np.float32),
        offsets=(points - centre).astype(np.float32),
        coarse=_numpy(fields.coarse_at(at)),
        fine=_numpy(fields.fine_at(at)) if fields.fine else None,
        notes=target.notes,
        center=np.asarray(centre, dtype=np.float32),
    )


def _inside(target: Target, grid: IsotropicVolume) -> FloatArray:
    """Points of the target itself, (n, 3) LPS mm.

    For a drawn box its tissue, which located better on the validation patients than lattices over
    the whole box.
    """
    if target.inside is None:
        return _ring(target.points.xyz[0])
    if target.source == "roi":
        found = tissue_points(grid, target.points.xyz, 0.0, INSIDE_POINTS)
        if len(found) == INSIDE_POINTS:
            return found
    return target.inside.xyz[:INSIDE_POINTS]


def tissue_points(
    grid: IsotropicVolume, keys: FloatArray, margin_mm: float, count: int
) -> FloatArray:
    """Choose at most ``count`` solid voxels in the box of ``keys`` (k, 3) and a margin.

    They lie far apart: (n, 3) LPS mm.
    """
    zyx = grid.lps_to_zyx(np.stack([keys.min(0) - margin_mm, keys.max(0) + margin_mm]))
    lower = np.clip(np.floor(zyx[0]).astype(int), 0, np.array(grid.hu.shape) - 1)
    upper = np.clip(np.ceil(zyx[1]).astype(int) + 1, lower + 1, grid.hu.shape)

    part = grid.hu[lower[0] : upper[0], lower[1] : upper[1], lower[2] : upper[2]]
    voxels = np.argwhere(part > SOLID_HU)
    if len(voxels) == 0:
        return np.empty((0, 3))

    # Seeded by the count: the same voxels of the same CT, and no seed to hand on.
    chosen = np.random.default_rng(len(voxels)).permutation(len(voxels))[:CANDIDATES]
    points: FloatArray = farthest_points(
        grid.zyx_to_lps((voxels[chosen] + lower).astype(np.float64)), count
    )
    return points


def _mixed(inside: FloatArray, around: FloatArray) -> FloatArray:
    """Both sets in one order in which they are spread evenly."""
    rank = np.concatenate([(np.arange(len(p)) + 0.5) / max(1, len(p)) for p in (inside, around)])
    mixed: FloatArray = np.concatenate([inside, around])[np.argsort(rank, kind="stable")]
    return mixed


def _ring(point: FloatArray) -> FloatArray:
    """Points close to a landmark: the 6 face and 8 corner directions around it, (14, 3) LPS mm."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    signs = np.array(
        [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float
    ) / np.sqrt(3.0)
    ring: FloatArray = point + RING_MM * np.concatenate([axes, signs])
    return ring


def _numpy(values: torch.Tensor) -> Floats:
    found: Floats = values.detach().cpu().numpy().astype(np.float32)
    return found
