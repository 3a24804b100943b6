"""Random views of a CT: other scans of the same anatomy, with exact point correspondences.

Coordinates here are voxels (z, y, x) of the view or of the source grid. A view maps ``u`` to the
source by ``M (u - middle) + centre + displacement(u)``; its borders are virtual field-of-view
planes, beyond which is air.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from rprloc.image.hounsfield import AIR_HU
from rprloc.model.relative_offset import sample_points, sample_trilinear

from ..augmentation import Augmentation
from ..config import StageConfig
from ..random_stream import RandomStream
from .intensity import augment_intensity

# A field of view must hold some cells of the latent field.
LEAST_EDGE_VOXELS = 8
# An edge that is shorter than the CT's by less than this is rounding, not a cut.
WHOLE_WITHIN_VOXELS = 2
# A view may reach this far beyond the CT's ends, as real scans reach into air.
BEYOND_VOXELS = 2.0
INVERSE_ROUNDS = 6


@dataclass(frozen=True)
class View:
    """One random view.

    Attributes:
        hu: (1, 1, D, H, W) HU, edges multiples of the network's alignment.
        matrix: (3, 3) linear part of the map from view to source voxels.
        centre: (3,) source voxel under the middle of the view.
        bend: (1, 3, g, g, g) control values of the smooth displacement, in source voxels, over the
            whole view.
        edges: voxels (z, y, x) of the field of view; the rest, up to the aligned size, is air.
        cut: whether the view's borders cut through the body where the source's do not.
    """

    hu: Tensor
    matrix: Tensor
    centre: Tensor
    bend: Tensor
    edges: tuple[int, int, int]
    cut: bool

    @property
    def size(self) -> Tensor:
        """(3,) voxels of the view."""
        return torch.tensor(self.hu.shape[2:], dtype=torch.float32, device=self.hu.device)

    def displacement(self, u: Tensor) -> Tensor:
        """(n, 3) view voxels -> (n, 3) displacement in source voxels."""
        control = torch.tensor(self.bend.shape[2:], dtype=u.dtype, device=u.device) - 1.0
        return sample_points(self.bend, u / (self.size - 1.0) * control)

    def to_source(self, u: Tensor) -> Tensor:
        """(n, 3) view voxels -> (n, 3) source voxels."""
        straight: Tensor = (u - (self.size - 1.0) / 2.0) @ self.matrix.T + self.centre
        return straight + self.displacement(u)

    def from_source(self, source: Tensor) -> Tensor:
        """(n, 3) source voxels -> (n, 3) view voxels, by fixed-point iteration.

        It converges because the displacement is smooth: neighbours move almost alike.
        """
        inverse = torch.linalg.inv(self.matrix).T
        middle = (self.size - 1.0) / 2.0
        u: Tensor = (source - self.centre) @ inverse + middle

        for _ in range(INVERSE_ROUNDS):
            u = (source - self.centre - self.displacement(u)) @ inverse + middle
        return u

    def contains(self, u: Tensor) -> Tensor:
        """(n,) whether the point lies inside the view's field of view."""
        last = torch.tensor(self.edges, dtype=u.dtype, device=u.device) - 1.0
        return ((u >= 0.0) & (u <= last)).all(-1)


