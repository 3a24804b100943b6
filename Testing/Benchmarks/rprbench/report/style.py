"""How the figures of the report look.

One size, one set of colours that the colour-blind can tell apart.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from rprloc.files import atomic_write_bytes

# Okabe and Ito's palette, which the colour-blind can tell apart; their black and yellow are greys.
BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"
VERMILION, GRAY, DARK = "#D55E00", "#9A9A9A", "#333333"

_FAMILY_COLORS = {
    "ours": BLUE,
    "coarse": BLUE,
    "diagonal": ORANGE,
    "detector": VERMILION,
    "affine": GREEN,
    "bspline": GREEN,
    "proportional": GRAY,
    "gs": PURPLE,
    "fm": SKY,
    "paper": ORANGE,
}
"""First word of a variant -> its colour, in every figure. Variants of a method share theirs."""
STATUS_COLORS = {
    "ok": GREEN,
    "low-confidence": ORANGE,
    "outside": SKY,
    "failed": VERMILION,
}
"""As in the panel's results (``scene.resultnodes``, which needs Slicer); a test compares."""


def color_of(variant: str) -> str:
    """Colour of a method, the same in every figure; dark for one that is not known."""
    return _FAMILY_COLORS.get(variant.split("-")[0], DARK)


WIDTH_IN = 8.0
DPI = 160
LABEL_GAP = 0.062
"""Least distance of two labels, as a share of the height of the axes."""
STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "axes.labelcolor": DARK,
    "text.color": DARK,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}


@contextmanager
def drawing(path: Path, columns: int, height: float, **grid: Any) -> Iterator[list[Axes]]:
    """Axes side by side, 8 inches wide in all and ``height`` inches high.

    Written to ``path`` (PNG) at the end.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, height), dpi=DPI, layout="constrained")
        axes = list(figure.subplots(1, columns, squeeze=False, **grid)[0])
        yield axes
        FigureCanvasAgg(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
        atomic_write_bytes(path, _with_palette(buffer))


def _with_palette(png: io.BytesIO) -> bytes:
    """Turn a PNG into one of 255 colours: a drawing looks the same in a third of the bytes."""
    smaller = io.BytesIO()
    image = Image.open(png).convert("RGB").quantize(255, dither=Image.Dither.NONE)
    image.save(smaller, format="png", optimize=True)
    return smaller.getvalue()


def spaced(positions: Sequence[float], gap: float, lowest: float, highest: float) -> list[float]:
    """Move positions as little as need be to lie at least ``gap`` apart, between two ends.

    Their order stays.
    """
    order = np.argsort(positions, kind="stable")
    gap = min(gap, (highest - lowest) / max(1, len(positions) - 1))
    steps = gap * np.arange(len(positions))
    # Without the steps, "apart by a gap" is "not falling": least squares of that is pooling what
    # falls.
    wanted = np.array(positions, dtype=np.float64)[order] - steps

    blocks: list[tuple[float, int]] = []
    for value in wanted:
        mean, count = float(value), 1
        for earlier, size in reversed(blocks):
            if earlier <= mean:
                break
            mean, count = (mean * count + earlier * size) / (count + size), count + size
            blocks.pop()
        blocks.append((mean, count))

    level = np.clip(
        np.concatenate([np.full(n, mean) for mean, n in blocks]), lowest, highest - steps[-1]
    )
    moved = np.empty(len(positions))
    moved[order] = level + steps
    return [float(v) for v in moved]


def wrapped(title: str, width: int) -> str:
    """A title in lines short enough to stand beside a plot; words are never broken."""
    return textwrap.fill(title, width, break_long_words=False, break_on_hyphens=False)


def say_start(axes: Axes) -> None:
    """Add to the label of the y axis where it starts, unless that is at 0."""
    start = axes.get_ylim()[0]
    if start > 0:
        axes.set_ylabel(f"{axes.get_ylabel()}\n(the axis starts at {start:g})")


def list_rows(axes: Axes, labels: Sequence[str], heights: Sequence[float]) -> None:
    """Name the rows of a plot at ``heights``, without lines or ticks for them."""
    axes.set_yticks(list(heights), list(labels))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def head_group(axes: Axes, height: float, title: str) -> None:
    """Write the heading of a group of rows in bold, in the place of their names."""
    axes.text(
        -0.01,
        height,
        title,
        transform=axes.get_yaxis_transform(),
        ha="right",
        va="center",
        fontsize=9,
        fontweight="bold",
    )


def label_points(
    axes: Axes, points: Sequence[tuple[float, float]], labels: Sequence[str], colors: Sequence[str]
) -> None:
    """Labels in a column to the right of the axes, each tied to its point.

    No two on top of each other.
    """
    lowest, highest = axes.get_ylim()
    heights = [(y - lowest) / (highest - lowest) for _, y in points]

    levels = spaced(heights, LABEL_GAP, 0.0, 1.0)
    for (x, y), label, color, height in zip(points, labels, colors, levels, strict=True):
        axes.annotate(
            label,
            (x, y),
            (1.04, height),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            color=color,
            annotation_clip=False,
            zorder=1,
            arrowprops={
                "arrowstyle": "-",
                "color": "#BBBBBB",
                "linewidth": 0.7,
                "shrinkA": 2,
                "shrinkB": 4,
                "relpos": (0.0, 0.5),
            },
        )
