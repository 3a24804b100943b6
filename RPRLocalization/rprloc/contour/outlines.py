"""What contours need of a reference: its control points and its masks, as data without an image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, TemplateError
from ..image.resampling import IsotropicVolume
from ..localization.embedding import EmbeddedVolume
from ..localization.example import ReferenceFields
from ..localization.template import Template
from ..targets.extreme_points import spread_over
from ..targets.segment_mask import SegmentMask
from ..targets.target import Target
from .control_points import ControlPoints, control_points

#: Points that stand for a mask: where it lies in a query, and how well it is found there.
MASK_POINTS = 200


@dataclass(frozen=True, eq=False)
class Outlines:
    """One reference.

    Attributes:
        name: of the reference.
        points: its control points.
        masks: by name of the target.
        image: key of its CT (``image_key``), by which it is known again where it is at hand.
    """

    name: str
    points: ControlPoints
    masks: Mapping[str, SegmentMask]
    image: str = ""

    @cached_property
    def mask_points(self) -> dict[str, Tensor]:
        """``mask_points`` of every mask."""
        return {name: mask_points(mask) for name, mask in self.masks.items()}

    def to_json(self) -> dict[str, Any]:
        """JSON object, kept in a template under the reference's name."""
        return {
            "points": self.points.to_json(),
            "masks": {name: mask.to_json() for name, mask in self.masks.items()},
            "image": self.image,
        }

    @classmethod
    def from_json(cls, name: str, data: Any) -> Outlines:
        """Inverse of ``to_json``; raises TemplateError for anything else."""
        try:
            masks = {str(n): SegmentMask.from_json(m) for n, m in data["masks"].items()}
            points = ControlPoints.from_json(data["points"])
            return cls(name, points, masks, str(data.get("image", "")))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise TemplateError(f"the template's contours are damaged ({error})") from error


def make_outlines(
    embedding: EmbeddedVolume, fields: ReferenceFields, targets: Sequence[Target]
) -> Outlines | None:
    """The outlines of the targets that are segments; None if there are none.

    Raises InputError if the model has no fine network.
    """
    masks = {t.name: t.mask for t in targets if t.mask is not None}
    if not masks:
        return None
    around = torch.cat([mask_points(mask) for mask in masks.values()])
    points = control_points(embedding, fields, around)
    return Outlines(embedding.name, points, masks, image_key(embedding.grids[0]))


def image_key(grid: IsotropicVolume) -> str:
    """A digest of a CT as the coarse network sees it."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(np.asarray([*grid.origin, grid.spacing], dtype="<f8").tobytes())
    digest.update(np.ascontiguousarray(grid.hu, dtype="<f4").tobytes())
    return digest.hexdigest()


def mask_points(mask: SegmentMask) -> Tensor:
    """Well-spread points of a mask, (n, 3) LPS mm."""
    points = spread_over(mask.voxels, mask.geometry, MASK_POINTS).xyz
    return torch.as_tensor(np.array(points), dtype=torch.float32)


def outlines_of(template: Template) -> list[Outlines]:
    """All outlines of a template.

    Raises InputError if it has none, TemplateError if they are damaged.
    """
    if not template.outlines:
        raise InputError(
            "no contour can be carried: no target is a segment (a label map or segmentation), or "
            "the template was made without masks (make it again with --contours)"
        )
    return [_read(name, _Same(data)) for name, data in template.outlines.items()]


class _Same:
    """Equal to itself alone, unlike the JSON object that it holds."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.held is self.held

    def __hash__(self) -> int:
        return id(self.held)


@lru_cache(maxsize=8)
def _read(name: str, data: _Same) -> Outlines:
    """One reference's outlines: a template meets many queries, and is read once for all."""
    return Outlines.from_json(name, data.held)
