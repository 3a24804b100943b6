"""What a Slicer user would do without this extension: register one reference CT to the query, carry the mask over.

``python Testing/Benchmarks/registration_baseline.py --data HAN_FOLDER --split test --out registration.json``

SimpleITK at 4 mm, body only: a search along the patient axis, an affine transform, then (``bspline``) cubic
B-splines with control points 70 mm apart, both by Mattes mutual information (see Testing/registration.py). The
organ's mask goes through the transform to the voxels of the query (linear, cut at 0.5); the box of what arrives is
scored against the box of the query's own mask. Same cases as figures.py: references are the first patients of
``val`` that have all four organs complete, queries all of ``--split`` without the reference; only organs that are
complete in both are scored.

Every finished pair is a line of OUT.jsonl; a rerun with the same settings goes on after the last one. Seconds are
wall time per patient after reading (median): ``resample`` of the query, ``affine``, ``bspline`` and ``carry``, and
their ``total``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

TESTING = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTING), str(TESTING.parent / "RPRLocalization")]

from registration import Settings, Subject, affine, bspline, subject_of  # noqa: E402

from rprloc.geometry import Box, Geometry  # noqa: E402
from rprloc.labelmap import LabelMap, read_label_map  # noqa: E402
from rprloc.metrics import box_iou, wall_distance  # noqa: E402
from rprloc.targets import target_from_mask  # noqa: E402
from rprloc.volume import Volume, read_volume  # noqa: E402

FOUR_ORGANS = ("Brainstem", "RightParotid", "LeftParotid", "Mandible")
METHODS = ("affine", "bspline")

Row = dict[str, Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Patient:
    """A CT, its label map and the ids of its complete organs."""

    name: str
    volume: Volume
    labels: LabelMap
    organs: dict[str, int]


def read_patient(data: Path, split: str, name: str, splits: dict[str, Any]) -> Patient:
    """Read CT and labels of a case of ``split``."""
    organs = {organ: splits["label_ids"][organ] for organ in splits["cases"][name]["complete_organs"]}
    labels = read_label_map(data / split / f"{name}.labels.nii.gz")
    return Patient(name, read_volume(data / split / f"{name}.nii.gz"), labels, organs)


def first_references(splits: dict[str, Any], count: int) -> list[str]:
    """The first ``count`` cases of ``val`` that have all four organs complete."""
    cases = splits["cases"]
    return [n for n in splits["splits"]["val"] if set(FOUR_ORGANS) <= set(cases[n]["complete_organs"])][:count]


def image_of(array: npt.NDArray[Any], geometry: Geometry) -> sitk.Image:
    """SimpleITK image of an array (k, j, i)."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing.tolist())
    image.SetOrigin(geometry.origin.tolist())
    image.SetDirection(geometry.direction.ravel().tolist())
    return image


def on_lattice(transform: sitk.Transform, geometry: Geometry) -> sitk.Transform:
    """The same map as a displacement per voxel of ``geometry``: computed once, then fast for every organ."""
    size = [int(n) for n in geometry.size]
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        size,
        geometry.origin.tolist(),
        geometry.spacing.tolist(),
        geometry.direction.ravel().tolist(),
    )
    return sitk.DisplacementFieldTransform(field)


def carried(mask: Mask, geometry: Geometry, transform: sitk.Transform, onto: Geometry) -> Mask:
    """``mask`` of the reference on the voxels of the query (linear, 0.5 and above); transform: query -> reference."""
    arrived = sitk.Resample(
        image_of(mask.astype(np.float32), geometry),
        [int(n) for n in onto.size],
        transform,
        sitk.sitkLinear,
        onto.origin.tolist(),
        onto.spacing.tolist(),
        onto.direction.ravel().tolist(),
        0.0,
    )
    return np.asarray(sitk.GetArrayFromImage(arrived) >= 0.5)


