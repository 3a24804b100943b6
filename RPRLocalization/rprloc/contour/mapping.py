"""The dense map between two CTs as a whole, or around some segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..image.volume import Volume
from ..localization.embedding import EmbeddedVolume
from ..localization.example import ReferenceFields
from ..localization.locator import Locator
from ..targets.target import Target
from .control_points import ControlPoints, control_points
from .correspondence import MAP_MARGIN_MM, Correspondence, find_correspondence, voted_start
from .displacement import LEAST_JACOBIAN, DisplacementField
from .outlines import mask_points
from .refinement import refined

#: A map whose points are less alike than this is one of two CTs that show different things.
LEAST_SIMILARITY = 0.3


@dataclass(frozen=True, eq=False)
class VolumeMap:
    """A map and how far it is to be trusted.

    Attributes:
        field: query -> reference.
        points: number of control points.
        similarity: median over them.
        notes: what the user should know.
    """

    field: DisplacementField
    points: int
    similarity: float
    notes: tuple[str, ...]


def map_volumes(
    locator: Locator, reference: Volume, query: Volume, targets: Sequence[Target] = ()
) -> VolumeMap:
    """Map a query to a reference: everywhere, or around the segments among the targets.

    Raises InputError if either shows too little of a body, or the model has no fine network.
    """
    embedded, seen = locator.embed(reference), locator.embed(query)
    with torch.inference_mode():
        fields = ReferenceFields.of(embedded)
    masks = [mask_points(t.mask) for t in targets if t.mask is not None]
    around = torch.cat(masks) if masks else None
    points = control_points(embedded, fields, around).to(locator.model.device)
    pairs = _best_of_both_starts(locator, embedded, seen, points)

    used = pairs.reference if around is None else around.to(pairs.query.device)
    there = pairs.onto_query(used)
    rough = pairs.dense_map(there.amin(0) - MAP_MARGIN_MM, there.amax(0) + MAP_MARGIN_MM)
    field = refined(rough, embedded.grids[0], seen.grids[0])
    similarity = float(pairs.similarity.median())
    notes = (*reference_notes(embedded, seen), *_notes(field, similarity))
    return VolumeMap(field, len(points.position), similarity, notes)


def _best_of_both_starts(
    locator: Locator, embedded: EmbeddedVolume, seen: EmbeddedVolume, points: ControlPoints
) -> Correspondence:
    """Begin with votes, and with an alignment by tissue; the one whose points are more alike."""
    sketch = {embedded.name: embedded.sketch.to_json()}
    overlap = seen.alignments.best(sketch).get(embedded.name)
    range_mm = locator.model.coarse.card.range_mm
    with torch.inference_mode():
        starts = [voted_start(points, seen.coarse, range_mm, locator.search)]
        if overlap is not None:
            matrix, shift = overlap.matrix.to(starts[0]), overlap.shift.to(starts[0])
            starts.append(points.position @ matrix.T + shift)
        lower, upper = (b.to(starts[0]) for b in seen.body_bounds())
        around = torch.cat(starts).maximum(lower).minimum(upper)
        fine = seen.fine(around, locator.search.matches[0].radius_mm)
        found = [find_correspondence(points, start, fine, locator.search) for start in starts]
    best: Correspondence = max(found, key=lambda pairs: float(pairs.similarity.median()))
    return best


def reference_notes(*embeddings: EmbeddedVolume) -> list[str]:
    """What seems wrong with how the patients lie."""
    return [f"{e.name}: {e.orientation_note}" for e in embeddings if e.orientation_note]


def _notes(field: DisplacementField, similarity: float) -> list[str]:
    notes = []
    if similarity < LEAST_SIMILARITY:
        notes.append(
            f"the two CTs are hardly alike (median similarity {similarity:.2f}): they may show "
            "different parts of the body, and the map means little"
        )
    if field.least_jacobian() <= LEAST_JACOBIAN:
        notes.append(f"the map folds in {100 * field.folded_share():.2f} % of its cells")
    return notes
