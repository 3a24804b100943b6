"""The command line of the body benchmark; see ``Testing/Benchmarks/body.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from rprbench.core.provenance import ROOT
from rprloc.errors import RprLocError
from rprloc.files import atomic_write_text
from rprloc.localization.locator import Way
from rprloc.model.radius import RadiusSettings

from .absent import absent_rows
from .cases import Case, head_and_neck_cases, read_cases
from .cuts import cut_rows
from .fitting import fit, write_radii
from .marked import marked_head_and_neck, train_references
from .measuring import Row, measure, stored
from .methods import BodyMethod, GrayValues, Ours, ProportionalMapping, Registration
from .pooled import library_rows, pooled_rows
from .report import absent_table, cut_table, doubt_table, landmark_table, organ_table

# Head and neck beside the body data of ``val``: enough to know a model's doubt there.
ORGAN_REFERENCES, ORGAN_QUERIES = 3, 8
# Of the head-and-neck CTs with landmarks, so many are references for all the others.
LANDMARK_REFERENCES = 3
# Cut scans are many: of so many queries of each data set.
CUT_QUERIES = 8
DATA = ROOT.parent / "shared" / "data" / "body"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="body", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with splits.json")
    parser.add_argument("--out", type=Path, default=Path("rprloc-body-benchmark"))
    parser.add_argument("--split", choices=("val", "test"), default="test", help="of the queries")
    parser.add_argument("--model", nargs="*", default=["body-ct"], help="names or folders")
    parser.add_argument("--baselines", action="store_true", help="registration and the like too")
    parser.add_argument("--cuts", action="store_true", help="scans that end close to a target too")
    parser.add_argument("--absent", action="store_true", help="targets that no scan shows too")
    parser.add_argument("--pooled", action="store_true", help="several references together too")
    parser.add_argument("--library", type=Path, help="a template file of other CTs, to measure too")
    parser.add_argument(
        "--way", choices=("auto", "votes", "alignment"), default="auto", help="see Options"
    )
    parser.add_argument(
        "--fit-radius", action="store_true", help="on the answers measured, into the models' cards"
    )
    parser.add_argument("--threads", type=int, default=2, help="of the CPU")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write ``report-<split>.md``; returns 0, or 2 for wrong input."""
    args = arguments(argv)
    torch.set_num_threads(args.threads)
    try:
        groups = _groups(args)
        ways: tuple[Way, ...] = ("votes", "alignment") if args.fit_radius else (args.way,)
        methods: list[BodyMethod] = [
            # A radius is fitted on what the other limits let pass.
            Ours(model, way, with_radius=not args.fit_radius)
            for model in args.model
            for way in ways
        ]
    except (OSError, ValueError, KeyError, RprLocError) as error:
        print(f"body: {error}", file=sys.stderr)
        return 2
    if args.baselines:
        methods += [Registration(False), Registration(True), ProportionalMapping(), GrayValues()]

    folder = args.out / args.split
    rows: dict[str, list[Row]] = {}
    beside: dict[str, Beside] = {}
    for method in methods:
        mine = [measure(method, *g.cases, folder / method.name / g.name) for g in groups]
        rows[method.name] = [row for group in mine for row in group]
        if isinstance(method, Ours):
            beside[method.name] = _beside(method, [g for g in groups if g.beside], args, folder)
    if args.fit_radius:
        _fit(args, rows, beside)
    text = report(rows, {m.name: m.title for m in methods}, beside, args.split)
    atomic_write_text(args.out / f"report-{args.split}.md", text)
    print(text)
    return 0


@dataclass(frozen=True)
class Beside:
    """Rows of what is measured beside one reference and whole scans; empty if not asked for."""

    cut: list[Row]
    absent: list[Row]
    pooled: list[Row]
    library: list[Row]


@dataclass(frozen=True)
class Group:
    """References and queries of one data set.

    ``beside``: also measured beside one reference and whole scans, if that is asked for.
    """

    name: str
    cases: tuple[list[Case], list[Case]]
    beside: bool = True


def _groups(args: argparse.Namespace) -> list[Group]:
    """What is measured: the body data, and head and neck beside it; more to fit a radius."""
    references = read_cases(args.data, "val")
    body = Group("body", (references, read_cases(args.data, args.split)))
    if args.split == "test":
        both = read_cases(args.data, "head_and_neck_landmarks")
        return [body, Group("head-and-neck", (both, both))]
    organs = head_and_neck_cases(args.data.parent / "han", "val")
    few = (organs[:ORGAN_REFERENCES], organs[: ORGAN_REFERENCES + ORGAN_QUERIES])
    groups = [body, Group("head-and-neck", few)]
    return [*groups, *_more_to_fit(args.data)] if args.fit_radius else groups


