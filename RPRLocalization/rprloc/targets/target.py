"""What to look for.

Landmarks and organs marked by the user on a reference, from label maps or markups.

Everything is LPS, millimetres, along the patient axes, whatever the axis order or obliquity of the
source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import Box, FloatArray, Frame, Geometry, Points
from .extreme_points import box_and_extreme_points, face_centres, spread_over
from .parts import without_slips
from .segment_mask import SegmentMask

INSIDE_POINTS = 200
_ROI_LATTICE = 3

Kind = Literal["landmark", "box"]
Source = Literal["mask", "roi", "fiducial"]


@dataclass(frozen=True, eq=False)
class Target:
    """A landmark or organ box on a reference (LPS, mm).

    points: (1, 3) for a landmark; (6, 3) for a box: Xmin, Ymin, Zmin, Xmax, Ymax, Zmax along the
        LPS axes. Each lies on its wall of ``box``; its other two coordinates are the median of the
        mask voxels whose centres are within half a voxel of the outermost one, or the centre of the
        face of a drawn box.
    box: outer voxel edges of the mask along the patient axes, or the drawn box; None for a
        landmark.
    lattice: of the label map or segmentation that a mask comes from, else None.
    notes: what the user should know of it although it is used.
    inside: up to 200 well-spread points of the mask, surface included (for a drawn box: of the
        box).
    mask: the voxels of a segment, cut to its extent; None for what is no mask.
    """

    name: str
    kind: Kind
    points: Points
    box: Box | None
    inside: Points | None
    source: Source
    lattice: Geometry | None = None
    notes: tuple[str, ...] = ()
    mask: SegmentMask | None = None

    def __post_init__(self) -> None:
        expected = 1 if self.kind == "landmark" else 6
        if len(self.points) != expected:
            raise InputError(
                f"target {self.name!r} ({self.kind}) needs {expected} points, got "
                f"{len(self.points)}"
            )

        if (self.box is not None) != (self.kind == "box"):
            raise InputError(f"target {self.name!r}: a box target has a box, a landmark has none")
        object.__setattr__(self, "points", self.points.to(Frame.LPS))
        object.__setattr__(self, "box", self.box.to(Frame.LPS) if self.box else None)
        object.__setattr__(
            self, "inside", self.inside.to(Frame.LPS) if self.inside is not None else None
        )

    @property
    def center(self) -> FloatArray:
        """(3,) LPS mm: the landmark, or the middle of the box."""
        return self.points.xyz[0] if self.box is None else self.box.center


def target_from_mask(name: str, mask: NDArray[np.bool_], geometry: Geometry) -> Target:
    """Box target of a boolean mask (k, j, i) in the given geometry, of any orientation.

    Tiny parts far from the rest are left out, and the target's notes say so. Raises InputError for
    an empty mask.
    """
    if not mask.any():
        raise InputError(f"target {name!r} has no voxels: mark it on the reference first")
    crop, lattice = _cropped(mask, geometry)
    whole, notes = without_slips(crop, lattice)
    if notes:
        whole, lattice = _cropped(whole, lattice)

    box, points = box_and_extreme_points(whole, lattice)
    inside = spread_over(whole, lattice, INSIDE_POINTS)
    segment = SegmentMask(whole, lattice)
    return Target(name, "box", points, box, inside, "mask", geometry, notes, segment)


def with_look(target: Target, look: Mapping[str, str]) -> Target:
    """The target, its segment with colour and terminology (``SegmentMask.look``)."""
    if target.mask is None or not look:
        return target
    return replace(target, mask=replace(target.mask, look=dict(look)))


def _cropped(mask: NDArray[np.bool_], geometry: Geometry) -> tuple[NDArray[np.bool_], Geometry]:
    """Cut a mask (k, j, i) that is not empty, and its lattice, to the box of its voxels."""
    used = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    first = [int(indices[0]) for indices in used]
    crop = mask[
        tuple(slice(low, int(indices[-1]) + 1) for low, indices in zip(first, used, strict=True))
    ]
    size = (crop.shape[2], crop.shape[1], crop.shape[0])
    origin = geometry.index_to_lps([first[::-1]]).xyz[0]
    return crop, Geometry(size, geometry.spacing, origin, geometry.direction)


def target_from_box(name: str, box: Box) -> Target:
    """Box target of a drawn box: the six face centres, and a lattice of points inside it."""
    lps = box.to(Frame.LPS)
    fractions = (np.arange(_ROI_LATTICE) + 0.5) / _ROI_LATTICE
    lattice = np.stack(
        np.meshgrid(fractions, fractions, fractions, indexing="ij"), axis=-1
    ).reshape(-1, 3)
    return Target(
        name=name,
        kind="box",
        points=Points(face_centres(lps), Frame.LPS),
        box=lps,
        inside=Points(lps.lower + lattice * (lps.upper - lps.lower), Frame.LPS),
        source="roi",
    )


def target_from_point(name: str, point: Points) -> Target:
    """Landmark target of one point."""
    return Target(
        name=name, kind="landmark", points=point, box=None, inside=None, source="fiducial"
    )