def scored(found: Mask, truth: Mask, geometry: Geometry) -> dict[str, float | None]:
    """IoU (%) and wall distance (mm) of the boxes of two masks; an empty ``found`` is 0 % and has no distance."""
    if not found.any():
        return {"iou": 0.0, "awd_mm": None}
    boxes: list[Box | None] = [target_from_mask("organ", mask, geometry).box for mask in (found, truth)]
    assert boxes[0] is not None and boxes[1] is not None
    return {"iou": 100 * box_iou(boxes[0], boxes[1]), "awd_mm": wall_distance(boxes[0], boxes[1])}


class Bench:
    """Registers pairs; references are prepared once."""

    def __init__(self, spacing: float, settings: Settings) -> None:
        self.spacing = spacing
        self.settings = settings
        self._references: dict[str, Subject] = {}

    @property
    def key(self) -> dict[str, Any]:
        """What a result depends on, as JSON gives it back."""
        key: dict[str, Any] = json.loads(json.dumps({"spacing": self.spacing, **asdict(self.settings)}))
        return key

    def rows(self, reference: Patient, query: Patient, methods: Sequence[str]) -> list[Row]:
        """One row per method; B-spline rows count the affine seconds too, since they begin with it."""
        moving = self._references.get(reference.name) or subject_of(reference.volume, self.spacing)
        self._references[reference.name] = moving
        clock = [time.perf_counter()]
        fixed = subject_of(query.volume, self.spacing)
        clock.append(time.perf_counter())
        transform: sitk.Transform = affine(fixed, moving, self.settings)
        clock.append(time.perf_counter())
        seconds = {"resample": clock[1] - clock[0], "affine": clock[2] - clock[1]}
        rows = []
        if "affine" in methods:
            rows.append(self._row(reference, query, transform, "affine", seconds))
        if "bspline" in methods:
            started = time.perf_counter()
            transform = bspline(fixed, moving, transform, self.settings)
            seconds = {**seconds, "bspline": time.perf_counter() - started}
            rows.append(self._row(reference, query, transform, "bspline", seconds))
        return rows

    def _row(
        self, reference: Patient, query: Patient, transform: sitk.Transform, method: str, seconds: dict[str, float]
    ) -> Row:
        started = time.perf_counter()
        shared = [organ for organ in query.organs if organ in reference.organs]
        geometry = query.labels.geometry
        moved = on_lattice(transform, geometry)
        arrived = {
            o: carried(reference.labels.mask(reference.organs[o]), reference.labels.geometry, moved, geometry)
            for o in shared
        }
        seconds = {**seconds, "carry": time.perf_counter() - started}
        organs = {o: scored(arrived[o], query.labels.mask(query.organs[o]), geometry) for o in shared}
        return {
            "reference": reference.name,
            "query": query.name,
            "method": method,
            "settings": self.key,
            "seconds": {**seconds, "total": sum(seconds.values())},
            "organs": organs,
        }


def read_rows(path: Path, settings: dict[str, Any]) -> list[Row]:
    """Finished rows of a .jsonl that were made with ``settings``; a line cut short by a kill is skipped."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.get("settings") == settings:
            rows.append(row)
    return rows


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Append rows, after a fresh line if the last one was cut short."""
    with path.open("a+b") as file:
        file.seek(0, 2)
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        for row in rows:
            file.write((json.dumps(row) + "\n").encode())


def summary(rows: Sequence[Row], organs: Sequence[str]) -> dict[str, Any]:
    """Means over all scored organs of ``rows``; ``lost``: masks of which nothing arrived (0 % IoU, no distance)."""
    scores = {o: [row["organs"][o] for row in rows if o in row["organs"]] for o in organs}
    each = {organ: _means(found) for organ, found in scores.items() if found}
    return {**_means([score for found in scores.values() for score in found]), "organs": each}


def _means(scores: Sequence[dict[str, float | None]]) -> dict[str, Any]:
    distances = [s["awd_mm"] for s in scores if s["awd_mm"] is not None]
    return {
        "n": len(scores),
        "iou": mean(s["iou"] or 0.0 for s in scores) if scores else None,
        "awd_mm": mean(distances) if distances else None,
        "within_10_mm": sum(d < 10.0 for d in distances) / len(scores) if scores else None,
        "lost": len(scores) - len(distances),
    }


