"""Segments that may overlap, packed into few label maps: those that do not overlap share one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..geometry import Geometry
from .labelmap import LabelMap
from .markups import BoxMark, PointMark, clean_name, unique

#: Labels of one layer, which are bytes.
_MOST_LABELS = 255
#: Bytes of all layers together; 80 organs of a CT of 600 slices need two layers of 160 MB.
_MOST_BYTES = 4_000_000_000

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class DicomTargets:
    """What a SEG, RTSTRUCT or SR marks.

    Attributes:
        labels: its segments; None if there are only points and boxes.
        points: its point contours, as landmarks. boxes: of which it tells the walls.
        left_out: structures that cannot be targets, in words for the user.
        notes: what else the user should know.
    """

    labels: LabelMap | None
    points: tuple[PointMark, ...] = ()
    left_out: str = ""
    notes: tuple[str, ...] = ()
    boxes: tuple[BoxMark, ...] = ()


class Layers:
    """Takes segments one by one, plane by plane, and hands over a label map."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self._layers: list[npt.NDArray[np.uint8]] = []
        self._counts: list[int] = []
        self._places: list[tuple[str, int, int]] = []

    def add(self, name: str, planes: Mapping[int, Mask]) -> None:
        """Add a segment: its masks (rows, columns) by their index along k.

        Raises InputError if there is no room.
        """
        layer = next((n for n in range(len(self._layers)) if self._is_free(n, planes)), None)
        if layer is None:
            layer = self._new_layer()
        self._counts[layer] += 1
        value = self._counts[layer]
        for k, plane in planes.items():
            self._layers[layer][k][plane] = value
        self._places.append((clean_name(name) or "segment", layer, value))

    def _is_free(self, layer: int, planes: Mapping[int, Mask]) -> bool:
        held = self._layers[layer]
        return self._counts[layer] < _MOST_LABELS and not any(
            held[k][plane].any() for k, plane in planes.items()
        )

    def _new_layer(self) -> int:
        shape = self.geometry.size[::-1]
        if float(np.prod(np.array(shape, dtype=float))) * (len(self._layers) + 1) > _MOST_BYTES:
            raise InputError(
                "its segments overlap so much that they are too large to be read: save those that "
                "you need as .seg.nrrd from Slicer"
            )
        self._layers.append(np.zeros(shape, dtype=np.uint8))
        self._counts.append(0)
        return len(self._layers) - 1

    def label_map(self, title: str) -> LabelMap:
        """The label map of all segments. Raises InputError without any."""
        if not self._places:
            raise InputError("it has no segment")
        names = unique([name for name, _, _ in self._places])
        values = [value for _, _, value in self._places]
        layers = [layer for _, layer, _ in self._places]
        return LabelMap(
            *(self._layers[0], self.geometry, dict(zip(names, values, strict=True))),
            *(tuple(self._layers), dict(zip(names, layers, strict=True)), title),
        )
