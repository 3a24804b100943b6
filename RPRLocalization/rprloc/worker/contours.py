"""Contours of one query for the client: masks as run lengths, maps as displacements."""

from __future__ import annotations

from typing import Any

from ..contour.contours import Contour, contours_of
from ..errors import RprLocError
from ..localization.choice import Located
from .job import Job


def contours_json(job: Job, query: str, located: Located) -> dict[str, Any]:
    """The field ``contours`` of a query's answer; empty, and said in the log, if there are none.

    Raises CancelledError.
    """
    job.check()
    try:
        found = contours_of(located)
    except RprLocError as error:
        job.log(f"{query}: no contours: {error}", "warning")
        return {}
    for note in found.notes:
        job.log(f"{query}: {note}", "warning")
    for contour in found.contours:
        for note in contour.notes:
            job.log(f"{query}: contour of {contour.target}: {note}", "warning")
    maps = {name: field.to_json() for name, field in found.fields.items()}
    segments = [_segment_json(contour) for contour in found.contours]
    return {"contours": {"segments": segments, "maps": maps}}


def _segment_json(contour: Contour) -> dict[str, Any]:
    return {
        "target": contour.target,
        "status": contour.status,
        "radius90_mm": contour.radius90_mm,
        "mask": contour.mask.to_json(),
    }
