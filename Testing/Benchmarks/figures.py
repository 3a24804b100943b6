"""The figures of the README, measured.

Accuracy of one and of five pooled references, absent organs, couch, time.

``python Testing/Benchmarks/figures.py --data HAN_FOLDER --split test --out figures.json``

References are the first patients of ``val`` that have all four organs complete; queries are all of
``--split`` (never the reference itself); only complete organs are scored (``splits.json``). Absent
organs are made by cutting the CT below the mandible, so that no head is left; the couch is a
synthetic table under the patient.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch

from rprloc.evaluation.metrics import box_iou, wall_distance
from rprloc.geometry import Box, Geometry
from rprloc.image.body import body_mask
from rprloc.image.volume import Volume, read_volume
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.locator import Locator, Options
from rprloc.localization.result import Result
from rprloc.localization.template import Template
from rprloc.model.devices import resolve_device
from rprloc.model.finding import find_model
from rprloc.model.loading import load_model
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.loading import targets_from_label_map
from rprloc.targets.target import Target

FOUR_ORGANS = ("Brainstem", "RightParotid", "LeftParotid", "Mandible")
BELOW_MANDIBLE_MM = 15.0
LEAST_NECK_MM = 90.0


@dataclass(frozen=True, eq=False)
class Patient:
    """A CT and its complete organs."""

    name: str
    volume: Volume
    organs: dict[str, Target]


def load_patients(data: Path, split: str) -> list[Patient]:
    """Patients of a split, with the organs that are complete."""
    splits = json.loads((data / "splits.json").read_text(encoding="utf-8"))
    patients = []
    for name in splits["splits"][split]:
        labels = read_label_map(data / split / f"{name}.labels.nii.gz")
        ids = {
            organ: splits["label_ids"][organ] for organ in splits["cases"][name]["complete_organs"]
        }
        organs = {t.name: t for t in targets_from_label_map(labels, ids, skip_absent=True)}
        patients.append(Patient(name, read_volume(data / split / f"{name}.nii.gz"), organs))
    return patients


def box_of(result: Result) -> Box:
    """The box of a result that has one."""
    assert result.center is not None and result.size is not None
    return Box.from_center_size(result.center, result.size)


class Study:
    """Embeds every patient once and locates with any template."""

    def __init__(self, locator: Locator, patients: Sequence[Patient]) -> None:
        self.locator = locator
        self.patients = patients
        self.embeddings: dict[str, EmbeddedVolume] = {}

    def embedding(self, patient: Patient) -> EmbeddedVolume:
        """The patient's embedding, computed at the first call."""
        if patient.name not in self.embeddings:
            self.embeddings[patient.name] = self.locator.embed(patient.volume)
        return self.embeddings[patient.name]

    def template(self, reference: Patient) -> Template:
        """One-reference template of all complete organs of a patient."""
        return self.locator.make_template(
            self.embedding(reference), list(reference.organs.values())
        )

    def rows(self, template: Template, leave_out: set[str]) -> Iterator[dict[str, Any]]:
        """One row per query and organ that both the template and the query have."""
        for patient in self.patients:
            if patient.name in leave_out:
                continue
            wanted = tuple(t for t in template.targets if t.name in patient.organs)
            if not wanted:
                continue
            for result in self.locator.locate(
                self.embedding(patient), replace(template, targets=wanted)
            ):
                truth = patient.organs[result.target].box
                assert truth is not None
                found = box_of(result)
                yield {
                    "query": patient.name,
                    "organ": result.target,
                    "iou": box_iou(found, truth),
                    "awd_mm": wall_distance(found, truth),
                    "status": result.status,
                    "spread_mm": result.spread_mm,
                    "cycle_mm": result.cycle_mm,
                }


def summary(rows: list[dict[str, Any]], organs: Sequence[str]) -> dict[str, Any]:
    """Means over the rows of the given organs."""
    chosen = [r for r in rows if r["organ"] in organs]
    return {
        "n": len(chosen),
        "iou": mean(r["iou"] for r in chosen),
        "awd_mm": mean(r["awd_mm"] for r in chosen),
        "within_10_mm": mean(r["awd_mm"] < 10.0 for r in chosen),
        "status": {
            s: sum(r["status"] == s for r in chosen) for s in ("ok", "low-confidence", "outside")
        },
        "organs": {
            o: {
                "n": sum(r["organ"] == o for r in chosen),
                "iou": mean(r["iou"] for r in chosen if r["organ"] == o),
                "awd_mm": mean(r["awd_mm"] for r in chosen if r["organ"] == o),
            }
            for o in organs
            if any(r["organ"] == o for r in chosen)
        },
    }


