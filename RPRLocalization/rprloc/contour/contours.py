"""The contours of one query: every reference's masks carried by its own map, then fused."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..image.resampling import IsotropicVolume
from ..localization.choice import Located
from ..localization.embedding import EmbeddedVolume, synchronize
from ..localization.locator import Locator
from ..localization.result import Result
from ..localization.template import Template
from ..targets.segment_mask import SegmentMask
from .carrying import Window, carried_share, window_around
from .correspondence import (
    MAP_MARGIN_MM,
    Correspondence,
    find_correspondence,
    voted_start,
)
from .displacement import LEAST_JACOBIAN, DisplacementField
from .outlines import Outlines, outlines_of
from .refinement import refined
from .topology import in_one_piece, part_count

#: How far around the place of a mask's points its contour is sought.
WINDOW_MARGIN_MM = 15.0
#: So many references are carried, in the template's order (time), and how strongly the ones whose
#: tissue is more alike count more: e times per so much cosine similarity.
MOST_REFERENCES = 5
LIKENESS_STEP = 0.1


@dataclass(frozen=True, eq=False)
class Contour:
    """One target's contour on a query.

    Attributes:
        target: its name. mask: on the query's lattice, cut to its extent.
        window: where that lies in the query.
        status, radius90_mm: of the target's answer.
        notes: what the user should know of it.
    """

    target: str
    mask: SegmentMask
    window: Window
    status: str
    radius90_mm: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Contours:
    """What was carried to one query.

    Attributes:
        contours: of the targets that are segments and were found.
        fields: query -> reference, by name of the reference.
        notes: of the maps.
        seconds: wall clock.
    """

    contours: list[Contour]
    fields: dict[str, DisplacementField] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def contours_of(located: Located) -> Contours:
    """The contours of a located query: each target's by the model whose answer it has.

    Raises as ``carry_contours``; InputError if no model's template has outlines.
    """
    able = [one for one in located.searched if one.template.outlines]
    if not able:
        outlines_of(located.searched[0].template)
    contours: list[Contour] = []
    fields: dict[str, DisplacementField] = {}
    notes: list[str] = []
    seconds = 0.0
    for one in able:
        own = [r for r in located.results if r.model == one.locator.model.card.name]
        found = carry_contours(one.locator, one.embedding, one.template, own, one.images)
        contours += found.contours
        fields |= {name: field for name, field in found.fields.items() if name not in fields}
        notes += found.notes
        seconds += found.seconds
    order = [r.target for r in located.results]
    contours.sort(key=lambda contour: order.index(contour.target))
    return Contours(contours, fields, tuple(notes), seconds)


@dataclass(frozen=True, eq=False)
class _Carried:
    """One reference on the query; ``places``: (n, 3) LPS mm, where points of its masks lie."""

    outlines: Outlines
    pairs: Correspondence
    places: Mapping[str, Tensor]
    field: DisplacementField


def carry_contours(
    locator: Locator,
    embedding: EmbeddedVolume,
    template: Template,
    results: Sequence[Result],
    images: Mapping[str, IsotropicVolume] | None = None,
) -> Contours:
    """Carry the masks of a template's references to a query.

    Nothing is carried for a target that is ``outside`` or ``failed``.

    Args:
        locator: whose model embedded the query.
        embedding: of the query.
        template: with outlines.
        results: of the same query.
        images: CTs of references that are at hand, by their key: they sharpen the maps.

    Raises:
        InputError: the template has no outlines.
        TemplateError: they are damaged.
    """
    started = time.perf_counter()
    found = {r.target: r for r in results if r.found and r.kind == "box"}
    outlines = [o for o in outlines_of(template) if any(name in found for name in o.masks)]
    carried = _carried_by_all(locator, embedding, template, outlines[:MOST_REFERENCES], found)
    for number, one in enumerate(carried):
        image = (images or {}).get(one.outlines.image)
        if image is not None:
            better = refined(one.field, image, embedding.grids[0])
            carried[number] = replace(one, field=better)
    contours = []
    for name, result in found.items():
        holders = [c for c in carried if name in c.outlines.masks]
        contour = _fused(name, result, holders, embedding) if holders else None
        if contour is not None:
            contours.append(contour)
    notes = tuple(note for c in carried for note in _map_notes(c.outlines.name, c.field))
    fields = {c.outlines.name: c.field for c in carried}
    return Contours(contours, fields, notes, time.perf_counter() - started)


def _carried_by_all(
    locator: Locator,
    embedding: EmbeddedVolume,
    template: Template,
    outlines: Sequence[Outlines],
    found: Mapping[str, Result],
) -> list[_Carried]:
    """Every reference with its map to the query; the fine field is computed once for all."""
    device = embedding.model.device
    maps = {}
    if any(_is_aligned(r) for r in found.values()):
        maps = embedding.alignments.best(template.sketches)
    with torch.inference_mode():
        starts = []
        for one in outlines:
            points = one.points.to(device)
            overlap = maps.get(one.name)
            if overlap is None:
                range_mm = locator.model.coarse.card.range_mm
                start = voted_start(points, embedding.coarse, range_mm, locator.search)
            else:
                matrix, shift = overlap.matrix.to(device), overlap.shift.to(device)
                start = points.position @ matrix.T + shift
            starts.append((one, points, start))
        if not starts:
            return []
        lower, upper = (b.to(device).float() for b in embedding.body_bounds())
        around = torch.cat([s for _, _, s in starts]).maximum(lower).minimum(upper)
        fine = embedding.fine(around, locator.search.matches[0].radius_mm)
        carried = []
        for one, points, start in starts:
            pairs = find_correspondence(points, start, fine, locator.search)
            places = _places(one, pairs, found)
            carried.append(_Carried(one, pairs, places, _map_around(places, pairs)))
    synchronize(device)
    return carried


def _is_aligned(result: Result) -> bool:
    """True if an answer began with an alignment, because the votes were in doubt."""
    return result.features is not None and result.features.get("short", 0.0) > 0.0


def _places(
    outlines: Outlines, pairs: Correspondence, found: Mapping[str, Result]
) -> dict[str, Tensor]:
    """Where the points of the masks lie that were found, all carried at once."""
    parts = {name: p for name, p in outlines.mask_points.items() if name in found}
    there = pairs.onto_query(torch.cat(list(parts.values())).to(pairs.query.device))
    return dict(zip(parts, there.split([len(part) for part in parts.values()]), strict=True))


def _map_around(places: Mapping[str, Tensor], pairs: Correspondence) -> DisplacementField:
    """The dense map around places in the query."""
    every = torch.cat(list(places.values()))
    return pairs.dense_map(every.amin(0) - MAP_MARGIN_MM, every.amax(0) + MAP_MARGIN_MM)


def _fused(
    name: str, result: Result, holders: Sequence[_Carried], embedding: EmbeddedVolume
) -> Contour | None:
    """One target's contour: the mean of all references' shares; None if nothing arrives."""
    places = [one.places[name] for one in holders]
    every = torch.cat(places).cpu().numpy().astype(np.float64)
    window = window_around(
        every.min(0) - WINDOW_MARGIN_MM, every.max(0) + WINDOW_MARGIN_MM, embedding.geometry
    )
    if window is None:
        return None
    weights = _weights([_likeness(c.pairs, p) for c, p in zip(holders, places, strict=True)])
    share = np.zeros(window.geometry.size[::-1], np.float32)
    for one, weight in zip(holders, weights, strict=True):
        share += weight * carried_share(one.outlines.masks[name], one.field, window.geometry)

    parts = min(part_count(one.outlines.masks[name].voxels) for one in holders)
    voxels, pieces = in_one_piece(share, parts)
    if not voxels.any():
        return None
    notes = (f"in {pieces} parts, on the reference in {parts}",) if pieces > parts else ()
    look = holders[0].outlines.masks[name].look
    mask = SegmentMask(voxels, window.geometry, look)
    return Contour(name, mask, window, result.status, result.radius90_mm, notes)


def _likeness(pairs: Correspondence, places: Tensor) -> float:
    """Mean similarity of the control points near a mask."""
    near = torch.cdist(pairs.query, places).amin(1) < WINDOW_MARGIN_MM
    alike = pairs.similarity[near] if bool(near.any()) else pairs.similarity
    return float(alike.mean())


def _weights(likeness: Sequence[float]) -> NDArray[np.float32]:
    """Shares that sum to 1, larger for references that are more alike."""
    raw = np.exp((np.array(likeness) - max(likeness)) / LIKENESS_STEP)
    weights: NDArray[np.float32] = (raw / raw.sum()).astype(np.float32)
    return weights


def _map_notes(name: str, found: DisplacementField) -> tuple[str, ...]:
    """What has to be said of a map."""
    if found.least_jacobian() > LEAST_JACOBIAN:
        return ()
    share = 100 * found.folded_share()
    return (f"the map from {name} folds in {share:.2f} % of its cells: check the contours there",)
