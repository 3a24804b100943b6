"""A picture of the results: boxes and landmarks on an axial, a coronal and a sagittal slice of the CT (PNG).

Radiological convention: the patient's right is on the left of the image; anterior is up in the
axial slice and left in the sagittal one. All three slices have the same scale, and neighbours share
an axis. Needs matplotlib, which is loaded on the first call only.
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
from ..image.planes import AXIAL, CORONAL, SAGITTAL, Plane, cut_slice
from ..image.volume import Volume
from ..localization.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW_HU = (-160.0, 240.0)
_MARGIN_MM = 55.0
_LANDMARK_MM = 5.0
_SIDE_INCHES = 10.5
_DPI = 140
_HEADING_INCHES = 0.5
_MOST_LABELS = 40
_MOST_COLUMNS = 3
_COLORS = (
    *("#ff6b6b", "#4cc9f0", "#ffd23f", "#7ae582", "#c79bff", "#ff9f45"),
    *("#ff8fc7", "#3fe0c5", "#b8d430", "#8fa8ff", "#e0b08a", "#f2f2f2"),
)

Float = NDArray[np.float64]


@dataclass(frozen=True)
class _Shape:
    """A found target as it is drawn: a box in LPS mm (5 mm wide for a landmark) with its colour."""

    name: str
    lower: Float
    upper: Float
    is_point: bool
    sure: bool
    color: str


@dataclass(frozen=True)
class _Scene:
    """What all slices share: the shapes, the part of the patient shown, and where the slices lie (LPS mm)."""

    shapes: list[_Shape]
    lower: Float
    upper: Float
    middle: tuple[float, float, float]


def save_picture(
    path: str | Path, volume: Volume, results: Sequence[Result], title: str, synthetic: bool = False
) -> None:
    """Save a PNG of the results of ONE query over slices of its CT through the middle of the targets.

    Solid boxes are cut by the slice; dotted ones lie before or behind it; dashed ones are of low
    confidence. Targets that were not found are named in the legend. ``synthetic`` marks the picture
    as not of a patient. Raises OutputError if it cannot be written, or if matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError(
            "no picture: matplotlib is not installed (pip install matplotlib)"
        ) from error
    scene = _scene(volume, results)
    across, deep, high = (float(n) for n in scene.upper - scene.lower)
    scale = _SIDE_INCHES / max(across + deep, deep + high)
    figure = Figure(
        figsize=((across + deep) * scale, (deep + high) * scale + _HEADING_INCHES),
        facecolor="black",
    )
    FigureCanvasAgg(figure)
    left, below = _draw_slices(figure, volume, scene)
    _heading(figure, title, synthetic)
    _legend(figure, scene, results, left + 0.02, below + 0.02)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(
            stream, format="png", dpi=_DPI, facecolor="black", metadata={"Software": "RPRLoc"}
        )
    atomic_write_bytes(path, stream.getvalue())


def _shapes(results: Sequence[Result]) -> list[_Shape]:
    shapes = []
    for number, result in enumerate(results):
        if not result.found or result.center is None:
            continue
        is_point = result.size is None
        half = np.full(3, _LANDMARK_MM / 2) if result.size is None else result.size / 2
        color = _COLORS[number % len(_COLORS)]
        shape = _Shape(
            result.target,
            result.center - half,
            result.center + half,
            is_point,
            result.status == "ok",
            color,
        )
        shapes.append(shape)
    return shapes


def _scene(volume: Volume, results: Sequence[Result]) -> _Scene:
    shapes = _shapes(results)
    lower, upper = _region(volume, shapes)
    x, y, z = (_slice_position(shapes, axis, lower, upper) for axis in range(3))
    return _Scene(shapes, lower, upper, (x, y, z))


