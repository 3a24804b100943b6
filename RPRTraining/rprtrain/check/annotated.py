"""The check with annotations: targets of one CT, sought in others as ``rprloc evaluate`` does."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from rprloc.errors import InputError
from rprloc.evaluation.scores import Score, read_truths, score_results
from rprloc.localization.learning import learn
from rprloc.localization.locator import Locator, Options
from rprloc.model.loading import ModelPair
from rprloc.targets.loading import read_target_file
from rprloc.targets.placement import usable_targets

from ..data.sources import ImageSource, held_out, images_in
from ..run.record import read_run
from .self_check import LEAST_CTS, Measure

SUFFIXES = (
    ".seg.nrrd",
    ".labels.nii.gz",
    ".labels.nrrd",
    ".mrk.json",
    "_label.nii.gz",
    ".nii.gz",
    ".nrrd",
)
LEAST_ANNOTATED = 2


def annotated(sources: Sequence[ImageSource], folder: Path) -> list[tuple[ImageSource, Path]]:
    """The CTs that have a file of their name in ``folder``: label map, segmentation or markups."""
    pairs = []
    for source in sources:
        names = [
            f"{name}{suffix}"
            for name in dict.fromkeys((source.name, source.path.name))
            for suffix in SUFFIXES
        ]
        # A CT has its own name too, with a suffix that label maps share.
        paths = [folder / name for name in names if folder / name != source.path]
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            pairs.append((source, path))
    return pairs


def check_targets(
    model: ModelPair,
    sources: Sequence[ImageSource],
    folder: Path,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> list[Measure]:
    """Measure overlap, wall distance and landmark error of what is annotated.

    Args:
        model: what is checked.
        sources: CTs; the first that is annotated is the reference.
        folder: of the annotations.
        progress: gets (done, total, text) before each CT.

    Raises:
        InputError: if fewer than two CTs have annotations.
    """
    pairs = annotated(sources, folder)
    if len(pairs) < LEAST_ANNOTATED:
        raise InputError(
            f"{folder}: {len(pairs)} of the CTs have a file of their name here"
            " (such as CT.seg.nrrd or CT.mrk.json);"
            f" at least {LEAST_ANNOTATED} are needed"
        )

    options = Options() if model.fine is not None else Options(steps="coarse3")
    locator = Locator(model, options)
    reference, path = pairs[0]
    volume = reference.read()
    file = read_target_file(path)
    learned = learn(locator, volume, usable_targets(file.targets, volume))
    for text in (*file.notes, *(f"{t.name} is left out: it {t.reason}" for t in learned.left_out)):
        warnings.warn(f"{path}: {text}", stacklevel=2)
    template = learned.template
    names = [target.name for target in template.targets]

    scores: list[Score] = []
    for number, (source, labels) in enumerate(pairs[1:]):
        progress(number, len(pairs) - 1, f"looking for {len(names)} targets in {source.name}")
        volume = source.read()
        results = locator.locate(locator.embed(volume), template)
        scores += score_results(results, read_truths(labels, None, names, volume.geometry), None)
    return [
        measure
        for name in names
        for measure in _measures(name, [s for s in scores if s.target == name])
    ]


def _measures(name: str, scores: Sequence[Score]) -> list[Measure]:
    used = [score for score in scores if score.scored == "yes"]
    columns = (("IoU", "%", "iou"), ("wall distance", "mm", "awd_mm"), ("error", "mm", "error_mm"))
    values = [(title, unit, [getattr(s, key) for s in used]) for title, unit, key in columns]
    numbers = [
        (title, unit, [v for v in column if v is not None]) for title, unit, column in values
    ]
    return [Measure.of(f"{name}: {title}", unit, row) for title, unit, row in numbers if row]


def check_sources(run: Path) -> list[ImageSource]:
    """The CTs that the training in the folder ``run`` held out; all of its CTs where only one was.

    Raises InputError if the folder holds no training, or its CTs cannot be found.
    """
    return unseen_sources(run)[0]


def unseen_sources(run: Path) -> tuple[list[ImageSource], bool]:
    """As ``check_sources``, and whether the training has seen none of them."""
    record = read_run(run)
    if record is None:
        raise InputError(
            f"{run}: there is no training here (run.json is missing): give the CTs to check with"
        )
    recorded = record.request.get("sources")
    if isinstance(recorded, list):
        sources = [ImageSource.from_json(source) for source in recorded]
    else:
        sources = images_in(Path(str(record.request.get("images"))))

    held = held_out([(source.group, source.name) for source in sources]) if len(sources) > 1 else []
    chosen = [source for source, out in zip(sources, held, strict=False) if out]
    return (chosen, True) if len(chosen) >= LEAST_CTS else (sources, False)
