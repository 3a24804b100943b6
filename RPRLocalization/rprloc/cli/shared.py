"""What several commands do: threads, and the way from options to a ``LocalizationTask``.

Imports torch, so that commands import this module only when they run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import SimpleITK as sitk
import torch

from ..errors import InputError
from ..image.volume import Volume, read_volume
from ..localization.batch import LocalizationTask
from ..localization.locator import Locator, Options
from ..localization.template import Template
from ..model.card import DEFAULT_MODEL
from ..model.devices import resolve_device
from ..model.loading import find_model, load_model
from ..targets.target import Target, check_inside, load_targets


def set_threads(threads: int | None) -> None:
    """Limit the CPU threads of torch and SimpleITK, and silence what SimpleITK prints."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    if threads is not None:
        torch.set_num_threads(threads)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def open_locator(args: argparse.Namespace) -> Locator:
    """The locator for --model, --device and --threads.

    A command that searches also has --runs, --steps and --seed.
    """
    set_threads(args.threads)
    device = resolve_device(args.device)
    model = load_model(find_model(args.model or DEFAULT_MODEL), device)
    options = Options()
    if hasattr(args, "runs"):
        options = Options(runs=args.runs, steps=args.steps, seed=args.seed)
    return Locator(model, options)


def open_search(args: argparse.Namespace) -> LocalizationTask:
    """Read and check everything but the queries. Raises RprLocError before anything is written."""
    if args.template is not None:
        if args.targets is not None:
            raise InputError("--targets belongs to --reference: a template brings its own targets")
        template = Template.read(args.template)
        locator = open_locator(args)
        template.check_model(locator.model.card)
        return LocalizationTask(locator, template)
    if args.targets is None:
        raise InputError(
            "--reference needs --targets: a label map or markups file of the reference"
        )
    volume, targets = read_reference(args.reference, args.targets, args.label_ids)
    locator = open_locator(args)
    return LocalizationTask(locator, learn(locator, volume, targets))


def read_reference(
    reference: Path, targets: Path, label_ids: Path | None
) -> tuple[Volume, list[Target]]:
    """Read a reference CT and the targets marked on it.

    Raises InputError if either cannot be used, or if a target lies outside of the CT.
    """
    volume = read_volume(reference)
    marked = load_targets(targets, label_ids)
    check_inside(marked, volume.geometry)
    return volume, marked


def learn(locator: Locator, volume: Volume, targets: list[Target]) -> Template:
    """The template of targets marked on a reference."""
    return locator.make_template(locator.embed(volume), targets)
