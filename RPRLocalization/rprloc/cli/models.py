"""``rprloc models``: installed models, with their checksums verified; install, export, import."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, Parser, add_overwrite
from .exit_codes import EPILOG, EXIT_BAD_INPUT, EXIT_OK

if TYPE_CHECKING:
    from ..model.finding import ModelEntry

NAME = "models"


def add_arguments(commands: Commands) -> None:
    """Add the command and its actions; without one it lists the models."""
    group = commands.add_parser(
        NAME,
        help="list installed models and verify their checksums; install, export, import",
        epilog=EPILOG,
    )
    group.set_defaults(command=run, action="list")
    actions = group.add_subparsers(metavar="ACTION")

    install = actions.add_parser(
        "install", help="copy a model folder into the model folder", epilog=EPILOG
    )
    install.add_argument(
        "source", type=Path, metavar="DIR", help="model folder, as train writes it"
    )
    _add_into(install)

    export = actions.add_parser(
        "export", help="write a model as one .zip with checksums", epilog=EPILOG
    )
    export.add_argument(
        "source", metavar="MODEL", help="model folder, or name of an installed model"
    )
    export.add_argument("archive", type=Path, metavar="FILE.zip")

    unpack = actions.add_parser(
        "import", help="install the model of an exported .zip", epilog=EPILOG
    )
    unpack.add_argument("source", type=Path, metavar="FILE.zip")
    _add_into(unpack)

    for action, parser in (("install", install), ("export", export), ("import", unpack)):
        add_overwrite(parser)
        parser.set_defaults(command=run, action=action)


def _add_into(parser: Parser) -> None:
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="default: first folder of RPRLOC_MODELS"
    )


def run(args: argparse.Namespace) -> int:
    """Run the action; listing returns exit code 2 if any model is damaged."""
    from ..model.archive import export_model, import_model, install_model, user_model_folder
    from ..model.finding import find_model

    if args.action == "list":
        return _list()
    if args.action == "export":
        written = export_model(find_model(args.source), args.archive, args.overwrite)
    else:
        act = install_model if args.action == "install" else import_model
        written = act(args.source, args.into or user_model_folder(), args.overwrite)
    print(f"written: {written}")
    return EXIT_OK


def _list() -> int:
    from ..model.finding import PATH_VARIABLE, list_models, model_folders

    entries = list_models()
    if not entries:
        places = ", ".join(str(folder) for folder in model_folders())
        print(f"no model is installed in {places} (more folders: variable {PATH_VARIABLE})")
        return EXIT_OK
    for entry in entries:
        print(_describe(entry))

    damaged = [entry for entry in entries if entry.problem]
    if damaged:
        print(
            f"rprloc: {len(damaged)} of {len(entries)} models cannot be used: {damaged[0].problem}",
            file=sys.stderr,
        )
    return EXIT_BAD_INPUT if damaged else EXIT_OK


def _describe(entry: ModelEntry) -> str:
    """A model for the screen: its name, its networks, its folder."""
    card = entry.card
    if card is None:
        return f"{entry.folder.name}\n  DAMAGED: {entry.problem}\n  {entry.folder}"
    stages = [("coarse", card.coarse), *([("fine", card.fine)] if card.fine is not None else [])]
    lines = [
        f"{entry.folder.name}  {card.name} {card.version}, {card.body_region}: checksums verified"
    ]
    for name, stage in stages:
        size = (entry.folder / stage.file).stat().st_size / 1e6
        shape = (
            f"{stage.spacing_mm:g} mm voxels, r {stage.range_mm:g} mm, stride {stage.net.stride}"
        )
        lines.append(f"  {name}: {shape}, {size:.1f} MB, sha256 {stage.sha256[:12]}")
    return "\n".join([*lines, f"  {entry.folder}"])
