"""A picture of the results (PNG): every target in axial, coronal and sagittal slices of its own.

The three slices of a target go through its centre, so that its box is judged on the organ itself,
and have one scale, given by a bar. Radiological convention: the patient's right is on the left of
the image; anterior is up in the axial slice and left in the sagittal one. Needs matplotlib, which
is loaded on the first call only.
"""

from __future__ import annotations

import io
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError
from ..files import atomic_write_bytes
from ..image.hounsfield import DISPLAY_WINDOW_HU
from ..image.planes import AXIAL, CORONAL, SAGITTAL, Plane, cut_slice
from ..image.volume import Volume
from ..localization.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..targets.target import Target

PLANES = (AXIAL, CORONAL, SAGITTAL)

# Around a target: as much as shows which organ it is in.
_MARGIN_MM = 35.0
_SMALLEST_VIEW_MM = 120.0
_BAR_MM = 50.0
# A picture of more could not be read; the others are named.
_MOST_TARGETS = 23
# Inches at 140 dots: a slice is 280 pixels wide.
_TILE_INCHES = 2.0
_NAME_INCHES = 0.32
_HEADING_INCHES = 0.5
_GAP_INCHES = 0.14
_DPI = 140
_POINTS_PER_INCH = 72.0
_GRAY, _YELLOW = "#a8a8a8", "#ffe08a"
_COLORS = (
    *("#ff6b6b", "#4cc9f0", "#ffd23f", "#7ae582", "#c79bff", "#ff9f45"),
    *("#ff8fc7", "#3fe0c5", "#b8d430", "#8fa8ff", "#e0b08a", "#f2f2f2"),
)

Float = NDArray[np.float64]
# Left, bottom, width and height.
Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Shape:
    """A box or landmark as it is drawn: centre and size (3,), LPS mm; size 0 for a landmark."""

    center: Float
    size: Float

    @property
    def is_point(self) -> bool:
        return not self.size.any()


@dataclass(frozen=True)
class _Panel:
    """The three slices of one target: what they show, and the region in them, LPS mm."""

    caption: str
    color: str
    located: _Shape | None
    truth: _Shape | None
    sure: bool
    lower: Float
    upper: Float

    @property
    def center(self) -> Float:
        """Where the slices lie."""
        return (self.lower + self.upper) / 2 if self.located is None else self.located.center


@dataclass(frozen=True)
class _Page:
    """A figure divided into cells, left to right and top to bottom, below a heading."""

    figure: Figure
    columns: int
    rows: int

    def place(self, cell: int, x: float, y: float, width: float, height: float) -> Rectangle:
        """Fractions of the figure of a rectangle in a cell, inches from the cell's upper left."""
        page = np.array([self.figure.get_figwidth(), self.figure.get_figheight()])
        row, column = divmod(cell, self.columns)
        left = _GAP_INCHES + column * (_cell_inches()[0] + _GAP_INCHES) + x
        top = _HEADING_INCHES + row * (_cell_inches()[1] + _GAP_INCHES) + y
        corner = np.array([left, page[1] - top - height]) / page
        size = np.array([width, height]) / page
        return float(corner[0]), float(corner[1]), float(size[0]), float(size[1])