def _region(volume: Volume, shapes: Sequence[_Shape]) -> tuple[Float, Float]:
    """What is shown, LPS mm: the targets with 55 mm around them, or the whole volume if there are none."""
    bounds = volume.geometry.bounds()
    if not shapes:
        return bounds.lower, bounds.upper
    lower = np.min([shape.lower for shape in shapes], axis=0) - _MARGIN_MM
    upper = np.max([shape.upper for shape in shapes], axis=0) + _MARGIN_MM
    low, high = np.maximum(lower, bounds.lower), np.minimum(upper, bounds.upper)
    return (low, high) if (high - low > _LANDMARK_MM).all() else (lower, upper)


def _slice_position(shapes: Sequence[_Shape], axis: int, lower: Float, upper: Float) -> float:
    """Where across ``axis`` (mm) the slice cuts most targets; among those, nearest to their middles."""
    if not shapes:
        return float(lower[axis] + upper[axis]) / 2.0
    low = np.array([shape.lower[axis] for shape in shapes])
    high = np.array([shape.upper[axis] for shape in shapes])
    at = np.arange(low.min(), high.max(), 0.5)[:, None]
    cut = (at > low) & (at < high)
    off = np.abs(at - (low + high) / 2) / (high - low)
    score = cut.sum(axis=1) - (np.minimum(off, 0.5) / len(shapes)).sum(axis=1)
    return float(at[int(np.argmax(score)), 0])


def _draw_slices(figure: Figure, volume: Volume, scene: _Scene) -> tuple[float, float]:
    """Axial above coronal (same width), sagittal beside coronal (same height); gives the corner left free."""
    across, deep, high = (float(n) for n in scene.upper - scene.lower)
    left, below = across / (across + deep), _top(figure) * high / (deep + high)
    places = {
        AXIAL: (0.0, below, left, _top(figure) - below),
        CORONAL: (0.0, 0.0, left, below),
        SAGITTAL: (left, 0.0, 1.0 - left, below),
    }
    for plane, (x, y, width, height) in places.items():
        axes = figure.add_axes((x + 0.002, y + 0.002, width - 0.004, height - 0.004))
        pixels = cut_slice(volume, plane, scene.middle[plane.normal], scene.lower, scene.upper)
        _draw_plane(axes, plane, pixels, scene)
    return left, below


def _top(figure: Figure) -> float:
    """Where the slices end and the heading begins, as a fraction of the picture's height."""
    return 1.0 - _HEADING_INCHES / float(figure.get_figheight())


def _heading(figure: Figure, title: str, synthetic: bool) -> None:
    y, warning = (1.0 + _top(figure)) / 2, "SYNTHETIC SAMPLE, NOT A PATIENT" if synthetic else ""
    room = float(figure.get_figwidth()) * 72.0 * 0.97 - _text_width(warning, 11.0) * 1.2
    _put(
        figure,
        0.008,
        y,
        _fitted(title, 12.0 * 1.15, room),
        color="white",
        fontsize=12,
        va="center",
        weight="bold",
    )
    _put(
        figure,
        0.985,
        y,
        warning,
        color="#ffb347",
        fontsize=11,
        va="center",
        ha="right",
        weight="bold",
    )


def _draw_plane(
    axes: Axes,
    plane: Plane,
    pixels: NDArray[np.float32],
    scene: _Scene,
) -> None:
    extent = plane.extent(scene.lower, scene.upper)
    axes.imshow(
        pixels,
        cmap="gray",
        vmin=WINDOW_HU[0],
        vmax=WINDOW_HU[1],
        extent=extent,
        interpolation="bilinear",
        aspect="auto",
    )
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#505050")
    at = scene.middle[plane.normal]
    cut = [
        shape
        for shape in scene.shapes
        if shape.lower[plane.normal] < at < shape.upper[plane.normal]
    ]
    for shape in scene.shapes:
        _draw_shape(axes, plane, shape, any(shape is other for other in cut))
    _label_shapes(axes, plane, cut[:_MOST_LABELS])
    _annotate(axes, plane, scene.middle, extent)


