"""The tables of the rows: every method on the pairs that all of them have finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from rprbench.report.statistics import interval_of_mean

Row = dict[str, Any]
TITLES = {
    "one": "**RPRLoc, one reference**",
    "noimage": "RPRLoc, one reference, template without image",
    "five": "**RPRLoc, five references fused**",
    "affine": "SimpleITK affine",
    "bspline": "SimpleITK affine + B-spline",
    "elastix": "elastix affine + B-spline",
}
#: Methods that take all references at once.
POOLED = ("five",)
MEASURES = {
    "dice": ("Dice %", 1),
    "surface_mm": ("surface mm", 2),
    "hd95_mm": ("95 % Hausdorff mm", 1),
    "iou": ("box IoU %", 1),
    "cpu_seconds": ("CPU s", 1),
}


def tables(rows: Sequence[Row]) -> str:
    """Markdown: all measures, Dice by organ, and differences with their intervals."""
    used = _on_shared_pairs(rows)
    organs = list(dict.fromkeys(r["organ"] for r in rows))
    patients = {r["query"] for own in used.values() for r in own}
    references = {r["reference"] for m, own in used.items() if m not in POOLED for r in own}
    lines = [
        f"{len(patients)} patients, {len(references)} references; n counts organs of pairs that "
        "all methods have finished.",
        "",
    ]
    lines += _table(
        ["method", "n", *(title for title, _ in MEASURES.values())],
        [
            [TITLES[m], str(len(own)), *(_mean(own, k, d) for k, (_, d) in MEASURES.items())]
            for m, own in used.items()
        ],
    )
    by_organ = [
        [TITLES[m], *(_mean([r for r in own if r["organ"] == o], "dice", 1) for o in organs)]
        for m, own in used.items()
    ]
    lines += ["", "Dice by organ, %:", "", *_table(["method", *organs], by_organ), ""]
    return "\n".join([*lines, *_differences(used)])


def _on_shared_pairs(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of every method, in the order of ``TITLES``, of what all have finished."""
    methods = [name for name in TITLES if any(r["method"] == name for r in rows)]
    of = {m: [r for r in rows if r["method"] == m] for m in methods}
    single = [{(r["reference"], r["query"]) for r in of[m]} for m in methods if m not in POOLED]
    queries = [{r["query"] for r in of[m]} for m in methods]
    everywhere = set.intersection(*queries) if queries else set()
    pairs = {p for p in (set.intersection(*single) if single else set()) if p[1] in everywhere}
    patients = {query for _, query in pairs} if single else everywhere
    return {
        m: [
            r
            for r in own
            if (r["query"] in patients if m in POOLED else (r["reference"], r["query"]) in pairs)
        ]
        for m, own in of.items()
    }


def _differences(used: dict[str, list[Row]]) -> list[str]:
    """Dice of the first method less that of each other one, paired, over the patients."""
    first, *others = used
    mine = _by_organ_of_query(used[first])
    lines = []
    for other in others:
        theirs = _by_organ_of_query(used[other])
        apart = defaultdict(list)
        for key in mine.keys() & theirs.keys():
            apart[key[0]].append(mine[key] - theirs[key])
        means = np.array([np.mean(apart[query]) for query in sorted(apart)])
        lower, upper, _ = interval_of_mean(means)
        interval = "" if lower is None else f" ({lower:+.1f} to {upper:+.1f})"
        lines.append(
            f"- Dice, {TITLES[first]} less {TITLES[other]}: {means.mean():+.1f} points{interval}, "
            f"{len(means)} patients"
        )
    return lines


def _by_organ_of_query(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    """Mean Dice over the references."""
    found = defaultdict(list)
    for row in rows:
        found[row["query"], row["organ"]].append(row["dice"])
    return {key: float(np.mean(values)) for key, values in found.items()}


def _mean(rows: Sequence[Row], key: str, digits: int) -> str:
    values = [row[key] for row in rows if row.get(key) is not None]
    return f"{np.mean(values):.{digits}f}" if values else ""


def _table(head: list[str], body: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *body]
    return [f"| {' | '.join(line)} |" for line in lines]
