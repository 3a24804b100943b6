"""How time and memory of our method grow with the targets, the size and the number of CTs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import SimpleITK as sitk

from rprloc.geometry import Geometry, Points
from rprloc.image.hounsfield import AIR_HU
from rprloc.image.volume import Volume, read_volume
from rprloc.localization.example import tissue_points
from rprloc.localization.locator import Locator, Options
from rprloc.localization.template import Template
from rprloc.targets.target import target_from_point

from ..core.method import Context
from ..core.store import Row
from ..core.subprocesses import ask
from ..methods.ours import model_of
from ..methods.registration import image_of
from .measurement import Measurement
from .speed import peak_mb

TARGETS = (1, 2, 5, 10, 20, 50, 100, 200)
EDGES = (64, 128, 192, 256, 384, 512)
QUERIES = (1, 2, 5, 10, 20, 50, 100)
EXTENT_MM = 2.0
REPEATS = 3


class Cost(Measurement):
    """Units are points of the curves, each measured in a process of its own.

    In a quick run they are measured in this one, where all is loaded already.

    targets: n landmarks in one CT. spacing: the same patient in n x n x n voxels, so finer and
    finer. extent: n x n x n voxels of 2 mm, all of it tissue (the patient mirrored again and
    again): up to a metre wide, more than a scanner shows. queries: n CTs one after the other, read
    from disk.
    """

    name = "cost"
    title = "Cost as work grows"

    def __init__(self, context: Context, reference: str, queries: Sequence[str]) -> None:
        super().__init__(context, reference, queries)
        self.series = {"targets": TARGETS, "spacing": EDGES, "extent": EDGES, "queries": QUERIES}
        if context.quick:
            self.series = {"targets": (2,), "spacing": (64,), "extent": (64,), "queries": (2,)}

    def units(self) -> Sequence[str]:
        """Series and amount of work: "targets-20"."""
        return [f"{series}-{n}" for series, values in self.series.items() for n in values]

    def run(self, unit: str) -> list[Row]:
        """Measure one amount of work."""
        series, n = unit.rsplit("-", 1)
        request: dict[str, Any] = {
            "series": series,
            "n": int(n),
            "reference": self.reference,
            "queries": self.queries,
        }

        measured = (
            measure_cost(self.context, **request)
            if self.context.quick
            else ask(self.context, "cost", request)
        )
        return [{"series": series, "n": int(n), **measured}]


def measure_cost(
    context: Context, series: str, n: int, reference: str, queries: Sequence[str]
) -> Row:
    """One point of a curve, measured in this process.

    Median seconds after a first run, peak memory in MB.
    """
    locator = Locator(model_of(context), Options())
    template = make_template(locator, context, reference, n if series == "targets" else 0)
    if series == "queries":
        return many_queries(locator, template, context, queries, n)
    volume = context.cohort.patient(queries[0]).volume
    if series == "spacing":
        volume = finer(volume, n)
    if series == "extent":
        volume = wider(volume, n)
    return repeated(locator, template, volume)


def make_template(locator: Locator, context: Context, reference: str, landmarks: int) -> Template:
    """Template of the four organs, or of so many landmarks spread over the reference's tissue."""
    patient = context.cohort.patient(reference)
    embedding = locator.embed(patient.volume)
    if not landmarks:
        return locator.make_template(embedding, list(patient.organs.values()))
    bounds = patient.volume.geometry.bounds()
    points = tissue_points(
        embedding.grids[-1], np.stack([bounds.lower, bounds.upper]), 0.0, landmarks
    )
    targets = [
        target_from_point(f"landmark {n}", Points(point[None])) for n, point in enumerate(points)
    ]
    return locator.make_template(embedding, targets)


def repeated(locator: Locator, template: Template, volume: Volume) -> Row:
    """The median run after a first one that does not count."""
    runs: list[dict[str, float]] = []
    for _ in range(1 + REPEATS):
        started = time.perf_counter()
        embedding = locator.embed(volume)
        locator.locate(embedding, template)
        runs.append({"seconds": time.perf_counter() - started, **embedding.seconds})
    runs = sorted(runs[1:], key=lambda run: run["seconds"])
    return {**runs[len(runs) // 2], "targets": len(template.targets), "peak_mb": peak_mb()}


def many_queries(
    locator: Locator, template: Template, context: Context, queries: Sequence[str], n: int
) -> Row:
    """N queries in a row (the cases again and again), reading included."""
    cohort = context.cohort
    started = time.perf_counter()
    for number in range(n):
        name = queries[number % len(queries)]
        volume = read_volume(cohort.folder / cohort.split_of(name) / f"{name}.nii.gz")
        locator.locate(locator.embed(replace(volume, name=f"{name}-{number}")), template)
    return {
        "seconds": time.perf_counter() - started,
        "targets": len(template.targets),
        "peak_mb": peak_mb(),
    }


def finer(volume: Volume, edge: int) -> Volume:
    """The same patient in ``edge`` voxels along every axis (linear), whatever their size."""
    old = volume.geometry
    spacing = old.spacing * np.array(old.size) / edge
    shift = old.direction @ ((spacing - old.spacing) / 2)
    geometry = Geometry((edge, edge, edge), spacing, old.origin + shift, old.direction)
    resampled = sitk.Resample(
        image_of(volume.array, old),
        [edge] * 3,
        sitk.Transform(),
        sitk.sitkLinear,
        geometry.origin.tolist(),
        geometry.spacing.tolist(),
        geometry.direction.ravel().tolist(),
        float(AIR_HU),
    )
    return Volume(sitk.GetArrayFromImage(resampled), geometry, f"{volume.name}-{edge}")


def wider(volume: Volume, edge: int) -> Volume:
    """``edge`` voxels of 2 mm along every axis, filled with the patient's middle, mirrored."""
    fine = finer(volume, max(volume.geometry.size))
    step = np.maximum(1, np.rint(EXTENT_MM / fine.geometry.spacing[::-1])).astype(int)
    core = fine.array[:: step[0], :: step[1], :: step[2]]
    body = np.argwhere(core > -300)
    lower, upper = np.percentile(body, [15, 85], axis=0).astype(int)
    core = core[lower[0] : upper[0], lower[1] : upper[1], lower[2] : upper[2]]
    pad = [(0, max(0, edge - n)) for n in core.shape]
    array = np.ascontiguousarray(np.pad(core, pad, mode="symmetric")[:edge, :edge, :edge])

    return Volume(
        array,
        Geometry((edge, edge, edge), np.full(3, EXTENT_MM), np.zeros(3), np.eye(3)),
        f"wide-{edge}",
    )
