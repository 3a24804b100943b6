"""Small pictures of single answers: three slices through a box, its outline drawn in."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import RprLocError
from ...image.hounsfield import DISPLAY_WINDOW_HU
from ...image.planes import AXIAL, CORONAL, SAGITTAL, Plane, cut_slice
from ...image.volume import Volume, read_volume
from ..index_rows import READABLE, IndexRow
from ..series_files import find_series
from .answers import Answers, Floats

#: Around a box; and the least that is shown.
_MARGIN_MM, _SMALLEST_MM = 35.0, 110.0
#: Edge of one of the three slices.
_PIXELS = 150
_COLOR = (255, 209, 63)
_POINT_MM = 3.0
Picture = npt.NDArray[np.uint8]


def thumbnails(answers: Answers, rows: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield (row, data URI of a PNG) of rows that were found; each CT is read once.

    A CT that cannot be read any more has none.
    """
    by_series: dict[str, list[int]] = {}
    for row in rows:
        by_series.setdefault(answers.texts["series_id"][row], []).append(row)
    for members in by_series.values():
        try:
            volume = _volume(answers, members[0])
        except (RprLocError, OSError):
            continue
        for row in members:
            size = np.nan_to_num(answers.size[row], nan=_POINT_MM)
            yield row, _encoded(_picture(volume, answers.center[row], size))


def _volume(answers: Answers, row: int) -> Volume:
    path = answers.texts["path"][row]
    kind = "dicom" if (answers.root / path).is_dir() else "file"
    line = IndexRow(answers.texts["series_id"][row], path, kind, 0, 0, READABLE, "")
    files = find_series(answers.root, line)
    return read_volume(files.path, files.uid)


def _picture(volume: Volume, center: Floats, size: Floats) -> Picture:
    """Return three square slices side by side, (rows, columns, 3)."""
    half = max(_SMALLEST_MM / 2, float(size.max()) / 2 + _MARGIN_MM)
    return np.concatenate(
        [_slice(volume, plane, center, size, half) for plane in (AXIAL, CORONAL, SAGITTAL)], axis=1
    )


def _slice(volume: Volume, plane: Plane, center: Floats, size: Floats, half: float) -> Picture:
    lower, upper = center - half, center + half
    hu = cut_slice(volume, plane, float(center[plane.normal]), lower, upper)
    # The nearest pixels will do for a thumbnail.
    index = np.linspace(0, min(hu.shape) - 1, _PIXELS).round().astype(int)
    low, high = DISPLAY_WINDOW_HU
    gray = np.clip((hu[np.ix_(index, index)] - low) / (high - low), 0, 1) * 255
    picture: Picture = np.repeat(gray.astype(np.uint8)[:, :, None], 3, axis=2)
    reach = [size[axis] / 2 / half * _PIXELS / 2 for axis in (plane.right, plane.up)]
    columns, rows = ((_PIXELS / 2 - r, _PIXELS / 2 + r) for r in reach)
    _outline(picture, rows, columns)
    return picture


def _outline(picture: Picture, rows: tuple[float, float], columns: tuple[float, float]) -> None:
    """Draw a rectangle around the middle."""
    top, bottom = (int(np.clip(round(n), 0, _PIXELS - 1)) for n in rows)
    left, right = (int(np.clip(round(n), 0, _PIXELS - 1)) for n in columns)
    picture[[top, bottom], left : right + 1] = _COLOR
    picture[top : bottom + 1, [left, right]] = _COLOR


def _encoded(picture: Picture) -> str:
    from matplotlib.image import imsave

    stream = io.BytesIO()
    imsave(stream, picture, format="png")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def link_of(root: Path, path: str) -> str:
    """Return the address of a series for a browser; empty if its path is none of the root's."""
    try:
        place = (root / path).resolve()
        return place.as_uri() if place.is_relative_to(root.resolve()) else ""
    except (OSError, ValueError):
        return ""
