"""``rprloc models``: installed models, with their checksums verified; and install, export, import."""

from __future__ import annotations

import argparse
import sys

from ..model.archive import export_model, import_model, install_model, user_model_folder
from ..model.loading import PATH_VARIABLE, ModelEntry, find_model, list_models, model_folders
from .main import EXIT_BAD_INPUT, EXIT_OK


def run_models(args: argparse.Namespace) -> int:
    """Run the action; listing gives exit code 2 if any model is damaged."""
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