def _more_to_fit(data: Path) -> list[Group]:
    """Answers whose errors are known, on references and queries that are never reported."""
    marked = marked_head_and_neck(data.parent / "han")
    return [
        Group("train-references", (train_references(data), read_cases(data, "val")), beside=False),
        Group("landmarks", (marked[:LANDMARK_REFERENCES], marked), beside=False),
    ]


def _fit(
    args: argparse.Namespace,
    rows: dict[str, list[Row]],
    beside: dict[str, Beside],
) -> None:
    """Put radii into the card of every model that was measured."""
    names = list(rows)
    for number, model in enumerate(args.model):
        settings: list[RadiusSettings] = []
        for name in names[2 * number : 2 * number + 2]:
            more = beside[name]
            known = [*rows[name], *more.cut, *more.pooled, *more.library]
            what = f"{len(known)} answers: {', '.join(_what(args))}"
            source = f"{args.split} of data/body and data/han, {what}"
            settings.append(fit(known, source))
            print(f"{name}: {settings[-1]}")
        print(f"written: {write_radii(model, *settings)}")


def _what(args: argparse.Namespace) -> list[str]:
    """What the answers that a radius is fitted on are from, for the card."""
    cut = ["scans that end close to a target"] if args.cuts else []
    pooled = ["pooled references"] if args.pooled else []
    library = ["a template of other CTs"] if args.library else []
    return ["one reference, of val and of train", *cut, *pooled, *library]


def _beside(
    method: Ours, groups: Sequence[Group], args: argparse.Namespace, folder: Path
) -> Beside:
    """Measure what is asked for beside one reference and whole scans."""
    library = args.library

    def of_pooled(group: Group) -> Iterable[Row]:
        return pooled_rows(method, *group.cases)

    def of_library(group: Group) -> Iterable[Row]:
        return library_rows(method, library, group.cases[1])

    pooled_folder = folder / f"{method.name}-pooled"
    return Beside(
        _cut(method, groups, folder) if args.cuts else [],
        _absent(method, groups[0].cases[0], args, folder) if args.absent else [],
        _by_group(pooled_folder, groups, of_pooled) if args.pooled else [],
        _by_group(folder / f"{method.name}-{library.stem}", groups, of_library) if library else [],
    )


def _cut(method: Ours, groups: Sequence[Group], folder: Path) -> list[Row]:
    found: list[Row] = []
    for group in groups:
        references, queries = group.cases
        for query in queries[:CUT_QUERIES]:
            file = folder / f"{method.name}-cut" / f"{query.name}.json"
            found += stored(file, partial(cut_rows, method, references, query))
    return found


def _absent(
    method: Ours, references: Sequence[Case], args: argparse.Namespace, folder: Path
) -> list[Row]:
    file = folder / f"{method.name}-absent.json"
    return stored(file, partial(absent_rows, method, references, args.data, args.split))


def _by_group(
    folder: Path, groups: Sequence[Group], make: Callable[[Group], Iterable[Row]]
) -> list[Row]:
    """The rows of every group, each kept in a file."""
    return [
        row
        for group in groups
        for row in stored(folder / f"{group.name}.json", partial(make, group))
    ]


def report(
    rows: dict[str, list[Row]], titles: dict[str, str], beside: dict[str, Beside], split: str
) -> str:
    """The report as Markdown."""
    parts = [
        f"# CTs of the whole body, one reference of `val`, queries of `{split}`",
        "Landmarks: median / 90 % error in mm.",
        landmark_table(rows, titles),
        "Organ boxes: mean IoU.",
        organ_table(rows, titles),
    ]
    for name, mine in rows.items():
        if name not in beside:
            continue
        more = beside[name]
        parts += [f"## Doubt, {titles[name]}", doubt_table(mine)]
        if more.cut:
            parts += ["Scans that end close to the target:", cut_table(more.cut, mine)]
            parts += ["Whole and cut together:", doubt_table([*mine, *more.cut])]
        if more.absent:
            parts += ["Targets that the scan does not show:", absent_table(more.absent)]
        if more.pooled:
            what = "All other references of `val` pooled, targets of two and more:"
            parts += [what, *_tables(name, titles, more.pooled)]
        if more.library:
            parts += ["The template:", *_tables(name, titles, more.library)]
    return "\n\n".join(parts) + "\n"


def _tables(name: str, titles: dict[str, str], rows: list[Row]) -> list[str]:
    """Landmarks, organs and doubt of one method's answers."""
    mine = {name: rows}
    return [landmark_table(mine, titles), organ_table(mine, titles), doubt_table(rows)]


if __name__ == "__main__":
    sys.exit(main())
