"""Figures of cost: seconds and memory as the work grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ...core.store import Row
from ..style import DARK, color_of, drawing

SERIES = {
    "targets": {"targets": "one CT"},
    "volume": {"spacing": "same patient, finer voxels", "extent": "larger extent, 2 mm voxels"},
    "queries": {"queries": "CTs"},
}
"""Figure -> series of the rows -> title."""
LABELS = {
    "targets": "Landmarks located in one CT (log scale)",
    "volume": "Voxels along each edge of the volume",
    "queries": "CTs one after the other, reading included",
}
FIELDS = {"seconds": "Seconds", "peak_mb": "Peak memory (MB)"}
# Both series of a figure are ours, so its colour and a dark one tell them apart, with the line.
LINES = ((color_of("ours"), "o-"), (DARK, "s--"))


def draw_cost(rows: Sequence[Row], figure: str, path: Path) -> bool:
    """Draw seconds and peak memory against "targets", "volume" or "queries".

    Returns:
        False if it was not measured.
    """
    series = {
        name: sorted((row for row in rows if row["series"] == name), key=lambda row: row["n"])
        for name in SERIES[figure]
    }
    if not any(series.values()):
        return False

    ticks = sorted({int(row["n"]) for part in series.values() for row in part})
    with drawing(path, 2, 3.4) as both:
        for axes, (field, label) in zip(both, FIELDS.items(), strict=True):
            for (name, part), (color, line) in zip(series.items(), LINES, strict=False):
                known = [row for row in part if row.get(field) is not None]
                values = [float(row[field]) for row in known]
                title = SERIES[figure][name]
                axes.plot([row["n"] for row in known], values, line, color=color, label=title)
            axes.set(xlabel=LABELS[figure], ylabel=label, ylim=(0, 1.06 * axes.dataLim.y1))
            _tick(axes, figure, ticks)
        if figure == "volume":
            both[0].legend(loc="upper left")

    return True


def _tick(axes: Axes, figure: str, ticks: Sequence[int]) -> None:
    """Put a tick at every amount of work that was measured, where they do not crowd."""
    if figure == "queries":
        return
    axes.set_xscale("log" if figure == "targets" else "linear")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
