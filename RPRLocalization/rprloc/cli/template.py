"""``rprloc template make | add | show``."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ..errors import TemplateError
from ..files import prepare_output_file
from ..localization.template import Template
from .main import EXIT_OK
from .shared import learn, open_locator, read_reference


def run_template(args: argparse.Namespace) -> int:
    """Make, extend or show a template; returns the exit code."""
    if args.action == "show":
        print(describe_template(Template.read(args.template)))
        return EXIT_OK
    existing = _existing(args)
    volume, targets = read_reference(args.reference, args.targets, args.label_ids)
    if args.name:
        volume = replace(volume, name=args.name)
    locator = open_locator(args)
    if existing is not None:
        existing.check_model(locator.model.card)
    template = learn(locator, volume, targets)
    if existing is not None:
        template = existing.merged(template)
    overwrite = existing is not None or args.overwrite
    prepare_output_file(args.out, overwrite)
    template.write(args.out, overwrite=overwrite)
    print(describe_template(template))
    return EXIT_OK


def _existing(args: argparse.Namespace) -> Template | None:
    """The template to extend; None for ``make``, which refuses an existing file before the long work."""
    if args.action == "make":
        if args.out.exists():
            prepare_output_file(args.out, args.overwrite)
        return None
    if not args.out.exists():
        raise TemplateError(
            f"{args.out}: there is no template to add to: make one with `rprloc template make`"
        )
    return Template.read(args.out)


def describe_template(template: Template) -> str:
    """Model, body region and targets of a template, for the screen."""
    model = template.model
    header = [
        f"model        {model.get('name', '?')} {model.get('version', '')}".rstrip(),
        f"body region  {template.body_region}",
        f"targets      {len(template.targets)}",
        "",
    ]
    rows = [["target", "kind", "references"]]
    for target in template.targets:
        names = list(dict.fromkeys(example.reference for example in target.examples))
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        rows.append([target.name, target.kind, f"{len(target.examples)} ({shown})"])
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0].ljust(widths[0])}  {row[1].ljust(widths[1])}  {row[2]}" for row in rows]
    return "\n".join([*header, *lines])
