"""The command line of the contour benchmark; see ``Testing/Benchmarks/contours.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import SimpleITK as sitk
import torch

from rprbench.core.provenance import ROOT
from rprloc.errors import RprLocError
from rprloc.files import atomic_write_text
from rprloc.image.volume import read_volume
from rprloc.model.finding import BUNDLED
from rprloc.targets.label_ids import read_label_ids
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.target import target_from_mask

from .cases import Case, Data
from .measuring import Measuring
from .methods import Carried, ContourMethod
from .report import TITLES, Row, tables

DATA = ROOT.parent / "shared" / "data" / "han"
FUSED = 5
#: Head-and-neck references have these organs complete, as in the benchmark of boxes.
NEEDED = ("Brainstem", "Mandible", "LeftParotid", "RightParotid")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="contours", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with splits.json")
    parser.add_argument("--out", type=Path, default=Path("rprloc-contour-benchmark"))
    parser.add_argument("--split", choices=("val", "test"), default="test", help="of the queries")
    parser.add_argument("--references", type=int, default=1, help="each on its own")
    parser.add_argument("--queries", type=int, help="only so many")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th query only")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=list(TITLES),
        default=["one", "five", "affine", "bspline"],
        help="default: those that take less than 10 s per query",
    )
    parser.add_argument("--model", default="body-ct", help="folder or name of an installed one")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU")
    parser.add_argument("--sample-picture", type=Path, help="only draw the synthetic sample")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write ``contours-<split>.md``; returns 0, or 2 for wrong input."""
    args = arguments(argv)
    torch.set_num_threads(args.threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(args.threads)
    try:
        if args.sample_picture is not None:
            _draw(args.sample_picture)
            return 0
        rows = list(_measured(args))
    except (OSError, ValueError, KeyError, RprLocError) as error:
        print(f"contours: {error}", file=sys.stderr)
        return 2
    text = tables(rows)
    atomic_write_text(args.out / f"contours-{args.split}.md", text + "\n")
    print(text)
    return 0


def _draw(path: Path) -> None:
    # Matplotlib is needed for this alone.
    from .picture import draw_sample

    folder = BUNDLED.parent / "SampleData"
    cases = []
    for name in ("reference", "query"):
        labels = read_label_map(folder / f"{name}.labels.nii.gz")
        ids = read_label_ids(folder / "label_ids.json")
        masks = {organ: labels.mask(number) for organ, number in ids.items()}
        targets = {o: target_from_mask(o, mask, labels.geometry) for o, mask in masks.items()}
        volume = read_volume(folder / f"{name}.nii.gz")
        cases.append(Case(name, volume, labels.geometry, masks, targets))
    draw_sample(path, *cases)


def _measured(args: argparse.Namespace) -> Iterator[Row]:
    """All rows: every method with the first reference, then with the second, and so on."""
    data = Data(args.data)
    names = [n for n in data.names("val") if _is_reference(data.organs(n))]
    names = names[: max(FUSED, args.references)]
    references = [data.read("val", name) for name in names]
    queries = [n for n in data.names(args.split) if n not in names][:: args.every][: args.queries]

    measuring = Measuring(data, args.split, args.out / args.split)
    methods = [_method(name, args) for name in args.methods]
    for number, reference in enumerate(references[: args.references]):
        shared = [n for n in queries if reference.masks.keys() & data.organs(n).keys()]
        for method in methods:
            if not method.pools:
                yield from measuring.rows(method, [reference], shared)
            elif number == 0:
                yield from measuring.rows(method, references[:FUSED], queries)


def _is_reference(organs: Mapping[str, int]) -> bool:
    """In the body data every case is."""
    return set(NEEDED) <= organs.keys() or not set(NEEDED) & organs.keys()


def _method(name: str, args: argparse.Namespace) -> ContourMethod:
    if name in ("one", "noimage", "five"):
        return Carried(name, args.model, name == "five", name != "noimage")
    # Some of them need the extra ``bench``.
    from .registered import Elastix, Registered

    return Elastix(args.threads) if name == "elastix" else Registered(name == "bspline")


if __name__ == "__main__":
    sys.exit(main())
