"""What a change of the CT, or of the number of references, does to the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

from ..core.store import Row
from .statistics import (
    Difference,
    Paired,
    Score,
    Summary,
    grouped,
    mean_of_organs,
    paired,
    summarize,
)

UNCHANGED = ("none", "unchanged")


@dataclass(frozen=True)
class Change:
    """Answers on changed CTs.

    Attributes:
        id: of the alteration. title: as it is written in tables. mean: over the organs' means.
        iou, awd: differences to the unchanged CTs, on the same references, patients and organs.
        shift_mm: (mean, median) distance of the centre from that on the unchanged CT, None where
            no organ was located.
        ok: share reported ``ok``.
    """

    id: str
    title: str
    mean: Score
    iou: Difference | None
    awd: Difference | None
    shift_mm: tuple[float, float] | None
    ok: float

    @property
    def changes_nothing(self) -> bool:
        """Whether every answer stayed exactly the same, as an exact 0 of the interval shows."""
        iou = self.iou
        return iou is not None and iou.difference == iou.lower == iou.upper == 0.0


def compare_changes(rows: Sequence[Row], unchanged: Sequence[Row]) -> list[Change]:
    """Compare every change of the robustness experiment with the unchanged CTs.

    Args:
        rows: of the robustness experiment. Their own unchanged CTs are the ones compared with.
        unchanged: taken instead where ``rows`` have none.
    """
    groups = grouped(rows, "change")
    plain = next((groups[name] for name in UNCHANGED if name in groups), unchanged)
    return [_change(name, part, plain) for name, part in groups.items() if name not in UNCHANGED]


def _change(name: str, rows: Sequence[Row], plain: Sequence[Row]) -> Change:
    shifts = [float(row["shift_mm"]) for row in rows if row["shift_mm"] is not None]
    return Change(
        name,
        str(rows[0].get("title") or name),
        mean_of_organs(rows)[1],
        paired(rows, plain, "iou"),
        paired(rows, plain, "awd_mm"),
        (mean(shifts), median(shifts)) if shifts else None,
        sum(row["status"] == "ok" for row in rows) / len(rows),
    )


def summarize_pools(rows: Sequence[Row]) -> dict[int, Summary]:
    """Number of pooled references -> means, with the pools in the place of the references."""
    groups = grouped(rows, "references")
    return {n: summarize(f"ours-{n}", groups[str(n)], by="pool") for n in sorted(map(int, groups))}


def gain_of_pooling(rows: Sequence[Row], references: int) -> Paired | None:
    """IoU of more references minus that of one, each patient's organs averaged over the pools."""
    groups = grouped(rows, "references")
    if str(references) not in groups or "1" not in groups or references == 1:
        return None
    return paired(groups[str(references)], groups["1"], "iou", over_references=True)