def save_picture(
    path: str | Path,
    volume: Volume,
    results: Sequence[Result],
    title: str,
    synthetic: bool = False,
    truth: Sequence[Target] = (),
) -> None:
    """Save a PNG of the results of ONE query: three slices of its CT through every found target.

    Coloured boxes are the located ones; dashed ones are of low confidence. Targets that were not
    found are named. ``truth``: where the targets of the same names really are, as a thin white
    outline and the distance between the centres. ``synthetic`` marks the picture as not of a
    patient. Raises OutputError if it cannot be written, or if matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError(
            "no picture: matplotlib is not installed (pip install matplotlib)"
        ) from error

    panels = _panels(volume, results, truth)
    # One cell more, for the legend.
    columns = _columns(len(panels) + 1)
    rows = -(-(len(panels) + 1) // columns)
    width, height = _cell_inches()
    size = (
        _GAP_INCHES + columns * (width + _GAP_INCHES),
        _HEADING_INCHES + rows * (height + _GAP_INCHES),
    )
    page = _Page(Figure(figsize=size, facecolor="black"), columns, rows)
    FigureCanvasAgg(page.figure)

    _heading(page.figure, title, synthetic)
    for cell, panel in enumerate(panels):
        _draw_panel(page, cell, volume, panel)
    _legend(page, len(panels), results, any(panel.truth for panel in panels))
    _write(path, page.figure)


def _write(path: str | Path, figure: Figure) -> None:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is no reason to warn.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(
            stream, format="png", dpi=_DPI, facecolor="black", metadata={"Software": "RPRLoc"}
        )
    atomic_write_bytes(path, stream.getvalue())


def _cell_inches() -> tuple[float, float]:
    """Width and height of a cell: three slices in a row below a line of text."""
    return len(PLANES) * _TILE_INCHES, _TILE_INCHES + _NAME_INCHES


def _columns(cells: int) -> int:
    """As many columns as make the page about square."""
    width, height = _cell_inches()
    return max(1, round(float(np.sqrt(cells * height / width))))


def _panels(volume: Volume, results: Sequence[Result], truth: Sequence[Target]) -> list[_Panel]:
    """One per found target, the first ``_MOST_TARGETS``; the whole CT if nothing was found."""
    known = {target.name: _true_shape(target) for target in truth}
    panels = []
    for number, result in enumerate(results):
        if not result.found or result.center is None:
            continue
        size = np.zeros(3) if result.size is None else result.size
        located, true = _Shape(result.center, size), known.get(result.target)
        lower, upper = _region(volume, located, true)
        caption = _caption(result, true)
        color = _COLORS[number % len(_COLORS)]
        panels.append(_Panel(caption, color, located, true, result.status == "ok", lower, upper))

    if panels:
        return panels[:_MOST_TARGETS]
    bounds = volume.geometry.bounds()
    half = float((bounds.upper - bounds.lower).max()) / 2
    middle = (bounds.lower + bounds.upper) / 2
    return [_Panel("no target was found", _GRAY, None, None, True, middle - half, middle + half)]


def _true_shape(target: Target) -> _Shape:
    if target.box is None:
        return _Shape(target.points.xyz[0], np.zeros(3))
    lower, upper = target.box.lower, target.box.upper
    return _Shape((lower + upper) / 2, upper - lower)


def _caption(result: Result, true: _Shape | None) -> str:
    """Name, status unless ``ok``, size, and the distance to the truth where that is known."""
    parts = [result.target]
    if result.status != "ok":
        parts.append(result.status)
    if result.size is not None:
        parts.append(" \u00d7 ".join(f"{n:.0f}" for n in result.size) + " mm")
    if true is not None and result.center is not None:
        parts.append(f"centre {np.linalg.norm(result.center - true.center):.1f} mm off")
    return "  \u00b7  ".join(parts)


def _region(volume: Volume, located: _Shape, true: _Shape | None) -> tuple[Float, Float]:
    """A cube, LPS mm, around a target and its truth; within the CT where that is large enough."""
    shapes = [located] if true is None else [located, true]
    reach = max(float(np.max(np.abs(s.center - located.center) + s.size / 2)) for s in shapes)
    half = max(_SMALLEST_VIEW_MM / 2, reach + _MARGIN_MM)

    bounds = volume.geometry.bounds()
    lowest, highest = bounds.lower + half, bounds.upper - half
    middle = np.where(
        lowest <= highest,
        np.clip(located.center, lowest, np.maximum(lowest, highest)),
        (bounds.lower + bounds.upper) / 2,
    )
    # A target beyond the CT, or at its end: it is seen at least.
    middle = np.clip(middle, located.center - half, located.center + half)
    return middle - half, middle + half


def _heading(figure: Figure, title: str, synthetic: bool) -> None:
    width, height = (float(n) for n in (figure.get_figwidth(), figure.get_figheight()))
    y = 1.0 - _HEADING_INCHES / 2 / height
    warning = "SYNTHETIC SAMPLE, NOT A PATIENT" if synthetic else ""
    # DejaVu's bold is about 15 percent wider than what is measured.
    room = width * _POINTS_PER_INCH * 0.96 - _text_width(warning, 11.0) * 1.2
    bold: dict[str, Any] = {"va": "center", "weight": "bold"}
    text = _fitted(title, 13.0 * 1.15, room)
    _put(figure, _GAP_INCHES / width, y, text, color="white", fontsize=13, **bold)
    edge = 1.0 - _GAP_INCHES / width
    _put(figure, edge, y, warning, color="#ffb347", fontsize=11, ha="right", **bold)


def _draw_panel(page: _Page, cell: int, volume: Volume, panel: _Panel) -> None:
    """The three slices of a target in a row, its name above."""
    x, y, _width, height = page.place(cell, 0.0, 0.0, _cell_inches()[0], _NAME_INCHES)
    text = _fitted(panel.caption, 11.0, 0.98 * _cell_inches()[0] * _POINTS_PER_INCH)
    _put(page.figure, x, y + height / 2, text, color=panel.color, fontsize=11, va="center")

    for number, plane in enumerate(PLANES):
        rectangle = page.place(
            cell, number * _TILE_INCHES + 0.01, _NAME_INCHES, _TILE_INCHES - 0.02, _TILE_INCHES
        )
        axes = page.figure.add_axes(rectangle)
        pixels = cut_slice(
            volume, plane, float(panel.center[plane.normal]), panel.lower, panel.upper
        )
        _draw_slice(axes, plane, pixels, panel)


def _draw_slice(axes: Axes, plane: Plane, pixels: NDArray[np.float32], panel: _Panel) -> None:
    extent = plane.extent(panel.lower, panel.upper)
    low, high = DISPLAY_WINDOW_HU
    image: dict[str, Any] = {"cmap": "gray", "vmin": low, "vmax": high, "aspect": "auto"}
    axes.imshow(pixels, extent=extent, interpolation="bilinear", **image)
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#505050")

    if panel.truth is not None:
        _draw_shape(axes, plane, panel.truth, "white", 0.9, "-")
    if panel.located is not None:
        style = "-" if panel.sure else (0, (5, 3))
        _draw_shape(axes, plane, panel.located, panel.color, 1.8, style)
    _annotate(axes, plane, float(panel.center[plane.normal]), extent)


def _draw_shape(
    axes: Axes, plane: Plane, shape: _Shape, color: str, width: float, style: Any
) -> None:
    from matplotlib import patches

    across, up = float(shape.center[plane.right]), float(shape.center[plane.up])
    if shape.is_point:
        axes.plot([across], [up], "+", color=color, markersize=13.0, markeredgewidth=width)
        return
    wide, high = float(shape.size[plane.right]), float(shape.size[plane.up])
    corner = (across - wide / 2, up - high / 2)
    lines: dict[str, Any] = {"edgecolor": color, "linewidth": width, "linestyle": style}
    axes.add_patch(patches.Rectangle(corner, wide, high, fill=False, **lines))


def _annotate(axes: Axes, plane: Plane, at: float, extent: Sequence[float]) -> None:
    """Name and place of the slice, the patient's sides, and a 50 mm bar in the axial one."""
    places = [(0.03, 0.5, "left", "center"), (0.97, 0.5, "right", "center")]
    places += [(0.5, 0.03, "center", "bottom"), (0.5, 0.97, "center", "top")]
    for letter, (x, y, ha, va) in zip(plane.letters, places, strict=True):
        style: dict[str, Any] = {"ha": ha, "va": va, "transform": axes.transAxes}
        _put(axes, x, y, letter, color=_YELLOW, fontsize=10, **style)
    side = ("RL", "AP", "IS")[plane.normal][at >= 0]
    style = {"va": "top", "transform": axes.transAxes}
    _put(
        axes,
        0.03,
        0.97,
        f"{plane.title} {side} {abs(at):.0f}",
        color="white",
        fontsize=7.5,
        **style,
    )
    if plane is not AXIAL:
        return

    width, height = extent[1] - extent[0], extent[3] - extent[2]
    x, y = extent[0] + 0.05 * width, extent[2] + 0.06 * height
    axes.plot([x, x + _BAR_MM], [y, y], color="white", linewidth=2.0, solid_capstyle="butt")
    text = {"fontsize": 8, "ha": "center", "va": "bottom"}
    y += 0.015 * height
    _put(axes, x + _BAR_MM / 2, y, f"{_BAR_MM:.0f} mm", color="white", **text)


