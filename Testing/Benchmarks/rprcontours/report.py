"""The table of the rows: every method on the cases that all of them have finished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]
TITLES = {
    "one": "**RPRLoc, one reference**",
    "noimage": "RPRLoc, one reference, template without image",
    "five": "**RPRLoc, five references fused**",
    "affine": "SimpleITK affine",
    "bspline": "SimpleITK affine + B-spline",
    "elastix": "elastix affine + B-spline",
}
MEASURES = {
    "dice": ("Dice %", 1),
    "surface_mm": ("surface mm", 2),
    "hd95_mm": ("95 % Hausdorff mm", 1),
    "iou": ("box IoU %", 1),
    "seconds": ("s", 1),
}


def tables(rows: Sequence[Row]) -> str:
    """Two tables in Markdown: all measures, then Dice by organ."""
    methods = [name for name in TITLES if any(r["method"] == name for r in rows)]
    shared = set.intersection(*({r["query"] for r in rows if r["method"] == m} for m in methods))
    used = {m: [r for r in rows if r["method"] == m and r["query"] in shared] for m in methods}
    organs = list(dict.fromkeys(r["organ"] for r in rows))

    lines = [f"{len(shared)} patients that all methods have finished; n counts organs.", ""]
    lines += _table(
        ["method", "n", *(title for title, _ in MEASURES.values())],
        [
            [
                TITLES[m],
                str(len(used[m])),
                *(_mean(used[m], k, d) for k, (_, d) in MEASURES.items()),
            ]
            for m in methods
        ],
    )
    by_organ = [
        [TITLES[m], *(_mean([r for r in used[m] if r["organ"] == o], "dice", 1) for o in organs)]
        for m in methods
    ]
    return "\n".join([*lines, "", "Dice by organ, %:", "", *_table(["method", *organs], by_organ)])


def _mean(rows: Sequence[Row], key: str, digits: int) -> str:
    values = [row[key] for row in rows if row.get(key) is not None]
    return f"{np.mean(values):.{digits}f}" if values else ""


def _table(head: list[str], body: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *body]
    return [f"| {' | '.join(line)} |" for line in lines]
