"""The command line of the contour benchmark; see ``Testing/Benchmarks/contours.py``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import SimpleITK as sitk
import torch

from rprbench.core.provenance import ROOT
from rprloc.errors import RprLocError
from rprloc.evaluation.metrics import box_iou
from rprloc.files import atomic_write_text
from rprloc.image.volume import read_volume
from rprloc.model.finding import BUNDLED
from rprloc.targets.label_ids import read_label_ids
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.target import target_from_mask

from .agreement import agreement
from .cases import Case, read_case
from .methods import Carried, ContourMethod, Found, Registered
from .report import Row, tables

DATA = ROOT.parent / "shared" / "data" / "han"
FUSED = 5
#: References of ``val`` have these organs complete, as in the benchmark of boxes.
NEEDED = ("Brainstem", "Mandible", "LeftParotid", "RightParotid")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="contours", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with splits.json")
    parser.add_argument("--out", type=Path, default=Path("rprloc-contour-benchmark"))
    parser.add_argument("--split", choices=("val", "test"), default="test", help="of the queries")
    parser.add_argument("--references", type=int, default=1, help="each on its own")
    parser.add_argument("--queries", type=int, help="only so many")
    parser.add_argument("--no-bspline", action="store_true", help="it takes most of the time")
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
    """All rows; each query's are kept in a file once it is finished."""
    splits = json.loads((args.data / "splits.json").read_text(encoding="utf-8"))
    complete = {n: splits["cases"][n]["complete_organs"] for n in splits["splits"]["val"]}
    names = [n for n, organs in complete.items() if set(NEEDED) <= set(organs)][:FUSED]
    references = [read_case(args.data, "val", name) for name in names]
    methods: list[ContourMethod] = [Carried("one"), Carried("noimage", with_images=False)]
    methods += [Carried("five", pools=True), Registered(False)]
    methods += [] if args.no_bspline else [Registered(True)]

    queries = [n for n in splits["splits"][args.split] if n not in names][: args.queries]
    learned = [
        (method, group[0].name if len(group) == 1 else "all", method.learn(group))
        for method in methods
        for group in (
            [references] if method.pools else [[r] for r in references[: args.references]]
        )
    ]
    for name in queries:
        for method, reference, known in learned:
            file = args.out / args.split / method.name / f"{reference}-{name}.json"
            if not file.exists():
                query = read_case(args.data, args.split, name)
                found = _rows(method.name, reference, query, method.find(known, query.volume))
                file.parent.mkdir(parents=True, exist_ok=True)
                atomic_write_text(file, json.dumps(found))
                print(f"{method.name}: {reference} to {name}", flush=True)
            yield from json.loads(file.read_text(encoding="utf-8"))


def _rows(method: str, reference: str, query: Case, found: Found) -> list[Row]:
    """One row per organ that is complete in the query and was marked on the reference."""
    rows = []
    for organ, mask in found.masks.items():
        if organ not in query.masks:
            continue
        truth = query.targets[organ].box
        assert truth is not None
        own = target_from_mask(organ, mask, query.geometry).box if mask.any() else None
        before = (found.boxes or {}).get(organ)
        rows.append(
            {
                "method": method,
                "reference": reference,
                "query": query.name,
                "organ": organ,
                **asdict(agreement(mask, query.masks[organ], query.geometry)),
                "iou": 0.0 if own is None else 100.0 * box_iou(own, truth),
                "iou_of_search": None if before is None else 100.0 * box_iou(before, truth),
                "seconds": found.seconds,
                "least_jacobian": found.least_jacobian,
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