def _legend(page: _Page, cell: int, results: Sequence[Result], with_truth: bool) -> None:
    """What the lines mean, then every target that is not drawn, with its status."""
    lines = ["coloured: located (dashed: low-confidence)", "every slice goes through the centre"]
    if with_truth:
        lines.insert(1, "thin white: the truth")
    lines.append(
        f"window {DISPLAY_WINDOW_HU[0]:.0f} to {DISPLAY_WINDOW_HU[1]:.0f} HU; places in LPS mm"
    )
    found = [result for result in results if result.found]
    lines += [f"{result.target}: {result.status}" for result in results if not result.found]
    lines += [f"{result.target}: found, not drawn" for result in found[_MOST_TARGETS:]]

    size, step = 10.0, 0.24
    room = int((_cell_inches()[1] - _NAME_INCHES) / step)
    if len(lines) > room:
        lines = [*lines[: room - 1], f"and {len(lines) - room + 1} more"]
    for number, line in enumerate(lines):
        y = _NAME_INCHES + (number + 0.5) * step
        place = page.place(cell, 0.1, y, 0.0, 0.0)
        text = _fitted(line, size, 0.95 * _cell_inches()[0] * _POINTS_PER_INCH)
        _put(page.figure, place[0], place[1], text, color=_GRAY, fontsize=size, va="center")


def _fitted(text: str, points: float, room: float) -> str:
    """``text``, cut short with an ellipsis where it is wider than ``room`` (typographic points)."""
    if _text_width(text, points) <= room:
        return text
    length = (
        bisect_right(range(len(text)), room, key=lambda n: _text_width(f"{text[:n]}\u2026", points))
        - 1
    )
    return f"{text[:length]}\u2026" if length > 0 else ""


def _text_width(text: str, points: float) -> float:
    """Width of a text in typographic points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    path = TextPath(
        (0, 0), text.replace("$", "S"), size=points, prop=FontProperties(family="DejaVu Sans")
    )
    return float(path.get_extents().width)


def _put(where: Any, x: float, y: float, text: str, **style: Any) -> None:
    """Text with a black rim, on axes (mm) or on the figure (fractions of it); never a formula."""
    from matplotlib.patheffects import withStroke

    rim = [withStroke(linewidth=2.2, foreground="black")]
    where.text(x, y, text, path_effects=rim, family="DejaVu Sans", parse_math=False, **style)
