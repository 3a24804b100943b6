"""Parts of a mask that lie far from the rest: a slip of the brush, an island of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from ..geometry import FloatArray, Geometry

Mask = npt.NDArray[np.bool_]

#: Parts are told apart in a grid of at most so many blocks per axis (time).
_MOST_BLOCKS = 96
#: A part of at least this share of the largest is no slip: the other lung, the other kidney.
_LIKE_SIZE = 0.2
#: A part of less than this share of the mask is left out; a larger one is kept and told of.
_SLIP = 0.01
#: A part nearer than this does little to the box.
_FAR_MM = 20.0


@dataclass(frozen=True)
class _Part:
    """One connected part: its label, voxels, and box in blocks (first, last + 1 along k, j, i)."""

    label: int
    voxels: int
    first: FloatArray
    end: FloatArray


def without_slips(mask: Mask, geometry: Geometry) -> tuple[Mask, tuple[str, ...]]:
    """Leave tiny parts that lie far from the rest out of a mask, and tell of larger ones.

    Args:
        mask: (k, j, i), not empty.
        geometry: its lattice.

    Returns:
        The mask without parts of less than 1 % of its voxels that lie more than 20 mm from the main
        parts, and a note for each kind of part: left out, or kept although it is small and far.
        Parts of like size (two lungs) are both main parts.
    """
    block = [max(1, -(-n // _MOST_BLOCKS)) for n in mask.shape]
    labels = connected_parts(_any_in_block(mask, block))
    parts = _parts(mask, labels, block)
    if len(parts) < 2:
        return mask, ()

    largest = max(part.voxels for part in parts)
    main = [part for part in parts if part.voxels >= _LIKE_SIZE * largest]
    step = np.array(block) * geometry.spacing[::-1]
    far = [(part, _gap(part, main, step)) for part in parts if part not in main]
    far = [(part, gap) for part, gap in far if gap > _FAR_MM]

    total = sum(part.voxels for part in parts)
    slips = [(part, gap) for part, gap in far if part.voxels < _SLIP * total]
    kept = [(part, gap) for part, gap in far if part.voxels >= _SLIP * total]
    notes = []
    if slips:
        mask = mask & ~_where(labels, [part.label for part, _ in slips], block, mask.shape)
        notes.append(_told(slips, "a slip of the brush? Left out"))
    if kept:
        notes.append(_told(kept, "they count" if len(kept) > 1 else "it counts"))
    return mask, tuple(notes)


def _told(parts: list[tuple[_Part, float]], end: str) -> str:
    voxels = sum(part.voxels for part, _ in parts)
    gap = max(gap for _, gap in parts)
    many = f"{len(parts)} parts" if len(parts) > 1 else "a part"
    plural = "voxel" if voxels == 1 else "voxels"
    up_to = "up to " if len(parts) > 1 else ""
    return f"{many} of {voxels} {plural} {up_to}{gap:.0f} mm from the rest ({end})"


def _any_in_block(mask: Mask, block: list[int]) -> Mask:
    """Return which blocks of voxels hold a voxel of the mask."""
    for axis, size in enumerate(block):
        starts = np.arange(0, mask.shape[axis], size)
        mask = np.logical_or.reduceat(mask, starts, axis=axis)
    return mask


def connected_parts(mask: Mask) -> npt.NDArray[np.intp]:
    """Number each part of a mask from 1, 0 outside; voxels that touch by a corner are of one."""
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    connected = sitk.ConnectedComponent(image, True)
    labels: npt.NDArray[np.intp] = sitk.GetArrayFromImage(connected).astype(np.intp)
    return labels


def _parts(mask: Mask, labels: npt.NDArray[np.intp], block: list[int]) -> list[_Part]:
    count = int(labels.max())
    if count < 2:
        return []
    k, j, i = np.nonzero(mask)
    of_voxel = labels[k // block[0], j // block[1], i // block[2]]
    voxels = np.bincount(of_voxel, minlength=count + 1)

    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(sitk.GetImageFromArray(labels.astype(np.uint32)))
    parts = []
    for label in range(1, count + 1):
        box = shape.GetBoundingBox(label)
        first = np.array(box[2::-1], dtype=np.float64)
        parts.append(_Part(label, int(voxels[label]), first, first + np.array(box[:2:-1])))
    return parts


def _gap(part: _Part, others: list[_Part], step: FloatArray) -> float:
    """Return the distance of a part's box from the nearest of the others' boxes, mm."""
    gaps = [
        np.maximum(0.0, np.maximum(other.first - part.end, part.first - other.end)) * step
        for other in others
    ]
    return float(min(np.linalg.norm(gap) for gap in gaps))


def _where(
    labels: npt.NDArray[np.intp], wanted: list[int], block: list[int], shape: tuple[int, ...]
) -> Mask:
    """Return the voxels (k, j, i) of the blocks that have one of the labels."""
    blocks: Mask = np.isin(labels, wanted)
    for axis, size in enumerate(block):
        blocks = np.repeat(blocks, size, axis=axis)
    k, j, i = shape
    return blocks[:k, :j, :i]