def make_view(source: Tensor, focus: Tensor, stage: StageConfig, rng: RandomStream) -> View:
    """Draw a random view around a point.

    Args:
        source: (D, H, W) HU.
        focus: (3,) source voxel (z, y, x), on the CPU.
        stage: sizes and ranges.
        rng: where the random numbers come from.

    Returns:
        The view, on the device of ``source``.
    """
    ranges, device = stage.augmentation, source.device
    extent = torch.tensor(source.shape, dtype=torch.float32)
    matrix = _random_matrix(rng, stage)
    edges, cuts = _random_field_of_view(rng, stage, extent, matrix)
    centre = _random_centre(rng, ranges, extent, focus, edges, cuts)
    bend = _random_bend(rng, stage).to(device)

    # What the network needs beyond the field of view is air.
    align = stage.net.alignment
    size = [-(-edge // align) * align for edge in edges]
    blank = torch.empty((1, 1, *size), device=device)
    z, y, x = edges
    view = View(blank, matrix.to(device), centre.to(device), bend, (z, y, x), any(cuts))

    hu = augment_intensity(_resample(source, view), ranges, rng)
    for axis, edge in enumerate(edges):
        hu.narrow(2 + axis, edge, size[axis] - edge).fill_(AIR_HU)
    return replace(view, hu=hu.contiguous(memory_format=torch.channels_last_3d))


def _random_matrix(rng: RandomStream, stage: StageConfig) -> Tensor:
    """(3, 3): a rotation after a scaling (common, and per axis) and a shear."""
    angles = rng.normal(3) * stage.rotation
    skew = torch.zeros(3, 3)
    skew[0, 1], skew[0, 2], skew[1, 2] = angles[0], angles[1], angles[2]
    rotation = torch.linalg.matrix_exp(skew - skew.T)

    scale = torch.exp(rng.normal(1) * stage.scaling + rng.normal(3) * stage.scaling / 2)
    shear = rng.normal(3, 3) * stage.shear * (1 - torch.eye(3))
    matrix: Tensor = rotation @ (torch.diag(scale) + shear)
    return matrix


def _random_field_of_view(
    rng: RandomStream, stage: StageConfig, extent: Tensor, matrix: Tensor
) -> tuple[list[int], list[bool]]:
    """Edges of the view in voxels, and which of them cut through what the CT shows; z, y, x."""
    ranges = stage.augmentation
    edges, cuts = [], []

    for axis, probability in enumerate(ranges.cut_probability):
        full = float(extent[axis]) / float(matrix[axis].norm())
        smallest = stage.smallest_mm / stage.spacing * ranges.smallest_edge[axis]
        edge = min(full, float(stage.crop[axis]))
        if rng.chance(probability) and full > smallest and edge > smallest:
            edge = rng.uniform(smallest, edge)
        edges.append(max(LEAST_EDGE_VOXELS, round(edge)))
        cuts.append(edge < full - WHOLE_WITHIN_VOXELS)
    return edges, cuts


def _random_centre(
    rng: RandomStream,
    ranges: Augmentation,
    extent: Tensor,
    focus: Tensor,
    edges: list[int],
    cuts: list[bool],
) -> Tensor:
    """(3,) source voxel under the view's middle: near the focus, with the view inside the CT."""
    shift = torch.tensor(
        [
            rng.uniform(*ranges.cut_shift) * edge if cut else rng.uniform(*ranges.whole_shift)
            for edge, cut in zip(edges, cuts, strict=True)
        ]
    )
    slack = [max(0.0, (float(n) - edge) / 2.0) for n, edge in zip(extent, edges, strict=True)]
    room = torch.tensor(slack) + BEYOND_VOXELS
    middle = (extent - 1) / 2
    return middle + (focus - middle + shift).clamp(-room, room)


def _random_bend(rng: RandomStream, stage: StageConfig) -> Tensor:
    """(1, 3, g, g, g) control values of the smooth displacement, in source voxels."""
    ranges = stage.augmentation
    knots = rng.integer_between(*ranges.bend_knots)
    strength = 0.0
    if rng.chance(ranges.bend_probability):
        strength = rng.uniform(0.0, stage.elastic_mm) / stage.spacing
    return rng.normal(1, 3, knots, knots, knots) * strength


def _resample(source: Tensor, view: View) -> Tensor:
    """HU of ``source`` (D, H, W) on the lattice of ``view``, (1, 1, d, h, w); air outside."""
    size = view.hu.shape[2:]
    axes = [torch.arange(n, dtype=torch.float32, device=source.device) for n in size]
    u = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) - (view.size - 1.0) / 2.0
    bend = F.interpolate(view.bend, size=size, mode="trilinear", align_corners=True)
    place = u @ view.matrix.T + view.centre + bend[0].permute(1, 2, 3, 0)

    # Zero padding is air once the HU are counted from air.
    above_air = sample_trilinear((source.float() - AIR_HU)[None, None], place, "zeros")
    return above_air + AIR_HU