def _draw_shape(axes: Axes, plane: Plane, shape: _Shape, cut: bool) -> None:
    from matplotlib.patches import Rectangle

    corner = (float(shape.lower[plane.right]), float(shape.lower[plane.up]))
    width, height = (float((shape.upper - shape.lower)[axis]) for axis in (plane.right, plane.up))
    strength = 1.0 if cut else 0.7
    if shape.is_point:
        x, y = corner[0] + width / 2, corner[1] + height / 2
        size, width = (13.0, 1.8) if cut else (8.0, 1.0)
        axes.plot(
            [x], [y], "+", color=shape.color, markersize=size, markeredgewidth=width, alpha=strength
        )
        return
    style: Any = ("-" if shape.sure else (0, (5, 3))) if cut else (0, (1, 2.5))
    axes.add_patch(
        Rectangle(
            corner,
            width,
            height,
            fill=False,
            edgecolor=shape.color,
            linewidth=1.7 if cut else 1.2,
            linestyle=style,
            alpha=strength,
        )
    )


def _label_shapes(axes: Axes, plane: Plane, shapes: Sequence[_Shape]) -> None:
    """Write each name beside its box, where it hides neither another name nor, if possible, a box."""
    scale = _mm_per_point(axes)
    used = [_rectangle(plane, shape) for shape in shapes]
    view = np.array(
        [[min(axes.get_xlim()), min(axes.get_ylim())], [max(axes.get_xlim()), max(axes.get_ylim())]]
    )
    texts: list[Float] = []
    for shape in sorted(shapes, key=lambda shape: float(np.prod(shape.upper - shape.lower))):
        name = shape.name if shape.sure else f"{shape.name} (low confidence)"
        size = np.array([_text_width(name, 9.0), 11.0]) * scale
        spot = _free_spot(_rectangle(plane, shape), size, 3.0 * scale, view, texts, used)
        texts.append(np.array([spot, spot + size]))
        _put(
            axes,
            float(spot[0]),
            float(spot[1] + size[1] / 2),
            name,
            color=shape.color,
            fontsize=9,
            va="center",
        )


def _rectangle(plane: Plane, shape: _Shape) -> Float:
    """Lower and upper corner (2, 2) of a shape on the plane, mm."""
    axes = [plane.right, plane.up]
    return np.array([shape.lower[axes], shape.upper[axes]])


def _free_spot(
    box: Float, size: Float, gap: float, view: Float, texts: Sequence[Float], boxes: Sequence[Float]
) -> Float:
    """Lower corner for a text of ``size`` by ``box`` that covers least of other texts, then of boxes (mm)."""
    (x0, y0), (x1, y1) = box
    columns, rows = (
        (x0, (x0 + x1 - size[0]) / 2, x1 - size[0]),
        (y0, (y0 + y1 - size[1]) / 2, y1 - size[1]),
    )
    spots = [(x, y) for y in (y0 - gap - size[1], y1 + gap) for x in columns]
    spots += [(x, y) for x in (x1 + gap, x0 - gap - size[0]) for y in rows]
    best, least = np.array(spots[0]), np.inf
    for choice in spots:
        spot = np.clip(
            np.array(choice), view[0] + gap, np.maximum(view[1] - size - gap, view[0] + gap)
        )
        text = np.array([spot, spot + size])
        cost = 20.0 * sum(_overlap(text, other) for other in texts) + sum(
            _overlap(text, other) for other in boxes
        )
        cost += float(np.abs(spot - np.array(choice)).sum()) * 0.1 * size[1]
        if cost < least - 1e-9:
            best, least = spot, cost
    return best


def _overlap(a: Float, b: Float) -> float:
    return float(np.prod(np.clip(np.minimum(a[1], b[1]) - np.maximum(a[0], b[0]), 0.0, None)))


def _mm_per_point(axes: Axes) -> float:
    """Millimetres of the patient per typographic point (1/72 inch) of the picture."""
    figure: Any = axes.get_figure()
    inches = axes.get_position().width * figure.get_figwidth()
    left, right = axes.get_xlim()
    return abs(right - left) / (72.0 * float(inches))


