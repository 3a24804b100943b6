"""The figure of pooled references."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..statistics import Summary
from ..style import DARK, GRAY, color_of, drawing, say_start
from .accuracy import AWD, IOU


def draw_pools(pools: Mapping[int, Summary], path: Path) -> bool:
    """Draw IoU and wall distance against the number of pooled references; False without any."""
    if not pools:
        return False
    with drawing(path, 2, 3.9) as both:
        for axes, metric, label in zip(both, ("iou", "awd_mm"), (IOU, AWD), strict=True):
            for n, summary in pools.items():
                _pool(axes, n, summary, metric)
            axes.set(xlabel="References pooled", ylabel=label, xticks=list(pools))
            # Room for the numbers to the right of the means.
            axes.set_xlim(0, max(pools) * 1.2 + 0.5)
            axes.set_ylim(bottom=np.floor(axes.get_ylim()[0]))
            say_start(axes)

        first = both[0]
        first.plot([], [], "o", color=GRAY, markersize=4, label="one pool of references")
        first.errorbar(
            [], [], yerr=[], fmt="o", color=color_of("ours"), capsize=3, label="mean, SD over pools"
        )
        handles, labels = first.get_legend_handles_labels()
        first.figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return True


def _pool(axes: Axes, n: int, summary: Summary, metric: str) -> None:
    each = [v for v in (getattr(s, metric) for s in summary.references.values()) if v is not None]
    # Beside the mean, which would hide them.
    axes.plot([n - 0.25] * len(each), each, "o", color=GRAY, markersize=4, zorder=2)

    mean, spread = getattr(summary.mean, metric), summary.spread(metric)
    if mean is None:
        return
    bar: dict[str, Any] = {"capsize": 3, "elinewidth": 1.4, "markersize": 7, "zorder": 3}
    axes.errorbar([n], [mean], yerr=spread, fmt="o", color=color_of("ours"), **bar)
    axes.annotate(
        f"{mean:.1f}", (n, mean), (8, 0), textcoords="offset points", va="center", color=DARK
    )
