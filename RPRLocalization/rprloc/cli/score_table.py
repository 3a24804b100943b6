"""The scores of ``rprloc evaluate`` as a table for the screen."""

from __future__ import annotations

from typing import Any

from ..localization.batch import PHASES

HEAD = (
    "target",
    "n",
    "IoU %",
    "AWD mm",
    "error mm",
    "< 10 mm %",
    "statuses",
    "absent",
    "incomplete",
)
FIGURES = ("iou", "awd_mm", "error_mm", "success_10mm")


def score_table(summary: dict[str, Any]) -> str:
    """Format a summary (``evaluation.scores.summarize``), without the columns that are empty."""
    rows: list[tuple[str, ...]] = [HEAD]
    for name, organ in summary["organs"].items():
        rows.append(
            (
                name,
                str(organ["n"]),
                *_figures(organ),
                _counts(organ["statuses"]),
                _absent(organ["absent"]),
                str(organ["incomplete"]["n"] or ""),
            )
        )
    mean = summary["mean"]
    rows.append((f"mean of {mean['organs']}", str(mean["n"]), *_figures(mean), "", "", ""))

    filled = [column for column in range(len(HEAD)) if any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in filled}
    lines = [
        "  ".join(row[column].ljust(widths[column]) for column in filled).rstrip() for row in rows
    ]
    return "\n".join([*lines, "", _times(summary["seconds"])])


def _figures(figures: dict[str, Any]) -> list[str]:
    values = [figures[key] for key in FIGURES]
    return ["" if value is None else f"{value:.1f}" for value in values]


def _absent(absent: dict[str, Any]) -> str:
    return f"{absent['n']} ({_counts(absent['statuses'])})" if absent["n"] else ""


def _counts(statuses: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in statuses.items())


def _times(seconds: dict[str, Any]) -> str:
    parts = [
        f"{phase.replace('_', ' ')} {seconds[phase]['mean']:.3f} / {seconds[phase]['median']:.3f}"
        for phase in (*PHASES, "after_read", "total")
        if phase in seconds
    ]
    return f"seconds per query, mean / median of {seconds['queries']}: {', '.join(parts) or 'none'}"
