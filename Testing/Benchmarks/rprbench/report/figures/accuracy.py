"""Figures of accuracy: random starts, all methods, and accuracy against time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from ...methods.ours import RUNS
from ..measurements import OURS, Measurements
from ..statistics import Summary
from ..style import (
    DARK,
    GRAY,
    color_of,
    drawing,
    head_group,
    label_points,
    list_rows,
    say_start,
    wrapped,
)

IOU, AWD = "IoU (%)", "Wall distance (mm)"
STARTS = tuple(k for k in RUNS if k is not None)
POINTS = {"coarse": ("Extreme points", "o", -0.15), "diagonal": ("Diagonal points", "s", 0.15)}
"""Points of Table 1 -> title, marker, and a shift that keeps one interval from hiding another."""
GROUPS = {
    "Learned": ("ours", "detector"),
    "Registration and mapping": ("affine", "bspline", "proportional"),
    "Template matching": ("gs", "fm"),
}
"""Group of Table 3 -> the first words of its variants."""
TITLE_WIDTH = 38


def draw_starts(measurements: Measurements, path: Path) -> bool:
    """Draw IoU against the number of random starts, with the lines of all cells.

    Returns:
        False if there is nothing to draw, as for every figure here.
    """
    if not any(measurements.has(f"{name}-k{k}") for name in POINTS for k in STARTS):
        return False
    with drawing(path, 1, 4.0) as (axes,):
        for name in POINTS:
            _starts_of(axes, measurements, name)
        axes.set(xlabel="K, random starts averaged", ylabel=f"{IOU}, mean of the organs")
        axes.set(xticks=STARTS, ylim=(np.floor(axes.get_ylim()[0]), None))
        say_start(axes)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return True


def _starts_of(axes: Axes, measurements: Measurements, name: str) -> None:
    title, marker, shift = POINTS[name]
    color = color_of(name)
    taken = [k for k in STARTS if measurements.has(f"{name}-k{k}")]
    summaries = [measurements.summary(f"{name}-k{k}") for k in taken]
    if summaries:
        # No line between the points: where the axis does not start at 0, it looks too steep.
        axes.errorbar(
            [k + shift for k in taken],
            [s.mean.iou for s in summaries],
            yerr=[s.spread("iou") or 0.0 for s in summaries],
            color=color,
            marker=marker,
            linestyle="none",
            capsize=3,
            elinewidth=1,
            label=f"{title}, K random starts\n(mean, SD over references)",
        )
    if measurements.has(f"{name}-all"):
        level = measurements.summary(f"{name}-all").mean.iou
        axes.axhline(level, color=color, linestyle="--", linewidth=1.2, label=f"{title}, all cells")


def draw_methods(measurements: Measurements, variants: Sequence[str], path: Path) -> bool:
    """Draw Table 3: IoU and wall distance of every method, with its references under it."""
    if not variants:
        return False
    groups = grouped_by_iou(measurements, variants)
    count = sum(map(len, groups.values())) + len(groups)
    with drawing(path, 2, 1.3 + 0.36 * count, sharey=True) as (left, right):
        height, heights, labels = float(count), [], []
        for title, members in groups.items():
            height -= 1
            head_group(left, height, title)
            for variant in members:
                height -= 1
                heights.append(height)
                labels.append(wrapped(_label(measurements, variant), TITLE_WIDTH))
                summary, color = measurements.summary(variant), color_of(variant)
                _method(left, summary, "iou", height, color)
                _method(right, summary, "awd_mm", height, color)

        for axes, label in ((left, f"{IOU}, more is better"), (right, f"{AWD}, less is better")):
            list_rows(axes, labels, heights)
            axes.set(xlabel=label, ylim=(-0.7, count - 0.4))
            # Room for the number to the right of the widest interval.
            axes.set_xlim(0, 1.16 * axes.dataLim.x1)
        _explain_marks(left)
    return True


def grouped_by_iou(measurements: Measurements, variants: Sequence[str]) -> dict[str, list[str]]:
    """Sort methods into ``GROUPS`` (and "Other"), each group and each method by falling IoU."""
    groups: dict[str, list[str]] = {}
    for variant in sorted(variants, key=lambda v: -measurements.summary(v).mean.iou):
        word = variant.split("-")[0]
        group = next((title for title, words in GROUPS.items() if word in words), "Other")
        groups.setdefault(group, []).append(variant)
    return groups


def _label(measurements: Measurements, variant: str) -> str:
    # The heading of the group has said it already.
    title = measurements.title(variant).removeprefix("Template matching, ")
    return title[0].upper() + title[1:]


def _method(axes: Axes, summary: Summary, metric: str, height: float, color: str) -> None:
    mean = getattr(summary.mean, metric)
    if mean is None:
        return

    each = [v for v in (getattr(s, metric) for s in summary.references.values()) if v is not None]
    if len(each) > 1:
        axes.plot(each, [height - 0.3] * len(each), "|", markersize=6, color=GRAY, zorder=2)
    spread = summary.spread(metric)
    bar: dict[str, Any] = {"capsize": 3, "elinewidth": 1.4, "markersize": 7, "zorder": 3}
    axes.errorbar([mean], [height], xerr=spread, fmt="o", color=color, **bar)
    axes.annotate(
        f"{mean:.1f}",
        (max([mean + (spread or 0.0), *each]), height),
        (7, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
    )


def _explain_marks(axes: Axes) -> None:
    """Say under the figure what dots, bars and strokes are."""
    axes.errorbar([], [], xerr=[], fmt="o", color=DARK, capsize=3, label="mean, SD over references")
    axes.plot([], [], "|", markersize=6, color=GRAY, label="one stroke per reference")
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=2)


def draw_time(measurements: Measurements, variants: Sequence[str], path: Path) -> bool:
    """Draw IoU against seconds per patient, for the methods that have both."""
    taken = [v for v in variants if measurements.speed(v).get("seconds_patient")]
    if not taken:
        return False

    points = [
        (float(measurements.speed(v)["seconds_patient"]), measurements.summary(v).mean.iou)
        for v in taken
    ]
    highest = max(y for _, y in points)
    lowest = 10 * math.floor(0.95 * min(y for _, y in points) / 10)
    with drawing(path, 1, max(3.8, 0.3 * len(taken) + 1)) as (axes,):
        for (x, y), variant in zip(points, taken, strict=True):
            # Ours is also the largest, so that it is found without its colour.
            size = 11 if variant == OURS else 7
            axes.plot([x], [y], "o", color=color_of(variant), markersize=size)
        axes.set_xscale("log")
        axes.set(xlabel="Seconds per patient, four organs (log scale)")
        axes.set(ylabel=f"{IOU}, mean of the organs", ylim=(lowest, 1.06 * highest))
        say_start(axes)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.margins(x=0.08)
        titles = [measurements.title(v) for v in taken]
        label_points(axes, points, titles, [DARK] * len(taken))

    return True
