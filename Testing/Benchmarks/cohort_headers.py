"""How long an index of many headers takes, and how long when nothing has changed."""

from __future__ import annotations

import argparse
import time
from typing import Any

from cohort_trees import write_headers

from rprloc.cohort.indexing import IndexRequest, make_index


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Index a tree of ``series`` x ``slices`` files, twice."""
    tree, out = args.folder / "headers", args.folder / "headers.parquet"
    if not tree.exists():
        write_headers(tree, args.series, args.slices)
    out.with_name(out.name + ".journal").unlink(missing_ok=True)
    figures: dict[str, Any] = {"files": args.series * args.slices}
    for name in ("first_s", "unchanged_s"):
        started = time.perf_counter()
        summary = make_index(IndexRequest(tree, out, max(args.workers)), lambda _: None)
        figures[name] = round(time.perf_counter() - started, 1)
        figures["series"] = len(summary.rows)
        figures["readable"] = sum(row.verdict == "readable" for row in summary.rows)
    return figures
