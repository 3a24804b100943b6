"""``rprloc template make | add | show``."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TemplateError
from ..files import prepare_output_file
from .arguments import Commands, add_model, add_overwrite, add_targets
from .exit_codes import EPILOG, EXIT_OK, EXIT_SOME_FAILED
from .notes import show_note

if TYPE_CHECKING:
    from ..localization.template import Template

NAME = "template"
MOST_REFERENCES_SHOWN = 5


def add_arguments(commands: Commands) -> None:
    """Add the command and its actions."""
    group = commands.add_parser(
        NAME, help="make, extend or show a template of targets", epilog=EPILOG
    )
    actions = group.add_subparsers(metavar="ACTION", required=True)
    for action, text in (
        ("make", "a new template from one annotated reference"),
        ("add", "pool one more annotated reference into an existing template"),
    ):
        parser = actions.add_parser(action, help=text, description=text, epilog=EPILOG)
        add_targets(parser)
        parser.add_argument(
            "--out", type=Path, required=True, metavar="T.json", help="template file"
        )
        parser.add_argument(
            "--name", metavar="NAME", help="name of the reference (default: its file name)"
        )
        parser.add_argument(
            "--contours",
            action="store_true",
            help="also keep the segments' masks (no image), so that locate --contours can carry "
            "them; adds about 0.2 MB per reference",
        )
        if action == "make":
            add_overwrite(parser)
        add_model(parser)
        parser.set_defaults(command=run, action=action)

    show = actions.add_parser("show", help="what a template holds", epilog=EPILOG)
    show.add_argument("template", type=Path, metavar="T.json")
    show.set_defaults(command=run, action="show")


def run(args: argparse.Namespace) -> int:
    """Make, extend or show a template; returns the exit code."""
    from ..localization.template import Template
    from .shared import learn_reference, open_locators, read_reference

    if args.action == "show":
        print(describe_template(Template.read(args.template)))
        return EXIT_OK

    # All that can be refused comes before the long work of the network.
    existing = _existing(args)
    reference = read_reference(args.reference, args.targets, args.label_ids)
    if args.name:
        reference = replace(reference, volume=replace(reference.volume, name=args.name))
    locators = open_locators(args, None if existing is None else existing.model)
    if existing is not None:
        existing.check_model(locators[0].model.card)

    learned = learn_reference(locators, reference, args.contours)[0].learned
    if args.contours and not learned.template.outlines:
        show_note("no contours are kept: no target is a segment")
    template = learned.template
    if existing is not None:
        template = existing.merged(template)
    overwrite = existing is not None or args.overwrite
    prepare_output_file(args.out, overwrite)
    template.write(args.out, overwrite=overwrite)
    print(describe_template(template))
    return EXIT_SOME_FAILED if learned.left_out else EXIT_OK


def _existing(args: argparse.Namespace) -> Template | None:
    """The template to extend; None for ``make``, which refuses an existing file."""
    from ..localization.template import Template

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
    ]
    if template.outlines:
        size = len(json.dumps(dict(template.outlines))) / 1e6
        header.append(f"contours     of {len(template.outlines)} references ({size:.2f} MB)")
    header.append("")

    rows = [["target", "kind", "references"]]
    for target in template.targets:
        names = list(dict.fromkeys(example.reference for example in target.examples))
        shown = ", ".join(names[:MOST_REFERENCES_SHOWN])
        more = ", ..." if len(names) > MOST_REFERENCES_SHOWN else ""
        rows.append([target.name, target.kind, f"{len(target.examples)} ({shown}{more})"])

    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0].ljust(widths[0])}  {row[1].ljust(widths[1])}  {row[2]}" for row in rows]
    return "\n".join([*header, *lines])
