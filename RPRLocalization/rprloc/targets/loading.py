"""Targets out of the files that people have: label maps, segmentations and markups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dicom_targets import is_dicom_target, read_dicom_targets
from .label_ids import read_label_ids
from .labelmap import LabelMap, read_label_map
from .markups import BoxMark, MarkupsFile, PointMark, clean_name, read_markups_file, unique
from .old_markups import OLD_SUFFIXES, read_old_markups
from .target import Target, target_from_box, target_from_mask, target_from_point, with_look

#: A file with more labels than this, none of them named, is an image and no label map.
MOST_LABELS = 300


@dataclass(frozen=True, eq=False)
class TargetFile:
    """Targets of one file, in its order.

    ``notes``: what of the file was left out, and what its reader had to assume.
    """

    targets: list[Target]
    notes: tuple[str, ...] = ()


def read_target_file(
    path: str | Path, label_ids: str | Path | None = None, *, skip_absent: bool = False
) -> TargetFile:
    """Read the targets of a file.

    Args:
        path: markups (.mrk.json, .fcsv, .acsv), else a label map or segmentation.
        label_ids: JSON file of names and label values of a label map.
        skip_absent: leave out labels of ``label_ids`` without voxels.

    Raises:
        InputError: the file or the ids cannot be used, or nothing is marked.
    """
    path = Path(path)
    if is_markups(path):
        return _of_markups(path)
    if is_dicom_target(path):
        return _of_dicom(path, label_ids)

    ids = read_label_ids(label_ids) if label_ids is not None else None
    labels = read_label_map(path)
    try:
        found = _of_label_map(labels, ids, skip_absent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return TargetFile(found.targets, (*labels.notes, *found.notes))


def load_targets(
    path: str | Path, label_ids: str | Path | None = None, *, skip_absent: bool = False
) -> list[Target]:
    """Return the targets of ``read_target_file`` without what it has to say of the file."""
    return read_target_file(path, label_ids, skip_absent=skip_absent).targets


def is_markups(path: Path) -> bool:
    """Tell a markups file by its name; anything else is read as a label map."""
    return path.name.lower().endswith((".json", *OLD_SUFFIXES))


def targets_from_markups(path: str | Path) -> list[Target]:
    """Targets of a markups file: every placed control point a landmark, every ROI a box.

    Raises InputError if the file cannot be read or marks nothing.
    """
    return _of_markups(Path(path)).targets


def _of_markups(path: Path) -> TargetFile:
    old = path.name.lower().endswith(OLD_SUFFIXES)
    file = read_old_markups(path) if old else read_markups_file(path)
    if not file.marks:
        raise InputError(f"{path}: {_nothing_marked(file)}")
    notes = (f"left out: {file.left_out}",) if file.left_out else ()
    return TargetFile([_target_from_mark(mark) for mark in file.marks], notes)


def _of_dicom(path: Path, label_ids: str | Path | None) -> TargetFile:
    """Targets of a DICOM segmentation, RT structure set or report."""
    if label_ids is not None:
        raise InputError(f"{path}: names its segments itself: leave --label-ids out")
    found = read_dicom_targets(path)
    drawn = TargetFile([]) if found.labels is None else _of_label_map(found.labels, None, False)
    marks: list[PointMark | BoxMark] = [*found.boxes, *found.points]
    marked = [_target_from_mark(mark) for mark in marks]
    targets = [*drawn.targets, *marked]
    if not targets:
        why = f" ({found.left_out})" if found.left_out else ""
        raise InputError(
            f"{path}: the DICOM file holds no closed contour, box or point{why}: import "
            "it in Slicer, and save it as .seg.nrrd"
        )
    names = unique([target.name for target in targets])
    notes = (f"left out: {found.left_out}",) if found.left_out else ()
    renamed = [replace(target, name=name) for target, name in zip(targets, names, strict=True)]
    return TargetFile(renamed, (*drawn.notes, *found.notes, *notes))


def _nothing_marked(file: MarkupsFile) -> str:
    if not file.left_out:
        return "no placed point and no ROI in it: mark the target on the reference first"
    return (
        f"nothing in it can be a target: {file.left_out}. Place the points in Slicer (click each "
        "in a slice view), or draw an ROI, and save again"
    )


def _target_from_mark(mark: PointMark | BoxMark) -> Target:
    if isinstance(mark, PointMark):
        return target_from_point(mark.name, mark.position)
    return target_from_box(mark.name, mark.box)


def targets_from_label_map(
    labels: LabelMap, ids: Mapping[str, int] | None = None, *, skip_absent: bool = False
) -> list[Target]:
    """Box targets of a label map, in the order of ``ids``.

    Args:
        labels: the label map.
        ids: name -> label value; without it the segment names of a .seg.nrrd, else every label as
            ``label_7``.
        skip_absent: leave out labels of ``ids`` without voxels; otherwise they raise InputError
            naming the label and its id.

    Raises:
        InputError: nothing is left, or the file is an image and no label map.
    """
    return _of_label_map(labels, ids, skip_absent).targets


def _of_label_map(labels: LabelMap, ids: Mapping[str, int] | None, skip_absent: bool) -> TargetFile:
    """As ``targets_from_label_map``; the notes name empty segments that nobody asked for."""
    targets, empty = [], []
    for name, key, shown in _requested(labels, ids):
        mask = labels.mask(key)
        if mask.any():
            look = labels.looks.get(str(key), {})
            targets.append(with_look(target_from_mask(name, mask, labels.geometry), look))
        elif ids is None:
            empty.append(shown)
        elif not skip_absent:
            raise InputError(
                f"label {shown} has no voxels in the label map: check the ids, or leave it out"
            )
    if not targets:
        raise InputError("the label map has none of the targets: draw or list at least one")
    notes = (f"left out: {', '.join(empty)} (empty)",) if empty else ()
    return TargetFile(targets, notes)


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
    check_label_values(values)
    return [(f"label_{value}", int(value), str(value)) for value in values[values != 0]]


def check_label_values(values: np.ndarray) -> None:
    """Raise InputError if the sorted, different values of a file are an image's, not labels."""
    if len(values) and values[0] < 0:
        raise InputError(
            f"holds negative values (from {values[0]}): is it a CT? A label map is needed"
        )
    if len(values) > MOST_LABELS:
        raise InputError(
            f"holds {len(values)} different values: is it an image? A label map is needed (or name "
            "the labels that you mean with --label-ids)"
        )
