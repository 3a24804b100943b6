"""Tables of the body benchmark, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from rprloc.localization.status import STATUSES

from .cases import ORGANS
from .measuring import Row

REGIONS = ("head and neck", "thorax", "abdomen and pelvis")
#: More than this off is wrong, whatever the target.
WRONG_MM = 20.0
#: An answer that was not found is so far off, for quantiles.
NOT_FOUND_MM = 1000.0


def errors(rows: Sequence[Row]) -> np.ndarray:
    """Errors in mm, large where nothing was found."""
    return np.array([NOT_FOUND_MM if r.error_mm is None else r.error_mm for r in rows])


def landmark_table(rows: dict[str, list[Row]], titles: dict[str, str]) -> str:
    """Median and 90 % error per region and method."""
    lines = [
        "| method | " + " | ".join(REGIONS) + " |",
        "|---|" + "---|" * len(REGIONS),
    ]
    for name, mine in rows.items():
        cells = [_quantiles([r for r in mine if r.group == region]) for region in REGIONS]
        lines.append(f"| {titles[name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _quantiles(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    found = errors(rows)
    return f"{np.median(found):.1f} / {np.quantile(found, 0.9):.1f} (n = {len(found)})"


def organ_table(rows: dict[str, list[Row]], titles: dict[str, str]) -> str:
    """Mean box IoU per organ and method."""
    boxes = [r.group for mine in rows.values() for r in mine if r.kind == "box"]
    organs = [o for o in dict.fromkeys([*ORGANS, *boxes]) if o in boxes]
    counts = {o: max(sum(r.group == o for r in mine) for mine in rows.values()) for o in organs}
    lines = [
        "| method | " + " | ".join(f"{o} (n = {counts[o]})" for o in organs) + " |",
        "|---|" + "---|" * len(organs),
    ]
    for name, mine in rows.items():
        cells = []
        for organ in organs:
            ious = [r.iou for r in mine if r.group == organ and r.iou is not None]
            cells.append(f"{np.mean(ious):.1f} %" if ious else "-")
        lines.append(f"| {titles[name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def doubt_table(rows: Sequence[Row]) -> str:
    """How far status and radius can be trusted, per region and group of organs."""
    lines = [
        "| part | n | `ok` | `ok` and > 20 mm off | errors within radius90 | AUROC of > 20 mm |",
        "|---|---|---|---|---|---|",
    ]
    parts = {region: [r for r in rows if r.group == region] for region in REGIONS}
    parts["organ boxes"] = [r for r in rows if r.kind == "box"]
    parts["all"] = list(rows)
    for name, mine in parts.items():
        if mine:
            lines.append(f"| {name} | {len(mine)} | " + " | ".join(trust(mine)) + " |")
    return "\n".join(lines)


def trust(rows: Sequence[Row]) -> list[str]:
    """Share of ``ok``, of wrong ones among them all, coverage of the radius, AUROC."""
    wrong = errors(rows) > WRONG_MM
    ok = np.array([r.told.get("status") == "ok" for r in rows])
    radii = [r.told.get("radius90_mm") for r in rows]
    cells = [f"{100 * ok.mean():.0f} %", f"{100 * (ok & wrong).mean():.1f} %"]
    if any(radius is None for radius in radii):
        return [*cells, "-", "-"]
    radius = np.array(radii, dtype=float)
    within = 100 * (errors(rows) <= radius).mean()
    area = auroc(radius, wrong)
    return [*cells, f"{within:.0f} %", "-" if area is None else f"{area:.2f}"]


def auroc(score: np.ndarray, positive: np.ndarray) -> float | None:
    """Area under the ROC curve of ``score`` for ``positive``; None where there is one kind only."""
    if not positive.any() or positive.all():
        return None
    return float(roc_auc_score(positive, score))


def cut_table(cut: Sequence[Row], whole: Sequence[Row]) -> str:
    """Median error by the distance from the target to the end of the scan."""
    lines = ["| end of the scan | n | median error | 90 % | `ok` |", "|---|---|---|---|---|"]
    places = {(r.reference, r.query, r.target) for r in cut}
    same = [r for r in whole if (r.reference, r.query, r.target) in places]
    groups = [(f"{mm:.0f} mm", [r for r in cut if r.cut_mm == mm]) for mm in _distances(cut)]
    for name, mine in [("not cut", same), *groups]:
        found = errors(mine)
        ok = 100 * np.mean([r.told.get("status") == "ok" for r in mine])
        lines.append(
            f"| {name} | {len(mine)} | {np.median(found):.1f} mm"
            f" | {np.quantile(found, 0.9):.1f} mm | {ok:.0f} % |"
        )
    return "\n".join(lines)


def absent_table(rows: Sequence[Row]) -> str:
    """What is said of targets that are not there."""
    said = [str(r.told.get("status")) for r in rows]
    cells = [f"{100 * said.count(one) / len(said):.1f} %" for one in STATUSES]
    lines = ["| n | " + " | ".join(f"`{one}`" for one in STATUSES) + " |"]
    return "\n".join(
        [*lines, "|---" * (len(STATUSES) + 1) + "|", f"| {len(rows)} | " + " | ".join(cells) + " |"]
    )


def _distances(rows: Sequence[Row]) -> list[float]:
    return sorted({r.cut_mm for r in rows if r.cut_mm is not None})
