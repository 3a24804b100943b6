"""Queries that end close to a target: what the end of a scan does to the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rprloc.errors import RprLocError
from rprloc.geometry import Geometry
from rprloc.image.volume import Volume
from rprloc.targets.target import Target

from .cases import Case
from .measuring import Row, row_of
from .methods import Ours

#: From the target's end to the end of the scan, mm.
DISTANCES_MM = (0.0, 20.0, 60.0)
#: What is left of a scan is no scan any more.
LEAST_MM = 100.0
#: So many targets of a query are cut at, the same for every reference.
TARGETS = 2
#: With so many references, the first ones that show them.
REFERENCES = 2


def cut_rows(method: Ours, references: Sequence[Case], query: Case) -> list[Row]:
    """Targets of a query close to an end, above or below, that is moved towards them."""
    volume = query.read()
    learned = [
        (r, method.template_of(r))
        for r in references
        if r.name != query.name and set(r.targets) & set(query.targets)
    ]
    rows: list[Row] = []
    for name, distance, part in _cut_scans(volume, query):
        encoded = method.encode(part)
        for reference, template in [e for e in learned if name in e[0].targets][:REFERENCES]:
            try:
                found = method.find(template, encoded, [name])[name]
            except RprLocError:
                continue
            rows.append(row_of(reference, query, name, found, distance))
    return rows


def _cut_scans(volume: Volume, query: Case) -> Iterator[tuple[str, float, Volume]]:
    """Target, distance and the scan that ends so far beyond it."""
    names = sorted(query.targets)
    chosen = np.random.default_rng(len(names)).permutation(len(names))[:TARGETS]
    for number, index in enumerate(chosen):
        target = query.targets[names[index]]
        for distance in DISTANCES_MM:
            part = cut_beyond(volume, target, distance, above=number % 2 == 0)
            if part is not None:
                yield names[index], distance, part


def cut_beyond(volume: Volume, target: Target, distance_mm: float, above: bool) -> Volume | None:
    """The scan without what lies more than ``distance_mm`` above (or below) the target.

    Only of volumes whose slices are axial; None where too little is left, or nothing is cut.
    """
    geometry = volume.geometry
    z = target.points.xyz[:, 2]
    spacing, start = float(geometry.spacing[2]), float(geometry.origin[2])
    count = volume.array.shape[0]
    end = (z.max() + distance_mm - start) if above else (z.min() - distance_mm - start)
    first = 0 if above else max(0, int(np.ceil(end / spacing)))
    last = min(count - 1, int(np.floor(end / spacing))) if above else count - 1
    if (last - first + 1) * spacing < LEAST_MM or (first, last) == (0, count - 1):
        return None
    origin = geometry.origin + geometry.direction[:, 2] * spacing * first
    size = (int(geometry.size[0]), int(geometry.size[1]), last - first + 1)
    kept = Geometry(size, geometry.spacing, origin, geometry.direction)
    return replace(volume, array=volume.array[first : last + 1], geometry=kept)
