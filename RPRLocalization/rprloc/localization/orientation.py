"""Does the patient lie as the file says? A CT whose header is wrong contradicts the model.

The coarse network says of any two cells of a CT how the patient goes from one to the other (Eq. 2),
in the orientation and size that it was trained on. If the file says something else, either the file
is wrong or the model does not know what the CT shows. What tells the two apart is another way to
lay out the same voxels, with which both agree: only then there is a note.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ..geometry import FloatArray
from ..image.hounsfield import AIR_HU
from ..image.resampling import IsotropicVolume
from ..model.field import LatentField
from ..model.loading import StageModel
from ..model.relative_offset import relative_offset

#: Cells of this cube around the middle of the body are asked: farther apart, tanh flattens, and
#: arms and shoulders differ between patients.
MIDDLE_MM = 256.0
#: Layouts are compared on this smaller cube (time), and the best of them once more on the larger.
SEARCH_MM = 192.0
#: All pairs of so many cells are compared; more say nothing new.
MOST_CELLS = 400
#: Fewer cells are no ground for a verdict.
LEAST_CELLS = 20

#: Up to this misfit file and model agree. The 21 validation CTs of han-ct have 0.025 at most, the
#: same CTs with any axis turned round or exchanged 0.070 at least (left and right aside).
AGREEING_MISFIT = 0.03
#: A layout is believed up to this misfit: laid out rightly, the middle of the 21 has 0.015 at most;
#: laid out in any way, that of 51 CTs of trunk and whole body has 0.035 at least. A model that
#: agrees less well with its own region says nothing.
BELIEVED_MISFIT = 0.02
#: And if the misfit as declared is so many times as large.
LEAST_GAIN = 2.5
#: A body that is shorter along any axis looks too much the same both ways.
LEAST_EXTENT_MM = 140.0

#: Sizes that are tried, body : file. Those near 1 are patients of another size, not wrong spacings.
SIZES = (0.35, 0.5, 0.71, 1.41, 2.0, 2.8)
LEAST_WRONG_SIZE = 1.6
#: Spacings that differ by less than this factor change nothing that could be seen.
SAME_SPACING = 1.2

AS_DECLARED_ORDER = (0, 1, 2)
AXES = ("feet-head", "front-back", "right-left")
DIRECTION_NOTES = {
    (True, False): "lie upside down",
    (False, True): "lie back to front",
    (True, True): "be turned by 180 degrees",
}

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """How the voxels of a grid (z, y, x) would have to be laid out for the patient.

    Attributes:
        order: which axis of the grid is the patient's z, y and x.
        reversed: which of the patient's axes z, y, x run the other way. For x it is never sought: a
            body and its mirror image look alike to the networks.
        size: how many times as large as declared the body is along the patient's z, y and x.
    """

    order: tuple[int, int, int] = AS_DECLARED_ORDER
    reversed: tuple[bool, bool, bool] = (False, False, False)
    size: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def note(self) -> str:
        """What is wrong with the file, if this is how the patient lies; empty if nothing is."""
        if self.order != AS_DECLARED_ORDER:
            seen = f"lie turned in this file ({_exchanged(self.order)})"
        elif self.reversed[:2] in DIRECTION_NOTES:
            seen = f"{DIRECTION_NOTES[self.reversed[:2]]} in this file"
        elif max(max(self.size), 1.0 / min(self.size)) >= LEAST_WRONG_SIZE:
            return f"{_size_note(self.size)}: check its voxel spacing"
        else:
            return ""
        return f"the patient seems to {seen}: check its orientation"


#: What a wrong header can hide: axes that run the other way, axes that are others (see ``orders``),
#: and spacings, of all axes or between the slices.
DIRECTIONS = tuple(Layout(reversed=(z, y, False)) for z, y in DIRECTION_NOTES)
WRONG_SIZES = tuple(Layout(size=size) for s in SIZES for size in ((s, s, s), (s, 1.0, 1.0)))


def orders(spacing: FloatArray) -> tuple[Layout, ...]:
    """Layouts with exchanged axes, whose spacings (3,) z, y, x were exchanged with them or not."""
    found = []
    for (a, b, c), z, y in product(permutations(AS_DECLARED_ORDER), (False, True), (False, True)):
        if (a, b, c) == AS_DECLARED_ORDER:
            continue
        turned = Layout((a, b, c), (z, y, False))
        found.append(turned)
        left = spacing / spacing[[a, b, c]]
        if left.max() > SAME_SPACING:
            found.append(replace(turned, size=(left[0], left[1], left[2])))
    return tuple(found)


@dataclass(frozen=True)
class Orientation:
    """Whether a CT lies as its file says.

    Attributes:
        misfit: share of the file's displacements that the model contradicts; see ``misfit``.
        layout: with which the model agrees; None if it is unknown, as in a CT of another region.
    """

    misfit: float
    layout: Layout | None = None

    @property
    def note(self) -> str:
        """What is wrong with the file, for the user; empty if nothing is or none can tell."""
        return "" if self.layout is None else self.layout.note


def find_orientation(
    grid: IsotropicVolume, field: LatentField, coarse: StageModel, spacing: FloatArray
) -> Orientation:
    """Compare the file's lattice with the model; other layouts are tried only when in doubt.

    Args:
        grid: of the coarse network, cropped to the body.
        field: its coarse field.
        coarse: the network that made it.
        spacing: (3,) mm of the file's voxels along the patient's z, y, x.
    """
    declared = misfit(field, middle_of(grid), coarse.card.range_mm)
    if declared <= AGREEING_MISFIT:
        return Orientation(declared, Layout())
    if math.isinf(declared):
        return Orientation(declared)

    for group in (DIRECTIONS, orders(spacing), WRONG_SIZES):
        best = _best(grid, group, coarse)
        if best is not None and best[1] <= min(BELIEVED_MISFIT, declared / LEAST_GAIN):
            return Orientation(declared, best[0])
    return Orientation(declared)


def misfit(field: LatentField, middle: FloatArray, range_mm: float) -> float:
    """Return how much the model contradicts the lattice of a field; 0 is full agreement.

    For all pairs of body cells a, b near the middle the file says ``c_b - c_a``, and the model
    ``r * tanh(p_b - p_a)`` (Eq. 2). Per axis the squares of the differences are summed and divided
    by those of the file's displacements; the result is the mean of the axes. A network that sees
    the same everywhere has 1, one that sees an axis the other way round 4 on that axis.

    Args:
        field: latents of all cells.
        middle: (3,) x, y, z LPS mm, of the body.
        range_mm: ``r``.

    Returns:
        The misfit, infinite if there are too few cells.
    """
    cells, values = field.body_cells()
    near = (cells - torch.as_tensor(middle).to(cells)).abs().amax(1) <= MIDDLE_MM / 2
    cells, latents = cells[near], values[near, :3]
    if len(cells) < LEAST_CELLS:
        return math.inf

    every = -(-len(cells) // MOST_CELLS)
    cells, latents = cells[::every], latents[::every]
    declared = cells[None] - cells[:, None]
    seen = relative_offset(latents[None], latents[:, None], range_mm)
    return float((_sum(seen - declared) / _sum(declared).clamp_min(1.0)).mean())


def middle_of(grid: IsotropicVolume) -> FloatArray:
    """Middle (3,) of a grid, x, y, z LPS mm."""
    return grid.zyx_to_lps([(np.array(grid.hu.shape) - 1) / 2]).reshape(3)


def layout_misfit(
    grid: IsotropicVolume, layout: Layout, coarse: StageModel, edge_mm: float = MIDDLE_MM
) -> float:
    """Return the misfit of a grid's middle laid out anew; the network sees no more than that."""
    edge = int(edge_mm / grid.spacing)
    part = IsotropicVolume(laid_out(grid.hu, layout, edge), np.zeros(3), grid.spacing)
    return misfit(coarse.field(part), middle_of(part), coarse.card.range_mm)


