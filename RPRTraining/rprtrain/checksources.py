"""Which CTs judge a model: those that its training held out."""

from __future__ import annotations

from pathlib import Path

from rprloc.errors import InputError

from .runstate import read_run
from .sources import ImageSource, held_out, images_in

LEAST = 2


def check_sources(run: Path) -> list[ImageSource]:
    """The CTs that the training in the folder ``run`` held out; all of its CTs where only one was.

    Raises InputError if the folder holds no training, or its CTs cannot be found.
    """
    return unseen_sources(run)[0]


def unseen_sources(run: Path) -> tuple[list[ImageSource], bool]:
    """As ``check_sources``, and whether the training has seen none of them."""
    notes = read_run(run)
    if notes is None:
        raise InputError(f"{run}: there is no training here (run.json is missing): give the CTs to check with")
    known = notes.request.get("sources")
    if isinstance(known, list):
        sources = [ImageSource.from_json(source) for source in known]
    else:
        sources = images_in(Path(str(notes.request.get("images"))))
    held = held_out([(source.group, source.name) for source in sources]) if len(sources) > 1 else []
    chosen = [source for source, out in zip(sources, held, strict=False) if out]
    return (chosen, True) if len(chosen) >= LEAST else (sources, False)
