"""Figures of accuracy and time."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..core.store import Row
from ..methods.ours import RUNS
from .changes import Change, few_shot
from .measurements import OURS, SUPERVISED, Measured
from .statistics import Summary
from .style import BLUE, DARK, GRAY, ORANGE, PURPLE, SKY, YELLOW, drawing, label_points
from .trust import CASE_TITLES, SCORES, STATUSES, WRONG_MM, all_shares, curve_of, status_point

IOU, AWD = "IoU (%)", "Wall distance (mm)"
STARTS = tuple(k for k in RUNS if k is not None)


def colour_of(variant: str) -> str:
    """Ours blue, the supervised orange, all others dark."""
    return BLUE if variant == OURS else ORANGE if variant in SUPERVISED else DARK


def wrapped(title: str, width: int = 27) -> str:
    """A title in lines short enough to stand beside a plot."""
    return textwrap.fill(title, width)


def runs(measured: Measured, path: Path) -> bool:
    """IoU against the number of random starts, with the lines of all cells; False if there is nothing to draw."""
    found = {v: measured.summary(v) for v in measured.variants((), ["accuracy-runs"])}
    curves = (("coarse", "Extreme points", BLUE, "o"), ("diagonal", "Diagonal points", ORANGE, "s"))
    if not any(f"{name}-k{k}" in found for name, *_ in curves for k in STARTS):
        return False
    with drawing(path, 1, 4.0) as (axes,):
        for shift, (name, title, colour, marker) in zip((-0.12, 0.12), curves, strict=True):
            taken = [k for k in STARTS if f"{name}-k{k}" in found]
            each = [found[f"{name}-k{k}"] for k in taken]
            if each:
                # beside each other, so that the error bars do not cover one another
                axes.errorbar(
                    [k + shift for k in taken],
                    [s.mean.iou for s in each],
                    yerr=[s.spread("iou") or 0.0 for s in each],
                    color=colour,
                    marker=marker,
                    capsize=3,
                    elinewidth=1,
                    label=f"{title}, K random starts",
                )
            if f"{name}-all" in found:
                level = found[f"{name}-all"].mean.iou
                axes.axhline(
                    level, color=colour, linestyle="--", linewidth=1.2, label=f"{title}, all cells"
                )
        axes.set(
            xlabel="K, random starts averaged", ylabel=f"{IOU}, mean of the organs", xticks=STARTS
        )
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return True


def methods(measured: Measured, variants: Sequence[str], path: Path) -> bool:
    """Table 3: IoU and wall distance of every method, with its references under it; False if there is none."""
    if not variants:
        return False
    with drawing(path, 2, 1.0 + 0.42 * len(variants), sharey=True) as (left, right):
        for height, variant in enumerate(reversed(variants)):
            summary, colour = measured.summary(variant), colour_of(variant)
            _method(left, summary, "iou", height, colour)
            _method(right, summary, "awd_mm", height, colour)
        left.set_yticks(
            range(len(variants)), [wrapped(measured.title(v)) for v in reversed(variants)]
        )
        left.set(xlabel=IOU, xlim=(0, None), ylim=(-0.6, len(variants) - 0.4))
        right.set(xlabel=AWD, xlim=(0, None))
        for axes in (left, right):
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="y", length=0)
    return True


def _method(axes: Axes, summary: Summary, metric: str, height: int, colour: str) -> None:
    mean = getattr(summary.mean, metric)
    if mean is None:
        return
    each = [v for v in (getattr(s, metric) for s in summary.references.values()) if v is not None]
    if len(each) > 1:
        axes.plot(each, [height - 0.28] * len(each), "|", markersize=6, color=GRAY, zorder=2)
    spread = summary.spread(metric)
    axes.errorbar(
        [mean],
        [height],
        xerr=spread,
        fmt="o",
        color=colour,
        markersize=6,
        capsize=3,
        elinewidth=1.2,
        zorder=3,
    )


def accuracy_and_time(measured: Measured, variants: Sequence[str], path: Path) -> bool:
    """IoU against seconds per patient; False where no method has both."""
    taken = [v for v in variants if measured.speed(v).get("seconds_patient")]
    if not taken:
        return False
    points = [
        (float(measured.speed(v)["seconds_patient"]), measured.summary(v).mean.iou) for v in taken
    ]
    colours = [colour_of(v) for v in taken]
    with drawing(path, 1, max(3.6, 0.3 * len(taken) + 1)) as (axes,):
        for (x, y), colour in zip(points, colours, strict=True):
            axes.plot([x], [y], "o", color=colour, markersize=7)
        axes.set_xscale("log")
        low, high = min(y for _, y in points), max(y for _, y in points)
        margin = max(2.0, 0.08 * (high - low))
        axes.set(ylim=(low - margin, high + margin))
        axes.set(
            xlabel="Seconds per patient, four organs (log scale)",
            ylabel=f"{IOU}, mean of the organs",
        )
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.margins(x=0.08)
        label_points(axes, points, [measured.title(v) for v in taken], colours)
    return True


def references(measured: Measured, path: Path) -> bool:
    """IoU and wall distance against the number of pooled references; False if few-shot was not run."""
    found = few_shot(measured)
    if not found:
        return False
    numbers = list(found)
    with drawing(path, 2, 3.6) as both:
        for axes, metric, label in zip(both, ("iou", "awd_mm"), (IOU, AWD), strict=True):
            for n, summary in found.items():
                each = [
                    v
                    for v in (getattr(s, metric) for s in summary.references.values())
                    if v is not None
                ]
                axes.plot([n] * len(each), each, "o", color=GRAY, markersize=4, zorder=2)
            means = [getattr(summary.mean, metric) for summary in found.values()]
            axes.plot(
                numbers, [np.nan if v is None else v for v in means], "o-", color=BLUE, zorder=3
            )
            axes.set(xlabel="References pooled", ylabel=label, xticks=numbers)
        both[0].plot([], [], "o", color=GRAY, markersize=4, label="one pool")
        both[0].plot([], [], "o-", color=BLUE, label="mean of the pools")
        both[0].legend(loc="lower right")
    return True


def robustness(found: Sequence[Change], path: Path) -> bool:
    """Change of the IoU by each change of the CT, with its interval; False if there is none."""
    drawn = [c for c in found if c.iou is not None]
    if not drawn:
        return False
    with drawing(path, 1, 1.1 + 0.32 * len(drawn)) as (axes,):
        for height, change in enumerate(reversed(drawn)):
            assert change.iou is not None
            middle, lower, upper = change.iou.difference, change.iou.lower, change.iou.upper
            axes.barh(height, middle, height=0.62, color=SKY)
            if lower is not None and upper is not None:
                axes.plot([lower, upper], [height, height], color=DARK, linewidth=1.2)
        axes.axvline(0, color=DARK, linewidth=0.8)
        axes.set_yticks(range(len(drawn)), [wrapped(c.title, 36) for c in reversed(drawn)])
        axes.set(
            xlabel="Change of the IoU against the unchanged CT (percentage points, 95 % interval)"
        )
        axes.set(ylim=(-0.6, len(drawn) - 0.4))
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
    return True


SERIES = {
    "targets": {"targets": "one CT"},
    "volume": {"spacing": "same patient, finer voxels", "extent": "larger extent, 2 mm voxels"},
    "queries": {"queries": "CTs"},
}
LABELS = {
    "targets": "Targets located (landmarks) in one CT",
    "volume": "Voxels along each edge of the volume",
    "queries": "CTs one after the other, reading included",
}


def cost(rows: Sequence[Row], kind: str, path: Path) -> bool:
    """Seconds and peak memory against "targets", "volume" or "queries"; False if it was not measured."""
    series = {
        s: sorted((r for r in rows if r["series"] == s), key=lambda r: r["n"]) for s in SERIES[kind]
    }
    if not any(series.values()):
        return False
    ticks = sorted({int(r["n"]) for part in series.values() for r in part})
    with drawing(path, 2, 3.4) as both:
        for axes, field, label in zip(
            both, ("seconds", "peak_mb"), ("Seconds", "Peak memory (MB)"), strict=True
        ):
            for (name, part), style in zip(
                series.items(), ((BLUE, "o-"), (ORANGE, "s--")), strict=False
            ):
                known = [r for r in part if r.get(field) is not None]
                values = [float(r[field]) for r in known]
                axes.plot(
                    [r["n"] for r in known],
                    values,
                    style[1],
                    color=style[0],
                    label=SERIES[kind][name],
                )
            axes.set(xlabel=LABELS[kind], ylabel=label, ylim=(0, 1.06 * axes.dataLim.y1))
            if kind != "queries":
                axes.set_xscale("log" if kind == "targets" else "linear")
                axes.xaxis.set_major_locator(FixedLocator(ticks))
                axes.xaxis.set_minor_locator(NullLocator())
                axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        if kind == "volume":
            both[0].legend(loc="upper left")
    return True


COLOURS = {"ok": BLUE, "low-confidence": YELLOW, "outside": GRAY}
KEPT = {
    "product: ok": (("ok",), "D"),
    "product: ok and low-confidence": (("ok", "low-confidence"), "^"),
}


def risk_coverage(rows: Sequence[Row], path: Path) -> bool:
    """Two panels: mean error of present organs, and share of wrong answers with gone organs; False without rows."""
    if not rows:
        return False
    with drawing(path, 2, 3.9) as (left, right):
        _curves(left, [r for r in rows if r["case"] != "gone"], "error_mm", 1.0)
        _curves(right, rows, "wrong", 100.0)
        left.set(
            ylabel="Mean error of the centre (mm)", title="Present organs, whole or partly visible"
        )
        right.set(
            ylabel=f"Share more than {WRONG_MM:.0f} mm off (%)",
            title="All; gone organs count as wrong",
        )
        for axes in (left, right):
            axes.set(xlabel="Answers kept (%), most trusted first", xlim=(0, 102), ylim=(0, None))
        handles, labels = right.get_legend_handles_labels()
        left.figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return True


def _curves(axes: Axes, rows: Sequence[Row], kind: str, scale: float) -> None:
    for (score, title), colour, line in zip(
        SCORES.items(), (BLUE, ORANGE), ("-", "--"), strict=True
    ):
        curve = curve_of(rows, score, kind)
        if curve is not None:
            # of a handful of answers, the risk says nothing
            shown = curve.coverage >= min(1.0, 20 / len(curve.coverage))
            axes.plot(
                100 * curve.coverage[shown],
                scale * curve.risk[shown],
                line,
                color=colour,
                label=f"sorted by {title}",
            )
    for (title, (kept, marker)), colour in zip(KEPT.items(), (DARK, PURPLE), strict=True):
        point = status_point(rows, kept, kind)
        if point is not None and point.risk is not None:
            axes.plot(
                [100 * point.coverage],
                [scale * point.risk],
                marker,
                color=colour,
                markersize=8,
                label=title,
            )


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
            axes.barh(
                heights,
                values,
                left=before,
                height=0.66,
                color=COLOURS.get(name, PURPLE),
                label=name,
            )
            for value, start, height in zip(values, before, heights, strict=True):
                if value >= 4:
                    colour = "white" if name == "ok" else "black"
                    axes.text(
                        start + value / 2,
                        height,
                        f"{value:.0f}",
                        ha="center",
                        va="center",
                        color=colour,
                        fontsize=9,
                    )
            before += values
        axes.set_yticks(heights, [f"{CASE_TITLES[s.case]} (n = {s.n:,})" for s in found])
        axes.set(xlabel="Share of the organs (%) by reported status", xlim=(0, 100))
        axes.grid(visible=False)
        axes.tick_params(axis="y", length=0)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(names))
    return True
