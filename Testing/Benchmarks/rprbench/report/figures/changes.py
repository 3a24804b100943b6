"""The figure of robustness: what each change of the CT does to the IoU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from ..comparison_of_changes import Change
from ..style import DARK, color_of, drawing, head_group, list_rows, wrapped

GROUPS = {
    "Geometry": ("order", "spacing", "slices"),
    "Noise and offset": ("noise", "offset"),
    "Damage": ("metal", "fifth", "gap"),
}
"""Group -> the first words of the ids of its changes (``experiments.robustness``)."""


def draw_changes(changes: Sequence[Change], path: Path) -> bool:
    """Draw the change of the IoU by each change of the CT as a dot with its interval (forest plot).

    Exact zeros, where every answer stayed the same, are open dots. False if there is none to draw.
    """
    drawn = [change for change in changes if change.iou is not None]
    if not drawn:
        return False

    groups = _grouped(drawn)
    count = len(drawn) + len(groups)
    with drawing(path, 1, 1.4 + 0.29 * count) as (axes,):
        height, heights, labels = float(count), [], []
        for title, members in groups.items():
            height -= 1
            head_group(axes, height, title)
            for change in members:
                height -= 1
                heights.append(height)
                labels.append(wrapped(change.title, 60))
                _dot(axes, change, height)
        axes.axvline(0, color=DARK, linewidth=0.8, zorder=1)
        list_rows(axes, labels, heights)
        axes.set(ylim=(-0.7, count - 0.4))
        axes.set(xlabel="IoU minus that of the unchanged CT (percentage points)")
        _explain_marks(axes)

    return True


def _grouped(changes: Sequence[Change]) -> dict[str, list[Change]]:
    groups: dict[str, list[Change]] = {title: [] for title in (*GROUPS, "Other")}
    for change in changes:
        word = re.split(r"[-+]", change.id)[0]
        title = next((title for title, words in GROUPS.items() if word in words), "Other")
        groups[title].append(change)
    return {title: members for title, members in groups.items() if members}


def _dot(axes: Axes, change: Change, height: float) -> None:
    assert change.iou is not None
    middle, lower, upper = change.iou.difference, change.iou.lower, change.iou.upper
    color = color_of("ours")
    if lower is not None and upper is not None:
        axes.plot([lower, upper], [height, height], color=color, linewidth=1.8, zorder=2)
    filling = "white" if change.changes_nothing else color
    style: dict[str, Any] = {"markersize": 6, "markeredgecolor": color, "zorder": 3}
    axes.plot([middle], [height], "o", markerfacecolor=filling, **style)


def _explain_marks(axes: Axes) -> None:
    color = color_of("ours")
    axes.plot([], [], "o-", color=color, linewidth=1.8, label="mean, 95 % interval")
    axes.plot([], [], "o", markerfacecolor="white", markeredgecolor=color, label="exactly 0")
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=2)
