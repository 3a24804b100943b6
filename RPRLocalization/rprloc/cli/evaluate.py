"""``rprloc evaluate``: a table on the screen, JSON and CSV of the agreement with labels."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError
from ..files import atomic_write_text, prepare_output_file
from .arguments import Commands, add_model, add_overwrite, add_search, add_targets_or_template
from .exit_codes import EPILOG, EXIT_OK, EXIT_SOME_FAILED, Interrupted
from .notes import show_note

if TYPE_CHECKING:
    from ..evaluation.scores import Score, Truth
    from ..localization.batch import LocalizationTask

NAME = "evaluate"


def add_arguments(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        NAME, help="measure the agreement with labelled queries", epilog=EPILOG
    )
    add_targets_or_template(parser)
    parser.add_argument("--json", type=Path, required=True, metavar="OUT.json", help="all figures")
    parser.add_argument("--csv", type=Path, metavar="OUT.csv", help="one row per query and target")
    add_overwrite(parser)
    parser.add_argument(
        "--query",
        dest="queries",
        nargs="+",
        action="extend",
        required=True,
        metavar="IMAGE=LABELS",
        help="a CT and its label map or markups; may be repeated",
    )
    parser.add_argument(
        "--complete",
        type=Path,
        metavar="CASES.json",
        help="query -> organs to score; "
        "without it, organs cut by the edge of the label map are left out",
    )
    add_model(parser)
    add_search(parser)
    parser.set_defaults(command=run)


@dataclass(frozen=True)
class Case:
    """One labelled query; ``complete``: the targets to score, None for all that nothing cuts."""

    name: str
    image: Path
    labels: Path
    complete: list[str] | None


@dataclass
class Tally:
    """What has been measured so far: scores, seconds per query, why queries failed, and notes."""

    scores: list[Score] = field(default_factory=list)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)


def run(args: argparse.Namespace) -> int:
    """Locate in every labelled query and score; the files are written again after each."""
    from ..evaluation.scores import summarize
    from ..targets.label_ids import read_label_ids
    from .score_table import score_table
    from .shared import open_search

    cases = _cases(args)
    ids = read_label_ids(args.label_ids) if args.label_ids is not None else None
    task = open_search(args)
    names = [target.name for target in task.template.targets if ids is None or target.name in ids]
    if not names:
        raise InputError(f"{args.label_ids}: names none of the targets that are sought")
    for path in filter(None, (args.json, args.csv)):
        prepare_output_file(path, args.overwrite)

    tally = Tally()
    settings = _settings(args, task)
    for number, case in enumerate(cases):
        try:
            _evaluate_case(task, case, ids, names, tally)
            figures = summarize(names, tally.scores, tally.seconds)
            summary = {
                **figures,
                "failed": tally.failed,
                "notes": tally.notes,
                "settings": settings,
            }
            _write(args, summary, tally.scores)
        except KeyboardInterrupt as error:
            place = f" in {args.json}" if number else ""
            raise Interrupted(
                f"interrupted: {number} of {len(cases)} queries are complete{place}"
            ) from error
    print(score_table(summary))
    return _exit_code(tally, len(cases))


def _cases(args: argparse.Namespace) -> list[Case]:
    """The labelled queries; raises InputError for one that cannot be understood."""
    from ..evaluation.scores import read_complete, split_query
    from ..formats.reading import stem_of
    from ..localization.batch import query_names

    pairs = [split_query(text) for text in args.queries]
    complete = read_complete(args.complete) if args.complete is not None else None
    names = query_names([image for image, _ in pairs])
    cases = []
    for (image, labels), name in zip(pairs, names, strict=True):
        stem = stem_of(image)
        if complete is not None and stem not in complete:
            raise InputError(f"{args.complete}: has no entry for the query {stem!r}")
        cases.append(Case(name, image, labels, None if complete is None else complete[stem]))
    return cases


def _evaluate_case(
    task: LocalizationTask,
    case: Case,
    ids: dict[str, int] | None,
    names: list[str],
    tally: Tally,
) -> None:
    """Locate and score one query.

    What goes wrong is noted in ``tally.failed``, and the query is left out of the scores.
    """
    from ..evaluation.scores import read_truths, score_results
    from ..localization.batch import describe, locate_query

    answer = locate_query(task, case.image, case.name)
    if answer.volume is None:
        tally.failed[case.name] = answer.problem
        return
    try:
        truths = read_truths(case.labels, ids, names, answer.volume.geometry)
        results = [result for result in answer.results if result.target in names]
        scores = score_results(results, truths, case.complete)
    except Exception as error:
        tally.failed[case.name] = describe(error)
        return
    _take_notes(case, answer.volume.notes, truths, tally)
    tally.scores.extend(scores)
    tally.seconds[case.name] = answer.seconds


def _take_notes(
    case: Case, of_image: tuple[str, ...], truths: dict[str, Truth], tally: Tally
) -> None:
    """Say on stderr what is odd about a query and its labels, and keep it for the JSON file."""
    of_labels = [note for truth in truths.values() for note in truth.target.notes]
    notes = list(dict.fromkeys((*of_image, *of_labels)))
    for note in notes:
        show_note(f"{case.name}: {note}")
    if notes:
        tally.notes[case.name] = notes


def _settings(args: argparse.Namespace, task: LocalizationTask) -> dict[str, Any]:
    """What the figures depend on, for the JSON file."""
    import torch

    from ..formats.reading import stem_of

    source = args.template if args.template is not None else args.reference
    return {
        "rprloc": __version__,
        "model": task.template.model,
        "template" if args.template is not None else "reference": stem_of(source),
        "runs": "all" if args.runs is None else args.runs,
        "steps": args.steps,
        "seed": args.seed,
        "device": str(task.locator.model.device),
        "threads": torch.get_num_threads(),
    }


def _write(args: argparse.Namespace, summary: dict[str, Any], scores: list[Score]) -> None:
    from ..evaluation.scores import scores_csv

    atomic_write_text(args.json, json.dumps(summary, indent=1, allow_nan=False) + "\n")
    if args.csv is not None:
        atomic_write_text(args.csv, scores_csv(scores))


def _exit_code(tally: Tally, asked: int) -> int:
    if not tally.failed:
        return EXIT_OK
    name, reason = next(iter(tally.failed.items()))
    print(
        f"rprloc: {len(tally.failed)} of {asked} queries failed and were not scored "
        f"({name}: {reason})",
        file=sys.stderr,
    )
    return EXIT_SOME_FAILED
