"""The box of a carried contour, which is nearer to the truth than the box of the search.

On val (2 references, 6 patients, 70 organs) 60.4 against 58.2 % IoU; the mean of both gives 59.9 %.
Brain stem, spinal cord and mandible gain, the left parotid and the oesophagus lose 3 points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..localization.result import Result
from ..targets.target import target_from_mask
from .contours import Contour


def with_contour_boxes(results: Sequence[Result], contours: Sequence[Contour]) -> list[Result]:
    """The results, those that have a contour with its box and extreme points."""
    carried = {contour.target: contour for contour in contours}
    return [_refined(r, carried[r.target]) if r.target in carried else r for r in results]


def _refined(result: Result, contour: Contour) -> Result:
    target = target_from_mask(contour.target, contour.mask.voxels, contour.mask.geometry)
    assert target.box is not None
    return replace(result, center=target.box.center, size=target.box.size, points=target.points)
