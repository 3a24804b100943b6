"""``rprloc map``: the dense map between a reference and a query, as a file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ..errors import InputError
from ..files import prepare_output_file
from .arguments import Commands, add_model, add_overwrite
from .exit_codes import EPILOG, EXIT_OK
from .notes import show_note

NAME = "map"


def add_arguments(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        NAME,
        help="write the map between two CTs, to carry anything from one to the other",
        description="Writes the displacement from the query to the reference (LPS mm, as ITK has "
        "it). In Slicer, load the file as a transform and apply it to what belongs to the "
        "reference: it then lies on the query.",
        epilog=EPILOG,
    )
    parser.add_argument("--reference", type=Path, required=True, metavar="REF", help="a CT")
    parser.add_argument(
        "--targets",
        type=Path,
        metavar="TARGETS",
        help="only around the segments of this label map or segmentation (default: everywhere)",
    )
    parser.add_argument("--label-ids", type=Path, metavar="IDS.json", help="names of the labels")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="MAP",
        help="displacement field (.nii.gz, .nrrd, .mha) or transform (.h5, .tfm)",
    )
    add_overwrite(parser)
    add_model(parser)
    parser.add_argument("query", type=Path, metavar="QUERY", help="CT that is mapped")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Map a query to a reference; returns the exit code."""
    from ..contour.map_file import check_map_name, write_map
    from ..contour.mapping import map_volumes
    from ..image.volume import read_volume
    from .shared import open_locators, read_reference

    check_map_name(args.out)
    prepare_output_file(args.out, args.overwrite)
    targets = []
    if args.targets is not None:
        marked = read_reference(args.reference, args.targets, args.label_ids)
        reference, targets = marked.volume, marked.usable.targets
        if all(target.mask is None for target in targets):
            raise InputError(f"{args.targets}: holds no segment: leave --targets out")
    else:
        reference = read_volume(args.reference)
    query = read_volume(args.query)
    for name, volume in (("reference", reference), ("query", query)):
        for note in volume.notes:
            show_note(f"{name}: {note}")

    locator = open_locators(args)[0]
    started = time.perf_counter()
    found = map_volumes(locator, reference, query, targets)
    seconds = time.perf_counter() - started
    for note in found.notes:
        show_note(note)
    write_map(args.out, found.field)
    print(
        f"{query.name} -> {reference.name}: {found.points} points, median similarity "
        f"{found.similarity:.2f}, least Jacobian {found.field.least_jacobian():.2f}, "
        f"{seconds:.1f} s"
    )
    return EXIT_OK
