"""What a change of the image does to the answers: figures of few-shot and robustness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

from ..core.store import Row
from .measurements import OURS, Measured
from .statistics import Paired, Score, Summary, grouped, mean_of_organs, paired, summarize

UNCHANGED = ("none", "unchanged")


@dataclass(frozen=True)
class Change:
    """Answers on changed CTs. iou, awd: differences to the unchanged CTs, on the same references, patients, organs.

    shift_mm: (mean, median) distance of the centre from that on the unchanged CT, None where none
        was found.
    ok: share reported ``ok``.
    """

    id: str
    title: str
    mean: Score
    iou: Paired | None
    awd: Paired | None
    shift_mm: tuple[float, float] | None
    ok: float


def changes(measured: Measured) -> list[Change]:
    """Every change of the robustness experiment, in the order of its rows; without the unchanged CTs."""
    groups = grouped(measured.rows("robustness"), "change")
    plain = next(
        (groups[name] for name in UNCHANGED if name in groups), measured.methods.get(OURS, [])
    )
    return [_change(name, rows, plain) for name, rows in groups.items() if name not in UNCHANGED]


def _change(name: str, rows: Sequence[Row], plain: Sequence[Row]) -> Change:
    shifts = [float(r["shift_mm"]) for r in rows if r["shift_mm"] is not None]
    return Change(
        name,
        str(rows[0].get("title") or name),
        mean_of_organs(rows)[1],
        paired(rows, plain, "iou"),
        paired(rows, plain, "awd_mm"),
        (mean(shifts), median(shifts)) if shifts else None,
        sum(r["status"] == "ok" for r in rows) / len(rows),
    )


def few_shot(measured: Measured) -> dict[int, Summary]:
    """Number of pooled references -> means, with the pools in the place of the references."""
    groups = grouped(measured.rows("fewshot"), "references")
    return {n: summarize(f"ours-{n}", groups[str(n)], by="pool") for n in sorted(map(int, groups))}


def gain(measured: Measured, references: int, metric: str) -> Paired | None:
    """More references against one, each patient's organs averaged over the pools."""
    groups = grouped(measured.rows("fewshot"), "references")
    if str(references) not in groups or "1" not in groups or references == 1:
        return None
    return paired(groups[str(references)], groups["1"], metric, over_references=True)