def over_references(rows: Sequence[Row], organs: Sequence[str]) -> dict[str, Any]:
    """Mean over references of the mean over queries and organs, and every reference's own."""
    names = sorted({row["reference"] for row in rows})
    each = {name: summary([row for row in rows if row["reference"] == name], organs) for name in names}
    ious = [e["iou"] for e in each.values() if e["iou"] is not None]
    distances = [e["awd_mm"] for e in each.values() if e["awd_mm"] is not None]
    pooled = summary(rows, organs)
    return {
        **pooled,
        "iou": mean(ious) if ious else None,
        "awd_mm": mean(distances) if distances else None,
        "worst_iou": min(ious, default=None),
        "best_iou": max(ious, default=None),
        "references": {n: {"iou": e["iou"], "awd_mm": e["awd_mm"], "n": e["n"]} for n, e in each.items()},
    }


def report(rows: Sequence[Row], methods: Sequence[str]) -> dict[str, Any]:
    """The figures of every method."""
    result: dict[str, Any] = {}
    for method in methods:
        own = [row for row in rows if row["method"] == method]
        if not own:
            continue
        every = sorted({organ for row in own for organ in row["organs"]})
        phases = sorted({phase for row in own for phase in row["seconds"]})
        result[method] = {
            "pairs": len(own),
            "one_reference": over_references(own, FOUR_ORGANS),
            "one_reference_all_organs": over_references(own, every),
            "seconds": {p: median(row["seconds"][p] for row in own if p in row["seconds"]) for p in phases},
        }
    return result


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the han folder (val/, test/, splits.json)")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="split of the queries")
    parser.add_argument("--references", type=int, default=5, help="the first N of val with the four organs complete")
    parser.add_argument("--queries", type=int, help="only the first N of the split")
    parser.add_argument("--method", choices=(*METHODS, "both"), default="both")
    parser.add_argument("--spacing", type=float, default=4.0, help="mm")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON; pairs go to the .jsonl beside it")
    return parser.parse_args(argv)


def run_pairs(
    bench: Bench, options: argparse.Namespace, splits: dict[str, Any], pairs: Sequence[tuple[str, str]], rows: list[Row]
) -> None:
    """Register every pair (reference, query) with the methods that ``rows`` lacks; add to ``rows`` and the .jsonl."""
    done = {(row["reference"], row["query"], row["method"]) for row in rows}
    read: dict[str, Patient] = {}
    query: Patient | None = None
    for number, (name, case) in enumerate(pairs):
        missing = [method for method in methods_of(options) if (name, case, method) not in done]
        if not missing:
            continue
        if query is None or query.name != case:
            query = read_patient(options.data, options.split, case, splits)
        if name not in read:
            read[name] = read_patient(options.data, "val", name, splits)
        new = bench.rows(read[name], query, missing)
        append_rows(options.out.with_suffix(".jsonl"), new)
        rows += new
        for row in new:
            four = summary([row], FOUR_ORGANS)
            text = f"{row['method']} IoU {four['iou'] or 0:.1f} %, {row['seconds']['total']:.1f} s"
            print(f"{number + 1}/{len(pairs)} {name} -> {case}: {text}", flush=True)


def methods_of(options: argparse.Namespace) -> tuple[str, ...]:
    """The methods asked for."""
    return METHODS if options.method == "both" else (options.method,)


def main() -> int:
    """Register all pairs that are not done yet, write the figures."""
    options = arguments()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    splits = json.loads((options.data / "splits.json").read_text(encoding="utf-8"))
    bench = Bench(options.spacing, Settings())
    names = first_references(splits, options.references)
    cases = splits["splits"][options.split][: options.queries]
    pairs = [(reference, query) for query in cases for reference in names if reference != query]
    found = read_rows(options.out.with_suffix(".jsonl"), bench.key)
    rows = [row for row in found if (row["reference"], row["query"]) in set(pairs)]
    run_pairs(bench, options, splits, pairs, rows)
    facts = {"split": options.split, "queries": len(cases), "threads": options.threads, "settings": bench.key}
    figures = {**facts, **report(rows, methods_of(options))}
    options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