def _annotate(axes: Axes, plane: Plane, middle: Sequence[float], extent: Sequence[float]) -> None:
    """Name and place of the slice, side letters, ticks where the other two slices lie, and a 50 mm bar."""
    places = [(0.022, 0.5, "left", "center"), (0.978, 0.5, "right", "center")]
    places += [(0.5, 0.022, "center", "bottom"), (0.5, 0.978, "center", "top")]
    for letter, (x, y, ha, va) in zip(plane.letters, places, strict=True):
        _put(
            axes, x, y, letter, color="#ffe08a", fontsize=11, ha=ha, va=va, transform=axes.transAxes
        )
    side = ("RL", "AP", "IS")[plane.normal][middle[plane.normal] >= 0]
    caption = f"{plane.title}  {side} {abs(middle[plane.normal]):.0f} mm"
    _put(
        axes, 0.012, 0.988, caption, color="white", fontsize=9.5, va="top", transform=axes.transAxes
    )
    width, height = extent[1] - extent[0], extent[3] - extent[2]
    tick: dict[str, Any] = {"color": "#ffe08a", "linewidth": 1.0, "alpha": 0.9}
    for start, stop in ((0.0, 0.018), (0.982, 1.0)):
        x, y = middle[plane.right], middle[plane.up]
        axes.plot([x, x], [extent[2] + start * height, extent[2] + stop * height], **tick)
        axes.plot([extent[0] + start * width, extent[0] + stop * width], [y, y], **tick)
    if plane is AXIAL and width > 80.0:
        x, y = extent[0] + 0.03 * width, extent[2] + 0.04 * height
        axes.plot([x, x + 50.0], [y, y], color="white", linewidth=2.0, solid_capstyle="butt")
        _put(
            axes,
            x + 25.0,
            y + 0.008 * height,
            "50 mm",
            color="white",
            fontsize=8.5,
            ha="center",
            va="bottom",
        )


def _legend(
    figure: Figure, scene: _Scene, results: Sequence[Result], x: float, bottom: float
) -> None:
    """One line per target in its colour, with its status unless ``ok``; then what the line styles mean."""
    notes = ["solid: cut by this slice", "dotted: before or behind it", "dashed: low confidence"]
    notes = (
        [*notes, f"window {WINDOW_HU[0]:.0f} to {WINDOW_HU[1]:.0f} HU"]
        if scene.shapes
        else ["no target was found"]
    )
    top, line = _top(figure) - 0.02, 0.24 / float(figure.get_figheight())
    rows = max(1, int((top - bottom) / line) - len(notes) - 1)
    columns = min(_MOST_COLUMNS, -(-len(results) // rows))
    size, width = 11.0 - 1.5 * (columns - 1), (0.985 - x) / max(columns, 1)
    shown = results if len(results) <= rows * columns else results[: rows * columns - 1]
    for number, result in enumerate(shown):
        color = _COLORS[number % len(_COLORS)] if result.found else "#909090"
        text = result.target if result.status == "ok" else f"{result.target}: {result.status}"
        spot = x + (number // rows) * width, top - (number % rows) * line
        _put(
            figure,
            *spot,
            "\u25a0" if result.found else "\u2013",
            color=color,
            fontsize=size * 1.2,
            va="center",
        )
        text = _fitted(text, size, (width - 0.03) * 72.0 * float(figure.get_figwidth()))
        style = {"color": "white" if result.found else color, "fontsize": size, "va": "center"}
        _put(figure, spot[0] + 0.025, spot[1], text, **style)
    if len(shown) < len(results):
        spot = x + (len(shown) // rows) * width, top - (len(shown) % rows) * line
        _put(
            figure,
            *spot,
            f"and {len(results) - len(shown)} more",
            color="#909090",
            fontsize=size,
            va="center",
        )
    below = top - (min(rows, len(results)) + 0.5) * line
    for number, note in enumerate(notes):
        _put(
            figure, x, below - number * 0.85 * line, note, color="#a8a8a8", fontsize=9, va="center"
        )


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
    """Text with a black rim on axes (in mm) or on the figure (in fractions of it); never read as formulas."""
    from matplotlib.patheffects import withStroke

    rim = [withStroke(linewidth=2.2, foreground="black")]
    where.text(x, y, text, path_effects=rim, family="DejaVu Sans", parse_math=False, **style)
