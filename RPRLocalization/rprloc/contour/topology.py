"""Thin organs stay in one piece: what a cut at one half tears apart is bridged by lower shares."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..targets.parts import connected_parts

#: A voxel belongs to a contour if at least so much of it does.
SHARE = 0.5
#: Shares that bridge a gap, tried in this order.
BRIDGES = (0.4, 0.3, 0.2, 0.1, 0.02)
#: Parts below this share of the largest one are crumbs of the cut, and not of the organ.
CRUMB = 0.02

Mask = NDArray[np.bool_]


def in_one_piece(share: NDArray[np.float32], parts: int) -> tuple[Mask, int]:
    """The voxels of an organ that had ``parts`` parts on its reference.

    Args:
        share: (k, j, i) how much of each voxel belongs to it.
        parts: of the mask on the reference.

    Returns:
        The mask, and its number of parts: not more than ``parts`` unless no bridge was found.
    """
    mask = without_crumbs(share >= SHARE)
    for bridge in BRIDGES:
        if part_count(mask) <= parts:
            break
        mask = _bridged(mask, share >= bridge)
    return mask, part_count(mask)


def part_count(mask: Mask) -> int:
    """Number of parts; voxels that touch by a corner are of one part."""
    return int(connected_parts(mask).max(initial=0))


def without_crumbs(mask: Mask) -> Mask:
    """The mask without parts of less than ``CRUMB`` of its largest one."""
    labels = connected_parts(mask)
    sizes = np.bincount(labels.ravel())
    if len(sizes) < 3:
        return mask
    sizes[0] = 0
    kept: Mask = (sizes >= CRUMB * sizes.max())[labels]
    return kept


def _bridged(mask: Mask, wider: Mask) -> Mask:
    """The mask, and those parts of the wider one beyond it that touch several of its parts."""
    labels = connected_parts(mask)
    # The widened rims of single parts would touch each other: only what lies close to two counts.
    near = [_grown(labels == n, 3) for n in range(1, labels.max() + 1)]
    between = np.sum(near, axis=0) >= 2
    joint: Mask = mask | (wider & between)
    return joint


def _grown(mask: Mask, voxels: int) -> Mask:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    grown = sitk.BinaryDilate(image, [voxels] * 3, sitk.sitkBox)
    found: Mask = sitk.GetArrayFromImage(grown) > 0
    return found
