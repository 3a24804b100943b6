"""Measures of agreement between a located and a true position.

Overlap, wall distance, landmark distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import Box, Frame, Points


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1 (boxes may be in different frames).

    Boxes that only touch score 0, and so do two boxes without volume.
    """
    p, q = a.to(Frame.LPS), b.to(Frame.LPS)
    shared = np.minimum(p.upper, q.upper) - np.maximum(p.lower, q.lower)

    overlap = float(np.prod(np.clip(shared, 0.0, None)))
    union = float(np.prod(p.upper - p.lower)) + float(np.prod(q.upper - q.lower)) - overlap
    return overlap / union if union > 0.0 else 0.0


def wall_distance(a: Box, b: Box) -> float:
    """Absolute wall distance (AWD) of two boxes.

    Mean over the six walls of ``|difference|``, in mm.
    """
    p, q = a.to(Frame.LPS), b.to(Frame.LPS)

    walls = np.concatenate([p.lower - q.lower, p.upper - q.upper])
    return float(np.abs(walls).mean())


def landmark_error(a: Points, b: Points) -> NDArray[np.float64]:
    """Return the Euclidean distance in mm of each point of ``a`` to that of ``b`` in its row: (n,).

    Raises InputError if the two differ in length.
    """
    if len(a) != len(b):
        raise InputError(
            f"cannot compare {len(a)} points with {len(b)}: give the same number of each"
        )

    difference = a.to(Frame.LPS).xyz - b.to(Frame.LPS).xyz
    return np.asarray(np.linalg.norm(difference, axis=1), dtype=np.float64)
