"""Figures of honest statuses: risk against coverage, and what is reported for organs cut by the CT's border."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from .plotting import BLUE, DARK, GRAY, ORANGE, PURPLE, YELLOW, drawing
from .store import Row
from .trust import CASE_TITLES, SCORES, STATUSES, WRONG_MM, all_shares, curve_of, status_point

COLOURS = {"ok": BLUE, "low-confidence": YELLOW, "outside": GRAY}
KEPT = {"product: ok": (("ok",), "D"), "product: ok and low-confidence": (("ok", "low-confidence"), "^")}


def risk_coverage(rows: Sequence[Row], path: Path) -> bool:
    """Two panels: mean error of present organs, and share of wrong answers with gone organs; False without rows."""
    if not rows:
        return False
    with drawing(path, 2, 3.9) as (left, right):
        _curves(left, [r for r in rows if r["case"] != "gone"], "error_mm", 1.0)
        _curves(right, rows, "wrong", 100.0)
        left.set(ylabel="Mean error of the centre (mm)", title="Present organs, whole or partly visible")
        right.set(ylabel=f"Share more than {WRONG_MM:.0f} mm off (%)", title="All; gone organs count as wrong")
        for axes in (left, right):
            axes.set(xlabel="Answers kept (%), most trusted first", xlim=(0, 102), ylim=(0, None))
        handles, labels = right.get_legend_handles_labels()
        left.figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return True


def _curves(axes: Axes, rows: Sequence[Row], kind: str, scale: float) -> None:
    for (score, title), colour, line in zip(SCORES.items(), (BLUE, ORANGE), ("-", "--"), strict=True):
        curve = curve_of(rows, score, kind)
        if curve is not None:
            # of a handful of answers, the risk says nothing
            shown = curve.coverage >= min(1.0, 20 / len(curve.coverage))
            axes.plot(
                100 * curve.coverage[shown], scale * curve.risk[shown], line, color=colour, label=f"sorted by {title}"
            )
    for (title, (kept, marker)), colour in zip(KEPT.items(), (DARK, PURPLE), strict=True):
        point = status_point(rows, kept, kind)
        if point is not None and point.risk is not None:
            axes.plot([100 * point.coverage], [scale * point.risk], marker, color=colour, markersize=8, label=title)


def statuses(rows: Sequence[Row], path: Path) -> bool:
    """Stacked bars of what is reported, from whole organs to gone ones; False without rows."""
    found = [s for s in all_shares(rows) if not s.side]
    if not found:
        return False
    names = [*STATUSES, *sorted({name for s in found for name in s.statuses} - set(STATUSES))]
    with drawing(path, 1, 1.2 + 0.5 * len(found)) as (axes,):
        heights = np.arange(len(found))[::-1]
        before = np.zeros(len(found))
        for name in names:
            values = np.array([100 * s.statuses.get(name, 0.0) for s in found])
            axes.barh(heights, values, left=before, height=0.66, color=COLOURS.get(name, PURPLE), label=name)
            for value, start, height in zip(values, before, heights, strict=True):
                if value >= 4:
                    colour = "white" if name == "ok" else "black"
                    axes.text(
                        start + value / 2, height, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=9
                    )
            before += values
        axes.set_yticks(heights, [f"{CASE_TITLES[s.case]} (n = {s.n:,})" for s in found])
        axes.set(xlabel="Share of the organs (%) by reported status", xlim=(0, 100))
        axes.grid(visible=False)
        axes.tick_params(axis="y", length=0)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(names))
    return True
