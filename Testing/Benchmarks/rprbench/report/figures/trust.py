"""Figures of trust: what is reported of cut organs, and risk against coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..style import BLUE, DARK, GRAY, PURPLE, STATUS_COLORS, drawing, list_rows
from ..trust import CASE_TITLES, SCORES, WRONG_MM, Trust

LEAST_WRITTEN = 4.0
"""Shares (%) below this have no room for their number."""
RULES = {"ok": ("RPRLoc: ok", "D"), "ok or low-confidence": ("RPRLoc: ok or low-confidence", "^")}
SCORE_LINES = {"spread_mm": (BLUE, "-"), "cycle_mm": (PURPLE, "--")}


def draw_statuses(trust: Trust | None, path: Path) -> bool:
    """Draw stacked bars of what is reported, from whole organs to gone ones; False without any."""
    shares = [] if trust is None else [each for each in trust.shares if not each.side]
    if trust is None or not shares:
        return False
    with drawing(path, 1, 1.5 + 0.5 * len(shares)) as (axes,):
        heights = np.arange(len(shares))[::-1]
        before = np.zeros(len(shares))
        for name in trust.statuses:
            values = np.array([100 * each.statuses.get(name, 0.0) for each in shares])
            color = STATUS_COLORS.get(name, GRAY)
            axes.barh(heights, values, left=before, height=0.66, color=color, label=name)
            for value, start, height in zip(values, before, heights, strict=True):
                _write_share(axes, value, start, height)
            before += values

        labels = [f"{CASE_TITLES[each.case]} (n = {each.n:,})" for each in shares]
        list_rows(axes, labels, list(map(float, heights)))
        axes.set(
            xlabel=f"Answers by reported status (%); below {LEAST_WRITTEN:.0f} % not written",
            xlim=(0, 100),
        )
        axes.set(ylabel="Organ in the CT")
        axes.grid(visible=False)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(trust.statuses))
    return True


def _write_share(axes: Axes, value: float, start: float, height: float) -> None:
    if value >= LEAST_WRITTEN:
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": "black", "fontsize": 9}
        axes.text(start + value / 2, height, f"{value:.0f}", **style)


def draw_risk(trust: Trust | None, path: Path) -> bool:
    """Draw the mean error of present organs, and the share of wrong answers with gone organs.

    Returns:
        False if the statuses were not run.
    """
    if trust is None:
        return False
    with drawing(path, 2, 4.6) as (left, right):
        _curves(left, trust, "error_mm", 1.0)
        _curves(right, trust, "wrong", 100.0)
        left.set(ylabel="Mean error of the centre (mm)")
        left.set_title(f"Present organs,\n{cut_share(trust, gone=False)}")
        right.set(ylabel=f"Share more than {WRONG_MM:.0f} mm off (%)")
        right.set_title(f"With gone organs, which count as wrong,\n{cut_share(trust, gone=True)}")
        for axes in (left, right):
            axes.set(xlabel="Answers kept (%), most trusted first", xlim=(0, 102), ylim=(0, None))
        handles, labels = right.get_legend_handles_labels()
        left.figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return True


def cut_share(trust: Trust, gone: bool) -> str:
    """Say how many of the answers are for CTs that were cut on purpose: no usual errors."""
    taken = [s for s in trust.shares if not s.side and (gone or s.case != "gone")]
    cut = sum(s.n for s in taken if s.case != "whole")
    return f"{100 * cut / sum(s.n for s in taken):.0f} % of them in CTs cut on purpose"


def _curves(axes: Axes, trust: Trust, loss: str, scale: float) -> None:
    for score, curve in trust.curves[loss].items():
        color, line = SCORE_LINES[score]
        label = f"sorted by {SCORES[score]}"
        axes.plot(100 * curve.coverage, scale * curve.risk, line, color=color, label=label)
    for rule, (title, marker) in RULES.items():
        point = trust.points[loss].get(rule)
        if point is not None and point.risk is not None:
            color = STATUS_COLORS["ok"] if rule == "ok" else STATUS_COLORS["low-confidence"]
            style: dict[str, Any] = {
                "color": color,
                "markeredgecolor": DARK,
                "markersize": 9,
                "label": title,
            }
            axes.plot(
                [100 * point.coverage], [scale * point.risk], marker, linestyle="none", **style
            )
