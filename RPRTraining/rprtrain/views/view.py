"""Random views of a CT: what another scan of the same anatomy could look like, with exact point correspondences.

Coordinates here are voxels (z, y, x) of the view or of the source grid. A view maps ``u`` to the
source by ``M (u - middle) + centre + displacement(u)``; its borders are virtual field-of-view
planes, beyond which is air.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from rprloc.image.resampling import AIR_HU

from ..config import StageConfig
from ..random_stream import RandomStream

def sample_field(field: Tensor, coordinates: Tensor, padding: str = "border") -> Tensor:
    """Trilinear values of ``field`` (1, C, D, H, W) at index coordinates (n, 3) in z, y, x order -> (n, C)."""
    size = torch.tensor(field.shape[2:], dtype=coordinates.dtype, device=coordinates.device)
    normal = 2.0 * coordinates / (size - 1.0).clamp_min(1.0) - 1.0
    grid = normal.flip(-1).view(1, 1, 1, -1, 3)
    values = F.grid_sample(
        field, grid.to(field.dtype), mode="bilinear", padding_mode=padding, align_corners=True
    )
    return values[0, :, 0, 0].T


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
        return sample_field(self.bend, u / (self.size - 1.0) * control)

    def to_source(self, u: Tensor) -> Tensor:
        """(n, 3) view voxels -> (n, 3) source voxels."""
        straight: Tensor = (u - (self.size - 1.0) / 2.0) @ self.matrix.T + self.centre
        return straight + self.displacement(u)

    def from_source(self, source: Tensor, iterations: int = 6) -> Tensor:
        """(n, 3) source voxels -> (n, 3) view voxels, by fixed-point iteration (the displacement is smooth)."""
        inverse = torch.linalg.inv(self.matrix).T
        middle = (self.size - 1.0) / 2.0
        u: Tensor = (source - self.centre) @ inverse + middle
        for _ in range(iterations):
            u = (source - self.centre - self.displacement(u)) @ inverse + middle
        return u

    def contains(self, u: Tensor) -> Tensor:
        """(n,) whether the point lies inside the view's field of view."""
        last = torch.tensor(self.edges, dtype=u.dtype, device=u.device) - 1.0
        return ((u >= 0.0) & (u <= last)).all(-1)


def _random_matrix(dice: RandomStream, stage: StageConfig) -> Tensor:
    angles = dice.normal(3) * stage.rotation
    skew = torch.zeros(3, 3)
    skew[0, 1], skew[0, 2], skew[1, 2] = angles[0], angles[1], angles[2]
    rotation = torch.linalg.matrix_exp(skew - skew.T)
    scale = torch.exp(dice.normal(1) * stage.scaling + dice.normal(3) * stage.scaling / 2)
    matrix: Tensor = rotation @ (
        torch.diag(scale) + dice.normal(3, 3) * stage.shear * (1 - torch.eye(3))
    )
    return matrix


def _random_extent(
    dice: RandomStream, full: float, limit: int, smallest: float, probability: float
) -> tuple[int, bool]:
    """Edge of the view along one axis in voxels, and whether it is a virtual cut."""
    edge = min(full, float(limit))
    if dice.chance(probability) and full > smallest:
        edge = dice.uniform(smallest, edge) if edge > smallest else edge
    return max(8, round(edge)), edge < full - 2


def _random_bend(dice: RandomStream, stage: StageConfig) -> Tensor:
    knots = 4 + dice.integer(4)
    strength = dice.uniform(0.0, stage.elastic_mm) / stage.spacing if dice.chance(0.85) else 0.0
    return dice.normal(1, 3, knots, knots, knots) * strength


def _shift_range(extent: float, edge: int) -> float:
    return max(0.0, (extent - edge) / 2.0)


