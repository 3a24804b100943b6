"""The tables of the report, as text."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.cohort import ORGANS, TITLES
from ..core.store import Row
from . import formatting
from .comparison_of_changes import Change
from .document import Grid
from .measurements import OURS, Measurements
from .paper_values import QUOTED
from .statistics import SUCCESS_MM, Summary
from .trust import CASE_TITLES, COVERAGES, SCORES, WRONG_MM, Trust

ORGAN_COLUMNS = [TITLES[organ] for organ in ORGANS]
SUCCESS = f"Success at {SUCCESS_MM:.0f} mm"
CELLS = "IoU in %, wall distance in mm"


def comparison(
    measurements: Measurements, variants: Sequence[str], caption: str, other: str
) -> Grid:
    """Tables 1 and 2, and the method as in the paper.

    Accuracy, and the difference to one of the variants.
    """
    columns = ["Method", *ORGAN_COLUMNS, "Mean", "SD over references", "Worst reference", SUCCESS]
    columns.append(f"IoU minus that of {measurements.title(other)} (95 % interval)")
    rows = [[*accuracy(measurements, v), difference(measurements, v, other)] for v in variants]
    return Grid(f"{caption} ({CELLS})", columns, rows)


def accuracy(measurements: Measurements, variant: str) -> list[str]:
    """Title, organs, mean, spread over references, worst reference, success."""
    summary = measurements.summary(variant)
    return [measurements.title(variant), *accuracy_cells(summary)]


def accuracy_cells(summary: Summary) -> list[str]:
    """Organs, mean, spread over references, worst reference, success."""
    worst = summary.worst()
    spread = [formatting.percent(summary.spread("iou")), formatting.mm(summary.spread("awd_mm"))]
    return [
        *(formatting.pair(summary.organs.get(organ)) for organ in ORGANS),
        formatting.pair(summary.mean),
        formatting.NONE if worst is None else ", ".join(spread),
        formatting.NONE if worst is None else formatting.pair(worst[1]),
        formatting.share(summary.mean.success),
    ]


def difference(measurements: Measurements, variant: str, other: str) -> str:
    """IoU of a variant minus that of another."""
    return (
        formatting.NONE
        if variant == other
        else formatting.difference(measurements.against(variant, other, "iou"), 1)
    )


def table3(measurements: Measurements, variants: Sequence[str]) -> Grid:
    """All methods: accuracy, time, memory, and the difference to ours."""
    columns = ["Method", *ORGAN_COLUMNS, "Mean", "SD over references", "Worst reference", SUCCESS]
    columns += ["s per organ", "s per patient", "Peak memory MB", "IoU minus ours (95 % interval)"]
    rows = []
    for variant in variants:
        speed = measurements.speed(variant)
        rows.append(
            [
                *accuracy(measurements, variant),
                formatting.significant(speed.get("seconds_organ")),
                formatting.significant(speed.get("seconds_patient")),
                formatting.whole(speed.get("peak_mb")),
                difference(measurements, variant, OURS),
            ]
        )

    return Grid(f"Table 3: all methods ({CELLS})", columns, rows)


def overview(measurements: Measurements) -> Grid:
    """The summary: every method beside ours, best IoU first, with its difference to ours."""
    columns = ["Method", "IoU %", "Wall distance mm", "IoU minus ours (95 % interval)", "p"]
    columns += ["Wall distance minus ours, mm", "p", "s per patient"]
    rivals = [v for v in measurements.rivals() if v != OURS]
    shown = sorted([OURS, *rivals], key=lambda v: -measurements.summary(v).mean.iou)

    rows = []
    for variant in shown:
        mean = measurements.summary(variant).mean
        rows.append(
            [
                measurements.title(variant) + (" (ours)" if variant == OURS else ""),
                formatting.percent(mean.iou),
                formatting.mm(mean.awd_mm),
                *differences(measurements, variant),
                formatting.significant(measurements.speed(variant).get("seconds_patient")),
            ]
        )

    return Grid("All methods, best IoU first; differences are paired by patient", columns, rows)


def differences(measurements: Measurements, variant: str) -> list[str]:
    """IoU and wall distance of a variant minus those of ours, each with its p."""
    cells = []
    for metric, digits in (("iou", 1), ("awd_mm", 2)):
        pair = None if variant == OURS else measurements.against(variant, OURS, metric)
        cells.append(formatting.difference(pair, digits))
        cells.append(formatting.chance(pair.p) if pair else formatting.NONE)
    return cells


def pairs(measurements: Measurements, variants: Sequence[str]) -> Grid:
    """Each method against ours on the same references, patients and organs."""
    columns = [
        "Method",
        "IoU minus ours",
        "p",
        "Wall distance minus ours, mm",
        "p",
        "Patients",
        "Answers compared",
    ]
    columns += ["Found / asked"]

    rows = []
    for variant in variants:
        iou = measurements.against(variant, OURS, "iou")
        mean = measurements.summary(variant).mean
        rows.append(
            [
                measurements.title(variant),
                *differences(measurements, variant),
                str(iou.patients) if iou else formatting.NONE,
                formatting.whole(iou.keys) if iou else formatting.NONE,
                f"{mean.found:,} / {mean.asked:,}",
            ]
        )

    return Grid("Each method minus ours, paired by patient (95 % interval)", columns, rows)


def times(measurements: Measurements) -> Grid:
    """Every row of the times, on whatever device."""
    columns = [
        "Method",
        "s per organ",
        "s per patient",
        "s per reference",
        "Peak memory MB",
        "Device",
        "Threads",
    ]
    columns += ["Patients timed"]
    rows = [
        [
            str(row.get("title") or measurements.title(str(row["method"]))),
            *(
                formatting.significant(row.get(f"seconds_{what}"))
                for what in ("organ", "patient", "reference")
            ),
            formatting.whole(row.get("peak_mb")),
            str(row.get("device", formatting.NONE)),
            str(row.get("threads", formatting.NONE)),
            str(row.get("queries", formatting.NONE)),
        ]
        for row in measurements.series("speed")
    ]
    return Grid("Times, each method alone in a process of its own", columns, rows)


def sliding(measurements: Measurements) -> Grid:
    """The plain sliding window beside the fast one."""
    columns = [
        "Method",
        "s per organ here",
        "s per organ, plain sliding window",
        "s per patient, plain",
        "Times slower",
    ]
    columns += ["Windows per point", "Of these timed"]

    rows = []
    for row in measurements.series("sliding"):
        variant = str(row["method"])
        fast, plain = measurements.speed(variant).get("seconds_organ"), row.get("seconds_organ")
        rows.append(
            [
                measurements.title(variant),
                formatting.significant(fast),
                formatting.significant(plain),
                formatting.significant(row.get("seconds_patient")),
                formatting.significant(plain / fast) if plain and fast else formatting.NONE,
                formatting.whole(row.get("windows")),
                formatting.whole(row.get("sampled")),
            ]
        )

    return Grid("The plain sliding window, estimated from a sample of its windows", columns, rows)


def statuses(trust: Trust) -> Grid:
    """What is reported for whole, cut and gone organs."""
    names = trust.statuses
    beyond = f"eyond {WRONG_MM:.0f} mm"
    columns = ["Organ", "Cut away", "n", *names, "ok, 95 % interval", "Mean error mm"]
    columns += [f"B{beyond}", f"Of the ok, b{beyond}"]
    rows = [
        [
            CASE_TITLES[s.case],
            s.side or ("nothing" if s.case == "whole" else "top or bottom"),
            formatting.whole(s.n),
            *(formatting.share(s.statuses.get(name, 0.0)) for name in names),
            formatting.interval_of_share(s.ok_lower, s.ok_upper),
            formatting.mm(s.error_mm),
            formatting.share(s.wrong),
            formatting.share(s.ok_wrong),
        ]
        for s in trust.shares
    ]
    return Grid("What is reported, by how much of the organ is in the CT", columns, rows, left=2)


def aurocs(trust: Trust) -> Grid:
    """How well spread and cycle error tell wrong answers from right ones."""
    columns = ["Answers", "Score", "AUROC (95 % interval)", "n", "Of these wrong", "Left out"]
    rows = []
    for title, scores in trust.aurocs.items():
        for score, auroc in scores.items():
            interval = "" if auroc.lower is None else f" ({auroc.lower:.3f} to {auroc.upper:.3f})"
            value = "not defined" if auroc.value is None else f"{auroc.value:.3f}{interval}"
            counts = [formatting.whole(n) for n in (auroc.n, auroc.wrong, auroc.unscored)]
            rows.append([title, SCORES[score], value, *counts])
    caption = f"AUROC of doubt for an error of more than {WRONG_MM:.0f} mm"
    return Grid(caption, columns, rows, left=2)


def risks(trust: Trust) -> Grid:
    """The risk-coverage curves at a few coverages."""
    columns = ["Risk", "Sorted by", *(f"{100 * c:.0f} % kept" for c in COVERAGES)]
    losses = {
        "error_mm": ("mean error, present organs (mm)", formatting.mm),
        "wrong": ("share wrong, with gone organs", formatting.share),
    }
    rows = [
        [title, SCORES[score], *(show(at[c]) for c in COVERAGES)]
        for loss, (title, show) in losses.items()
        for score, at in trust.risks[loss].items()
    ]
    return Grid("Risk of the most trusted answers", columns, rows, left=2)


def pooled(measurements: Measurements) -> Grid:
    """Few-shot: means over the pools."""
    columns = [
        "References pooled",
        "Pools",
        *ORGAN_COLUMNS,
        "Mean",
        "SD over pools",
        "Worst pool",
        SUCCESS,
    ]
    columns += ["IoU minus one reference (95 % interval)"]
    rows = []
    for n, summary in measurements.pools().items():
        more = formatting.difference(measurements.gain(n), 1)
        rows.append([str(n), str(len(summary.references)), *accuracy_cells(summary), more])

    return Grid(f"Few-shot ({CELLS})", columns, rows)


def robustness(changes: Sequence[Change]) -> Grid:
    """Every change of the CT."""
    columns = [
        "Change of the CT",
        "IoU %, wall distance mm",
        "IoU minus unchanged (95 % interval)",
        "p",
    ]
    columns += [
        "Wall distance minus unchanged, mm",
        "Shift of the centre: mean, median mm",
        "Reported ok",
        "n",
    ]

    rows = [
        [
            change.title,
            formatting.pair(change.mean),
            formatting.difference(change.iou, 1),
            formatting.chance(change.iou.p) if change.iou else formatting.NONE,
            formatting.difference(change.awd, 2),
            formatting.NONE
            if change.shift_mm is None
            else ", ".join(formatting.mm(v) for v in change.shift_mm),
            formatting.share(change.ok),
            formatting.whole(change.mean.asked),
        ]
        for change in changes
    ]
    return Grid("Ours on changed CTs, against the same CTs unchanged", columns, rows)


def costs(rows: Sequence[Row]) -> Grid:
    """Every point of the cost curves, with the phases that were timed."""
    known = {"series", "n", "seconds", "peak_mb"}
    phases = sorted(
        {k for r in rows for k, v in r.items() if k not in known and isinstance(v, int | float)}
    )
    columns = ["Series", "n", "Seconds", "Peak memory MB", *phases]
    order = list(dict.fromkeys(row["series"] for row in rows))
    grid = [
        [
            str(row["series"]),
            formatting.whole(row["n"]),
            formatting.significant(row.get("seconds")),
            formatting.whole(row.get("peak_mb")),
            *(formatting.significant(row.get(p)) if p in row else formatting.NONE for p in phases),
        ]
        for row in sorted(rows, key=lambda r: (order.index(r["series"]), r["n"]))
    ]
    return Grid("Cost as work grows (phases in seconds; targets is a count)", columns, grid)


def quoted(measurements: Measurements) -> Grid:
    """The paper's figures, each beside our own mean under the same setting."""
    columns = [
        "In the paper",
        "Method",
        *ORGAN_COLUMNS,
        "Mean",
        "s per organ",
        "Here: mean",
        "Here: s per organ",
    ]

    rows = []
    for row in QUOTED:
        here = measurements.summary(row.ours).mean if measurements.has(row.ours) else None
        rows.append(
            [
                row.table,
                row.title,
                *(f"{iou:.1f}, {awd:.2f}" for iou, awd in (*row.organs, row.mean)),
                formatting.NONE if row.seconds is None else f"{row.seconds:g}",
                formatting.pair(here),
                formatting.significant(measurements.speed(row.ours).get("seconds_organ"))
                if row.seconds
                else formatting.NONE,
            ]
        )

    return Grid(f"Figures of the paper, beside ours ({CELLS})", columns, rows, left=2)