def over_references(
    per_reference: dict[str, list[dict[str, Any]]], organs: Sequence[str]
) -> dict[str, Any]:
    """Mean over references of the mean over queries and organs, with spread and worst."""
    each = {name: summary(rows, organs) for name, rows in per_reference.items()}
    ious, distances = [e["iou"] for e in each.values()], [e["awd_mm"] for e in each.values()]
    pooled = summary([r for rows in per_reference.values() for r in rows], organs)
    return {
        "iou": mean(ious),
        "awd_mm": mean(distances),
        "worst_iou": min(ious),
        "best_iou": max(ious),
        "within_10_mm": pooled["within_10_mm"],
        "status": pooled["status"],
        "organs": pooled["organs"],
        "references": {n: {"iou": e["iou"], "awd_mm": e["awd_mm"]} for n, e in each.items()},
    }


def without_head(patient: Patient) -> Volume | None:
    """The patient cut below the mandible; None where too little would be left."""
    jaw = patient.organs.get("Mandible")
    if jaw is None or jaw.box is None:
        return None
    geometry = patient.volume.geometry
    if abs(float(geometry.direction[2, 2])) < 0.99 or float(geometry.direction[2, 2]) < 0:
        return None
    top = float(jaw.box.lower[2]) - BELOW_MANDIBLE_MM
    keep = int((top - geometry.origin[2]) / geometry.spacing[2])
    if keep * geometry.spacing[2] < LEAST_NECK_MM:
        return None
    size = (geometry.size[0], geometry.size[1], keep)
    cut = Geometry(size, geometry.spacing, geometry.origin, geometry.direction)
    return Volume(patient.volume.array[:keep], cut, f"{patient.name}-without-head")


def with_couch(patient: Patient) -> Volume:
    """The patient on a synthetic couch.

    A dense skin and a light core, 12 mm behind the lowest voxel of the body.
    """
    array, geometry = patient.volume.array.copy(), patient.volume.geometry
    ahead = np.pad(array, ((0, 0), (0, 24), (0, 0)), constant_values=-1000)
    behind = int(np.flatnonzero((array > -300).any(axis=(0, 2)))[-1])
    skin = max(1, round(4.0 / geometry.spacing[1]))
    start = behind + max(1, round(4.0 / geometry.spacing[1]))
    ahead[:, start : start + skin] = np.maximum(ahead[:, start : start + skin], 150)
    ahead[:, start + skin : start + 4 * skin] = np.maximum(
        ahead[:, start + skin : start + 4 * skin], -850
    )
    ahead[:, start + 4 * skin : start + 5 * skin] = np.maximum(
        ahead[:, start + 4 * skin : start + 5 * skin], 150
    )
    size = (geometry.size[0], ahead.shape[1], geometry.size[2])
    wide = Geometry(size, geometry.spacing, geometry.origin, geometry.direction)
    return Volume(ahead, wide, f"{patient.name}-on-couch")


def absent_organs(study: Study, templates: Sequence[Template]) -> dict[str, Any]:
    """How often the four organs of the head are reported ``ok`` where there is no head."""
    statuses: list[str] = []
    for patient in study.patients:
        cut = without_head(patient)
        if cut is None:
            continue
        embedding = study.locator.embed(cut)
        for template in templates:
            wanted = tuple(t for t in template.targets if t.name in FOUR_ORGANS)
            statuses += [
                r.status for r in study.locator.locate(embedding, replace(template, targets=wanted))
            ]
    counts = {s: statuses.count(s) for s in ("ok", "low-confidence", "outside")}
    return {
        "n": len(statuses),
        "reported_ok": counts["ok"] / max(1, len(statuses)),
        "status": counts,
    }


def couch_shift(study: Study, template: Template) -> dict[str, Any]:
    """How far a couch under the patient moves the centres of the located organs (mm)."""
    shifts: list[float] = []
    for patient in study.patients:
        plain = study.locator.locate(study.embedding(patient), template)
        couch = study.locator.locate(study.locator.embed(with_couch(patient)), template)
        shifts += [
            float(np.linalg.norm(a.center - b.center))
            for a, b in zip(plain, couch, strict=True)
            if a.center is not None and b.center is not None
        ]
    return {
        "n": len(shifts),
        "median_mm": median(shifts),
        "p95_mm": float(np.percentile(shifts, 95)),
    }


def masked_away(volume: Volume) -> Volume:
    """The volume with everything that is not body set to air."""
    body = body_mask(volume.array.astype(np.float32), tuple(volume.geometry.spacing[::-1]))
    return Volume(
        np.where(body, volume.array, np.int16(-1000)), volume.geometry, f"{volume.name}-masked"
    )


