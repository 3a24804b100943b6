"""Contours of ``rprloc locate``: the options, and the files of one query."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, RprLocError
from ..files import safe_name
from .arguments import Options
from .notes import show_note

if TYPE_CHECKING:
    from ..localization.batch import LocalizationTask, QueryResult

# As ``contour.segmentation_file.FORMATS``, which imports torch.
FORMATS = ("seg.nrrd", "nii.gz")


def add_contours(parser: Options) -> None:
    """Add --contours and --contour-format."""
    parser.add_argument(
        "--contours",
        action="store_true",
        help="also carry the segments of the reference to every query: DIR/<query>/contours.*",
    )
    parser.add_argument(
        "--contour-format",
        choices=FORMATS,
        default=FORMATS[0],
        help="a segmentation for Slicer (default), or a label map and the names of its labels",
    )


def check_contours(args: argparse.Namespace, task: LocalizationTask) -> None:
    """Raise InputError if contours are asked for that nothing can be carried for."""
    from ..contour.outlines import outlines_of

    if not args.contours:
        return
    if args.steps != "fine" or args.runs is not None:
        raise InputError("--contours needs the whole search: leave --steps and --runs out")
    outlines = [o for one in task.candidates if one.template.outlines for o in [one.template]]
    outlines_of(outlines[0] if outlines else task.template)


def write_query_contours(
    folder: Path, answer: QueryResult, args: argparse.Namespace
) -> QueryResult:
    """Carry and write the contours of one query; what is wrong with them costs no box.

    Returns the answer with the boxes of the contours, and the time that they took.
    """
    from ..contour.boxes import with_contour_boxes
    from ..contour.contours import contours_of
    from ..contour.segmentation_file import write_contours

    assert answer.located is not None and answer.volume is not None
    try:
        found = contours_of(answer.located)
    except RprLocError as error:
        show_note(f"{answer.name}: no contours: {error}")
        return answer
    for note in found.notes:
        show_note(f"{answer.name}: {note}")
    for contour in found.contours:
        for note in contour.notes:
            show_note(f"{answer.name}: contour of {contour.target!r}: {note}")
    geometry = answer.volume.geometry
    write_contours(folder / safe_name(answer.name), found.contours, geometry, args.contour_format)
    total = answer.seconds["total"] + found.seconds
    spent = {**answer.seconds, "contours": found.seconds, "total": total}
    results = with_contour_boxes(answer.results, found.contours)
    return replace(answer, results=results, seconds=spent)
