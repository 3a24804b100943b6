"""``rprloc evaluate``: a table on the screen, JSON and CSV of the agreement with labelled queries."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..errors import InputError
from ..evaluation.scores import (
    Score,
    read_complete,
    read_truths,
    score_results,
    scores_csv,
    split_query,
    summarize,
)
from ..files import atomic_write_text, prepare_output_file
from ..image.reading import stem_of
from ..localization.batch import PHASES, LocalizationTask, describe, locate_query, query_names
from ..targets.target import read_label_ids
from .main import EXIT_OK, EXIT_SOME_FAILED
from .shared import Interrupted, open_search


@dataclass(frozen=True)
class Case:
    """One labelled query; ``complete``: the targets to score, None for all that nothing cuts."""

    name: str
    image: Path
    labels: Path
    complete: list[str] | None


@dataclass
class Tally:
    """What has been measured so far: scores, seconds per query, and why queries failed."""

    scores: list[Score] = field(default_factory=list)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def run_evaluate(args: argparse.Namespace) -> int:
    """Locate in every labelled query and score; rewrites the files after each. Returns the exit code."""
    cases = _cases(args)
    ids = read_label_ids(args.label_ids) if args.label_ids is not None else None
    search = open_search(args)
    names = [target.name for target in search.template.targets if ids is None or target.name in ids]
    if not names:
        raise InputError(f"{args.label_ids}: names none of the targets that are sought")
    for path in filter(None, (args.json, args.csv)):
        prepare_output_file(path, args.overwrite)
    tally = Tally()
    settings = _settings(args, search)
    for number, case in enumerate(cases):
        try:
            _evaluate_case(search, case, ids, names, tally)
            summary = {
                **summarize(names, tally.scores, tally.seconds),
                "failed": tally.failed,
                "settings": settings,
            }
            _write(args, summary, tally.scores)
        except KeyboardInterrupt as error:
            where = f" in {args.json}" if number else ""
            raise Interrupted(
                f"interrupted: {number} of {len(cases)} queries are complete{where}"
            ) from error
    print(report(summary))
    return _exit_code(tally, len(cases))


def _cases(args: argparse.Namespace) -> list[Case]:
    pairs = [split_query(text) for text in args.queries]
    complete = read_complete(args.complete) if args.complete is not None else None
    images = [image for image, _ in pairs]
    cases = []
    for (image, labels), name in zip(pairs, query_names(images), strict=True):
        stem = stem_of(image)
        if complete is not None and stem not in complete:
            raise InputError(f"{args.complete}: has no entry for the query {stem!r}")
        cases.append(Case(name, image, labels, None if complete is None else complete[stem]))
    return cases


def _evaluate_case(
    search: LocalizationTask, case: Case, ids: dict[str, int] | None, names: list[str], tally: Tally
) -> None:
    """Locate and score one query; what goes wrong is noted in ``tally.failed``, and the query is left out."""
    found = locate_query(search, case.image, case.name)
    if found.volume is None:
        tally.failed[case.name] = found.problem
        return
    try:
        truths = read_truths(case.labels, ids, names, found.volume.geometry)
        results = [result for result in found.results if result.target in names]
        scores = score_results(results, truths, case.complete)
    except Exception as error:
        tally.failed[case.name] = describe(error)
        return
    tally.scores.extend(scores)
    tally.seconds[case.name] = found.seconds


def _settings(args: argparse.Namespace, search: LocalizationTask) -> dict[str, Any]:
    source = args.template if args.template is not None else args.reference
    return {
        "rprloc": __version__,
        "model": search.template.model,
        "template" if args.template is not None else "reference": stem_of(source),
        "runs": "all" if args.runs is None else args.runs,
        "steps": args.steps,
        "seed": args.seed,
        "device": str(search.locator.model.device),
        "threads": torch.get_num_threads(),
    }


def _write(args: argparse.Namespace, summary: dict[str, Any], scores: list[Score]) -> None:
    atomic_write_text(args.json, json.dumps(summary, indent=1, allow_nan=False) + "\n")
    if args.csv is not None:
        atomic_write_text(args.csv, scores_csv(scores))


def report(summary: dict[str, Any]) -> str:
    """The summary as a table for the screen."""
    head = (
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
    rows: list[tuple[str, ...]] = [head]
    for name, organ in summary["organs"].items():
        absent = (
            f"{organ['absent']['n']} ({_counts(organ['absent']['statuses'])})"
            if organ["absent"]["n"]
            else ""
        )
        cut = str(organ["incomplete"]["n"] or "")
        rows.append(
            (name, str(organ["n"]), *_figures(organ), _counts(organ["statuses"]), absent, cut)
        )
    mean = summary["mean"]
    rows.append((f"mean of {mean['organs']}", str(mean["n"]), *_figures(mean), "", "", ""))
    kept = [column for column in range(len(head)) if any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in kept}
    lines = [
        "  ".join(row[column].ljust(widths[column]) for column in kept).rstrip() for row in rows
    ]
    return "\n".join([*lines, "", _times(summary["seconds"])])


def _figures(figures: dict[str, Any]) -> list[str]:
    values = [figures[key] for key in ("iou", "awd_mm", "error_mm", "success_10mm")]
    return ["" if value is None else f"{value:.1f}" for value in values]


def _counts(statuses: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in statuses.items())


def _times(seconds: dict[str, Any]) -> str:
    parts = [
        f"{phase.replace('_', ' ')} {seconds[phase]['mean']:.3f} / {seconds[phase]['median']:.3f}"
        for phase in (*PHASES, "after_read", "total")
        if phase in seconds
    ]
    return f"seconds per query, mean / median of {seconds['queries']}: {', '.join(parts) or 'none'}"


def _exit_code(tally: Tally, asked: int) -> int:
    if not tally.failed:
        return EXIT_OK
    name, reason = next(iter(tally.failed.items()))
    print(
        f"rprloc: {len(tally.failed)} of {asked} queries failed and were not scored ({name}: {reason})",
        file=sys.stderr,
    )
    return EXIT_SOME_FAILED