def laid_out(hu: Float32, layout: Layout, edge: int) -> Float32:
    """Lay out the middle of HU (z, y, x) anew, at most ``edge`` voxels long along every axis."""
    turned = hu.transpose(layout.order)
    reach = [max(1, int(edge / s)) for s in layout.size]
    start = [max(0, (n - r) // 2) for n, r in zip(turned.shape, reach, strict=True)]
    part = turned[tuple(slice(a, a + r) for a, r in zip(start, reach, strict=True))]
    steps = tuple(slice(None, None, -1 if backward else 1) for backward in layout.reversed)
    part = np.ascontiguousarray(part[steps])
    return part if set(layout.size) == {1.0} else _resized(part, layout.size)


def _resized(hu: Float32, size: tuple[float, float, float]) -> Float32:
    """HU (z, y, x) stretched by ``size``; averaged where it only gets smaller, against aliasing."""
    values = torch.from_numpy(hu)[None, None] - AIR_HU
    shape = [max(1, round(n * s)) for n, s in zip(hu.shape, size, strict=True)]
    mode = "area" if max(size) <= 1.0 else "trilinear"
    found: Float32 = (F.interpolate(values, shape, mode=mode)[0, 0] + AIR_HU).numpy()
    return found


def _best(
    grid: IsotropicVolume, layouts: Sequence[Layout], coarse: StageModel
) -> tuple[Layout, float] | None:
    """Return the layout that fits best and its misfit; None if the body is too small for all."""
    tried = {
        layout: layout_misfit(grid, layout, coarse, SEARCH_MM)
        for layout in layouts
        if _least_extent(grid, layout) >= LEAST_EXTENT_MM
    }
    if not tried:
        return None
    best = min(tried, key=tried.__getitem__)
    return best, max(tried[best], layout_misfit(grid, best, coarse))


def _least_extent(grid: IsotropicVolume, layout: Layout) -> float:
    """Length in mm of the body along its shortest axis."""
    edges = np.array(grid.hu.shape)[list(layout.order)] * np.array(layout.size)
    return float(edges.min()) * grid.spacing


def _sum(offsets: Tensor) -> Tensor:
    """Sum of squares (3,) per axis of offsets (n, n, 3)."""
    return offsets.square().sum((0, 1))


def _exchanged(order: tuple[int, int, int]) -> str:
    """Which axes of the file look like other ones of the patient."""
    pairs = [(AXES[held], AXES[axis]) for axis, held in enumerate(order) if held != axis]
    return ", ".join(f"its {file} axis looks like {patient}" for file, patient in pairs)


def _size_note(size: tuple[float, float, float]) -> str:
    along = "as large" if size[1] == size[0] else "as long from feet to head"
    return f"the body seems about {size[0]:.2g} times {along} as this file says"
