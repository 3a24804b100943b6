"""What several commands do: threads, and the way from options to a ``LocalizationTask``.

Imports torch, so that commands import this module only when they run.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
import torch

from ..contour.learning import learn_with_outlines
from ..errors import InputError
from ..image.volume import Volume, read_volume
from ..localization.batch import LocalizationTask
from ..localization.choice import Candidate, by_reference
from ..localization.learning import learn
from ..localization.locator import Locator, Options
from ..localization.template import Template
from ..model.devices import resolve_device
from ..model.finding import models_for
from ..model.loading import load_model
from ..targets.loading import read_target_file
from ..targets.placement import UsableTargets, usable_targets
from .notes import show_note


def set_threads(threads: int | None) -> None:
    """Limit the CPU threads of torch and SimpleITK, and silence what SimpleITK prints."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    if threads is not None:
        torch.set_num_threads(threads)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def open_locators(
    args: argparse.Namespace, identity: Mapping[str, str] | None = None
) -> list[Locator]:
    """The locators for --model, --device and --threads.

    A command that searches also has --runs, --steps and --seed.

    Args:
        args: the options.
        identity: of the model that a template was made with; it alone will do.
    """
    set_threads(args.threads)
    device = resolve_device(args.device)
    options = Options()
    if hasattr(args, "runs"):
        options = Options(runs=args.runs, steps=args.steps, seed=args.seed)
    folders = models_for(args.model, identity)
    return [Locator(load_model(folder, device), options) for folder in folders]


def open_search(args: argparse.Namespace) -> LocalizationTask:
    """Read and check everything but the queries. Raises RprLocError before anything is written."""
    if args.template is not None:
        if args.targets is not None:
            raise InputError("--targets belongs to --reference: a template brings its own targets")
        template = Template.read(args.template)
        locator = open_locators(args, template.model)[0]
        template.check_model(locator.model.card)
        return LocalizationTask(locator, template)
    if args.targets is None:
        raise InputError(
            "--reference needs --targets: a label map or markups file of the reference"
        )
    reference = read_reference(args.reference, args.targets, args.label_ids)
    contours = getattr(args, "contours", False)
    return LocalizationTask.of(learn_reference(open_locators(args), reference, contours))


@dataclass(frozen=True, eq=False)
class MarkedReference:
    """A reference CT and the targets marked on it, judged."""

    volume: Volume
    usable: UsableTargets


def read_reference(reference: Path, targets: Path, label_ids: Path | None) -> MarkedReference:
    """Read a reference CT and the targets marked on it, and say what was left out of their file.

    Raises InputError if either cannot be used.
    """
    volume = read_volume(reference)
    file = read_target_file(targets, label_ids)
    for note in file.notes:
        show_note(f"{targets}: {note}")
    try:
        return MarkedReference(volume, usable_targets(file.targets, volume))
    except InputError as error:
        raise InputError(f"{targets}: {error}") from error


def learn_reference(
    locators: Sequence[Locator], reference: MarkedReference, contours: bool = False
) -> list[Candidate]:
    """Learn the targets of a reference, and say on stderr what is wrong with some of them.

    Args:
        locators: of the models.
        reference: and its targets.
        contours: also keep what carries the segments.

    Returns:
        What every model learned, first the one that finds the targets best on their reference.
    """
    way = learn_with_outlines if contours else learn
    learned = [Candidate(one, way(one, reference.volume, reference.usable)) for one in locators]
    found = by_reference(learned, reference.volume)
    for target in found[0].learned.left_out:
        show_note(f"target {target.name!r} is left out: it {target.reason}")
    for note, names in notes_by_target(found[0].learned.template).items():
        show_note(f"{names}: {note}")
    return found


def notes_by_target(template: Template) -> dict[str, str]:
    """Note -> the targets that have it, in their order, for people to read."""
    found: dict[str, list[str]] = {}
    for target in template.targets:
        for note in target.notes:
            found.setdefault(note, []).append(target.name)
    return {note: ", ".join(names) for note, names in found.items()}