def raw_scans(study: Study, template: Template, folder: Path) -> dict[str, Any]:
    """Raw CTs of the trunk: targets of the head reported ``ok``, and answers moved by a couch."""
    statuses: dict[str, list[str]] = {}
    shifts: list[float] = []
    for path in sorted(folder.glob("*.nii.gz")):
        if path.name.endswith((".lungs.nii.gz", ".labels.nii.gz")):
            continue
        volume = read_volume(path)
        raw = study.locator.locate(study.locator.embed(volume), template)
        masked = study.locator.locate(study.locator.embed(masked_away(volume)), template)
        statuses[path.name] = [r.status for r in raw if r.target in FOUR_ORGANS]
        shifts += [
            float(np.linalg.norm(a.center - b.center)) for a, b in zip(raw, masked, strict=True)
        ]  # type: ignore[operator]
    headless = [
        s for name, found in statuses.items() if "acrin_flt_001_t1" not in name for s in found
    ]
    chest = [
        s for name, found in statuses.items() if name.startswith(("lidc", "cmbcrc")) for s in found
    ]
    return {
        "volumes": len(statuses),
        "reported_ok_chest": chest.count("ok") / max(1, len(chest)),
        "chest_n": len(chest),
        "reported_ok_all_without_head": headless.count("ok") / max(1, len(headless)),
        "n": len(headless),
        "shift_when_masked_median_mm": median(shifts),
        "shift_when_masked_p95_mm": float(np.percentile(shifts, 95)),
    }


def timing(locator: Locator, patients: Sequence[Patient], template: Template) -> dict[str, float]:
    """Median seconds per patient for all targets of the template, after reading, by phase."""
    phases: list[dict[str, float]] = []
    for patient in [*patients[:2], *patients]:
        started = time.perf_counter()
        embedding = locator.embed(patient.volume)
        locator.locate(embedding, template)
        phases.append({**embedding.seconds, "total": time.perf_counter() - started})
    return {
        key: median(p[key] for p in phases[2:]) for key in ("resample", "embed", "locate", "total")
    }


def first_references(patients: Sequence[Patient], count: int) -> list[Patient]:
    """The first patients with all four organs complete."""
    return [p for p in patients if all(o in p.organs for o in FOUR_ORGANS)][:count]


def pooled_template(study: Study, references: Sequence[Patient]) -> Template:
    """One template of several references."""
    template = study.template(references[0])
    for reference in references[1:]:
        template = template.merged(study.template(reference))
    return template


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    model = load_model(find_model(args.model), resolve_device(args.device))
    locator = Locator(model, Options(steps=args.steps))
    val = load_patients(args.data, "val")
    queries = val if args.split == "val" else load_patients(args.data, args.split)
    study = Study(locator, queries)
    references = first_references(val, args.references)
    pools = [references[n : n + 5] for n in range(0, len(references) - 4, 5)]
    templates = {r.name: study.template(r) for r in references}
    every_organ = sorted({o for p in queries for o in p.organs})
    single = {n: list(study.rows(t, {n})) for n, t in templates.items()}
    pooled = {
        "+".join(r.name for r in pool): list(
            study.rows(pooled_template(study, pool), {r.name for r in pool})
        )
        for pool in pools
    }
    result: dict[str, Any] = {
        "split": args.split,
        "queries": len(queries),
        "model": model.card.identity,
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "steps": args.steps,
        "one_reference": over_references(single, FOUR_ORGANS),
        "one_reference_all_organs": over_references(single, every_organ),
    }
    if pooled:
        result["five_pooled"] = over_references(pooled, FOUR_ORGANS)
        result["five_pooled_all_organs"] = over_references(pooled, every_organ)
    if args.rows:
        args.rows.write_text(json.dumps({"one": single, "five": pooled}), encoding="utf-8")
    first = templates[references[0].name]
    result["absent_organs"] = absent_organs(study, list(templates.values())[:5])
    result["couch"] = couch_shift(study, first)
    if args.trunk:
        result["raw_scans"] = raw_scans(study, first, args.trunk)
    result["seconds"] = timing(locator, queries, first)
    return result


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="the han folder (val/, test/, splits.json)"
    )
    parser.add_argument(
        "--trunk", type=Path, help="folder of raw trunk CTs: absent organs and surroundings"
    )
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--references", type=int, default=5)
    parser.add_argument("--model", default="han-ct")
    parser.add_argument("--steps", choices=("coarse", "coarse2", "coarse3", "fine"), default="fine")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=Path, help="also write every single measurement here (JSON)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    result = measure(args)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