def make_view(source: Tensor, focus: Tensor, stage: StageConfig, dice: RandomStream) -> View:
    """A random view of ``source`` (D, H, W) HU around ``focus`` (3,) source voxels."""
    extent = torch.tensor(source.shape, dtype=torch.float32)
    matrix = _random_matrix(dice, stage)
    smallest = stage.smallest_mm / stage.spacing
    edges, cuts = [], []
    for axis, probability in enumerate((0.6, 0.25, 0.3)):
        full = float(extent[axis]) / float(matrix[axis].norm())
        edge, cut = _random_extent(
            dice, full, stage.crop[axis], smallest * (1.0 if axis == 0 else 1.4), probability
        )
        edges.append(edge)
        cuts.append(cut)
    middle = (extent - 1) / 2
    room = torch.tensor([_shift_range(float(extent[a]), edges[a]) for a in range(3)])
    jitter = torch.tensor(
        [dice.uniform(-0.25, 0.25) * edges[a] if cuts[a] else dice.uniform(-2, 2) for a in range(3)]
    )
    centre = middle + (focus - middle + jitter).clamp(-room - 2, room + 2)
    align = stage.net.alignment
    size = [-(-e // align) * align for e in edges]
    blank = torch.empty((1, 1, *size), device=source.device)
    bend = _random_bend(dice, stage).to(source.device)
    edge_triple = (edges[0], edges[1], edges[2])
    view = View(
        blank, matrix.to(source.device), centre.to(source.device), bend, edge_triple, any(cuts)
    )
    hu = augment_intensity(_resample(source, view), dice)
    for axis, edge in enumerate(edges):
        hu.narrow(2 + axis, edge, size[axis] - edge).fill_(AIR_HU)
    return replace(view, hu=hu.contiguous(memory_format=torch.channels_last_3d))


def _resample(source: Tensor, view: View) -> Tensor:
    """HU of ``source`` on the lattice of ``view``; air outside."""
    size = view.hu.shape[2:]
    axes = [torch.arange(n, dtype=torch.float32, device=source.device) for n in size]
    u = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) - (view.size - 1.0) / 2.0
    bend = F.interpolate(view.bend, size=size, mode="trilinear", align_corners=True)[0].permute(
        1, 2, 3, 0
    )
    place = u @ view.matrix.T + view.centre + bend
    extent = torch.tensor(source.shape, dtype=torch.float32, device=source.device)
    grid = (2.0 * place / (extent - 1.0).clamp_min(1.0) - 1.0).flip(-1)[None]
    lifted = (source.float() - AIR_HU)[None, None]
    return (
        F.grid_sample(lifted, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        + AIR_HU
    )


def _erase(hu: Tensor, dice: RandomStream) -> None:
    """Fill a small random block with one value (metal, tumour, a missing piece)."""
    corner, edge = [], []
    for n in hu.shape[2:]:
        edge.append(min(n, 3 + dice.integer(12)))
        corner.append(dice.integer(n - edge[-1] + 1))
    block = hu[
        :,
        :,
        corner[0] : corner[0] + edge[0],
        corner[1] : corner[1] + edge[1],
        corner[2] : corner[2] + edge[2],
    ]
    block.fill_(dice.uniform(-1000.0, 1500.0))


def augment_intensity(hu: Tensor, dice: RandomStream) -> Tensor:
    """Random gamma, gain, offset, blur, noise and erased blocks on HU (1, 1, D, H, W); air stays air."""
    tissue = hu > -900.0
    x = ((hu + 1000.0) / 1000.0).clamp_min(0.0)
    x = x ** dice.uniform(0.85, 1.18) * dice.uniform(0.9, 1.1)
    out = x * 1000.0 - 1000.0 + dice.uniform(-40.0, 40.0)
    if dice.chance(0.35):
        kernel = (3, 1, 1) if dice.chance(0.5) else (3, 3, 3)
        out = F.avg_pool3d(out, kernel, 1, tuple(k // 2 for k in kernel), count_include_pad=False)
    if dice.chance(0.5):
        noise = torch.randn(out.shape, generator=dice.generator).to(out.device)
        out = out + noise * dice.uniform(0.0, 50.0)
    out = torch.where(tissue, out, hu)
    while dice.chance(0.3):
        _erase(out, dice)
    return out
