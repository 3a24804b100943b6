"""Contours of one query for the client: masks as run lengths, maps as displacements."""

from __future__ import annotations

from typing import Any

from ..contour.boxes import with_contour_boxes
from ..contour.contours import Contour, contours_of
from ..errors import RprLocError
from ..localization.choice import Located
from ..localization.result import Result
from .job import Job


def contours_json(job: Job, query: str, located: Located) -> tuple[list[Result], dict[str, Any]]:
    """The results with the contours' boxes, and the field ``contours`` of a query's answer.

    It is empty, and the log says why, if nothing can be carried. Raises CancelledError.
    """
    job.check()
    try:
        found = contours_of(located)
    except RprLocError as error:
        job.log(f"{query}: no contours: {error}", "warning")
        return located.results, {}
    for note in found.notes:
        job.log(f"{query}: {note}", "warning")
    for contour in found.contours:
        for note in contour.notes:
            job.log(f"{query}: contour of {contour.target}: {note}", "warning")
    maps = {name: field.to_json() for name, field in found.fields.items()}
    segments = [_segment_json(contour) for contour in found.contours]
    results = with_contour_boxes(located.results, found.contours)
    return results, {"contours": {"segments": segments, "maps": maps}}


def _segment_json(contour: Contour) -> dict[str, Any]:
    return {
        "target": contour.target,
        "status": contour.status,
        "radius90_mm": contour.radius90_mm,
        "mask": contour.mask.to_json(),
    }
