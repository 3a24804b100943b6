"""Label maps: voxel masks with numbers or segment names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..formats.dicom_files import kind_of_other
from ..formats.discovery import is_dicom_file
from ..formats.raw import RawImage
from ..formats.reading import read_raw, stem_of
from ..geometry import Geometry

LabelArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Labels (k, j, i) on ``geometry``.

    ``names``: segment name -> label value ({} if the file has none). ``notes``: what its reader
    had to assume.

    A layered segmentation (segments that overlap) keeps its layers: ``layers`` are all of them,
    ``array`` the first, and ``layer_of`` tells the layer of each named segment.
    """

    array: LabelArray
    geometry: Geometry
    names: dict[str, int]
    layers: tuple[LabelArray, ...] = ()
    layer_of: dict[str, int] = field(default_factory=dict)
    name: str = "label map"
    notes: tuple[str, ...] = ()

    def mask(self, label: int | str) -> npt.NDArray[np.bool_]:
        """Return the voxels (k, j, i) of a label value or segment name.

        All False if the label has no voxel.

        Raises InputError for an unknown name, or a value that two segments in different layers
        share.
        """
        layers = self.layers or (self.array,)
        if isinstance(label, str):
            if label not in self.names:
                known = ", ".join(self.names) or "none"
                raise InputError(f"{self.name}: has no segment named {label!r} (segments: {known})")
            return np.asarray(layers[self.layer_of.get(label, 0)] == self.names[label])

        holders = [layer for layer in layers if (layer == label).any()]
        if len(holders) > 1:
            raise InputError(
                f"{self.name}: several segments share the label {label}; use their names"
            )
        return np.asarray((holders or layers)[0] == label)


def read_label_map(path: str | Path) -> LabelMap:
    """Read a label map from any image file; segment names come from a .seg.nrrd.

    Raises InputError if the file cannot be read, is not 3D, or holds other than whole numbers.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, but a label map file is needed")
    if is_dicom_file(path):
        raise InputError(
            f"{path}: {kind_of_other(path) or 'is a DICOM image'}: a label map is needed"
        )
    raw = read_raw(path, layers=True)

    array = _whole_numbers(raw.array, str(path))
    named = _segments(raw, str(path))
    if array.ndim == 3:
        layers: tuple[LabelArray, ...] = ()
    elif named:
        layers = tuple(np.ascontiguousarray(array[..., n]) for n in range(array.shape[3]))
    else:
        raise InputError(
            f"{path}: expected one label per voxel, but this image has {array.shape[3]} numbers "
            "per voxel"
        )

    count = max(1, len(layers))
    if any(layer >= count for layer, _ in named.values()):
        raise InputError(f"{path}: names a segment in a layer that the file does not have")

    names = {name: value for name, (_, value) in named.items()}
    layer_of = {name: layer for name, (layer, _) in named.items()}
    return LabelMap(
        *(layers[0] if layers else array, raw.geometry, names, layers, layer_of),
        *(stem_of(path), raw.notes),
    )


def _whole_numbers(array: npt.NDArray[Any], name: str) -> LabelArray:
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind != "f" or not np.isfinite(array).all() or (array != np.rint(array)).any():
        raise InputError(f"{name}: is not a label map: its voxels are not whole numbers")
    if np.abs(array).max(initial=0) >= 2**31:
        raise InputError(f"{name}: is not a label map: its numbers are too large")
    return array.astype(np.int32)


def _segments(raw: RawImage, name: str) -> dict[str, tuple[int, int]]:
    """Return segment name -> (layer, label value).

    Without these fields each segment is a layer of ones.
    """
    found: dict[str, tuple[int, int]] = {}
    keys = (re.fullmatch(r"Segment(\d+)_(?:Name|ID)", key) for key in raw.fields)
    for index in sorted({int(key.group(1)) for key in keys if key}):
        prefix = f"Segment{index}_"
        title = (
            raw.fields.get(prefix + "Name")
            or raw.fields.get(prefix + "ID")
            or f"Segment_{index + 1}"
        )

        first = index if raw.array.ndim == 4 else 0
        try:
            layer = int(raw.fields.get(prefix + "Layer", first))
            value = int(raw.fields.get(prefix + "LabelValue", 1))
        except ValueError as error:
            raise InputError(
                f"{name}: the layer or label value of segment {title!r} is not a number"
            ) from error

        unique, copy = title, 2
        while unique in found:
            unique, copy = f"{title}_{copy}", copy + 1
        found[unique] = (layer, value)
    return found
