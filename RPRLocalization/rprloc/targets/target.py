"""What to look for.

Landmarks and organs marked by the user on a reference, from label maps or markups.

Everything is LPS, millimetres, along the patient axes, whatever the axis order or obliquity of the
source.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import Box, Frame, Geometry, Points
from .extreme_points import box_and_extreme_points, face_centres, spread_over
from .labelmap import LabelMap, read_label_map
from .markups import BoxMark, PointMark, clean_name, read_markups, unique

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
    inside: up to 200 well-spread points of the mask, surface included (for a drawn box: of the
        box).
    """

    name: str
    kind: Kind
    points: Points
    box: Box | None
    inside: Points | None
    source: Source

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


def target_from_mask(name: str, mask: NDArray[np.bool_], geometry: Geometry) -> Target:
    """Box target of a boolean mask (k, j, i) in the given geometry, of any orientation.

    Raises InputError for an empty mask.
    """
    used = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not len(used[0]):
        raise InputError(f"target {name!r} has no voxels: mark it on the reference first")

    first = [int(indices[0]) for indices in used]
    crop = mask[
        tuple(slice(low, int(indices[-1]) + 1) for low, indices in zip(first, used, strict=True))
    ]
    size = (crop.shape[2], crop.shape[1], crop.shape[0])
    origin = geometry.index_to_lps([first[::-1]]).xyz[0]
    cropped = Geometry(size, geometry.spacing, origin, geometry.direction)

    box, points = box_and_extreme_points(crop, cropped)
    return Target(name, "box", points, box, spread_over(crop, cropped, INSIDE_POINTS), "mask")


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


def targets_from_label_map(
    labels: LabelMap, ids: Mapping[str, int] | None = None, *, skip_absent: bool = False
) -> list[Target]:
    """Box targets of a label map, in the order of ``ids``.

    ids: name -> label value; without it the segment names of a .seg.nrrd, else every label as
        ``label_7``.
    skip_absent: leave out labels of ``ids`` without voxels; otherwise they raise InputError naming
    the label and its id. Empty segments that nobody asked for are left out with a warning. Raises
    InputError if nothing is left.
    """
    targets = []
    for name, key, shown in _requested(labels, ids):
        mask = labels.mask(key)
        if mask.any():
            targets.append(target_from_mask(name, mask, labels.geometry))
        elif ids is None:
            warnings.warn(f"segment {shown} is empty and left out", stacklevel=2)
        elif not skip_absent:
            raise InputError(
                f"label {shown} has no voxels in the label map: check the ids, or leave it out"
            )
    if not targets:
        raise InputError("the label map has none of the targets: draw or list at least one")
    return targets


def _requested(labels: LabelMap, ids: Mapping[str, int] | None) -> list[tuple[str, int | str, str]]:
    """(target name, key for LabelMap.mask, text for messages) of every label asked for."""
    if ids is not None:
        keys = [name if labels.names.get(name) == value else value for name, value in ids.items()]
        shown = [f"{name!r} (id {value})" for name, value in ids.items()]
        return list(zip(ids, keys, shown, strict=True))
    if labels.names:
        names = unique([clean_name(name) for name in labels.names])
        return [
            (name, segment, repr(name)) for name, segment in zip(names, labels.names, strict=True)
        ]

    values = np.unique(labels.array)
    return [(f"label_{value}", int(value), str(value)) for value in values[values != 0]]


def targets_from_markups(path: str | Path) -> list[Target]:
    """Targets of a Slicer markups JSON: every defined control point a landmark, every ROI a box.

    Raises InputError if the file cannot be read or marks nothing.
    """
    marks = read_markups(path)
    if not marks:
        raise InputError(
            f"{path}: no placed point and no ROI in it: mark the target on the reference first"
        )
    return [_target_from_mark(mark) for mark in marks]


def _target_from_mark(mark: PointMark | BoxMark) -> Target:
    if isinstance(mark, PointMark):
        return target_from_point(mark.name, mark.position)
    return target_from_box(mark.name, mark.box)


def load_targets(
    path: str | Path, label_ids: str | Path | None = None, *, skip_absent: bool = False
) -> list[Target]:
    """Targets of a file.

    Markups for ``.json``, else a label map (``label_ids``: JSON file of its ids).

    Raises InputError if the file or the ids cannot be used.
    """
    if Path(path).name.lower().endswith(".json"):
        return targets_from_markups(path)

    ids = read_label_ids(label_ids) if label_ids is not None else None

    labels = read_label_map(path)
    try:
        return targets_from_label_map(labels, ids, skip_absent=skip_absent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_label_ids(path: str | Path) -> dict[str, int]:
    """Name -> label value, from a JSON file such as ``{"Mandible": 7}``.

    Raises InputError unless names are given once and not empty, and ids are positive and given
    once.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        pairs = json.loads(text, object_pairs_hook=list)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f'{path}: not a JSON file of label ids such as {{"Mandible": 7}}'
        ) from error
    if (
        not isinstance(pairs, list)
        or not pairs
        or not all(isinstance(pair, tuple) for pair in pairs)
    ):
        raise InputError(f'{path}: label ids must be one JSON object such as {{"Mandible": 7}}')
    return _checked_ids(path, pairs)


def _checked_ids(path: str | Path, pairs: Sequence[tuple[str, Any]]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for raw, value in pairs:
        name = clean_name(raw)
        if not name:
            raise InputError(f"{path}: a label has an empty name")
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise InputError(f"{path}: the id of {name!r} must be a whole number above 0")
        if name in ids or value in ids.values():
            raise InputError(f"{path}: {name!r} or its id {value} is given twice")
        ids[name] = value
    return ids


def check_inside(targets: Sequence[Target], geometry: Geometry) -> None:
    """Raises InputError, naming the first target that does not lie in the volume of ``geometry``.

    Landmarks must be inside; the six points of a box may be up to one voxel outside (a label map
    may have another lattice than the CT).
    """
    for target in targets:
        margin = 0.0 if target.kind == "landmark" else float(np.max(np.asarray(geometry.spacing)))
        inside = geometry.contains(target.points, margin)

        if inside.all():
            continue

        if target.kind == "box" and inside.any():
            raise InputError(
                f"target {target.name!r} reaches beyond the reference CT: make its box smaller, or "
                "use a CT "
                "that shows it whole"
            )
        raise InputError(
            f"target {target.name!r} lies outside the reference CT: check that both belong to the "
            "same "
            "patient and coordinate system"
        )
