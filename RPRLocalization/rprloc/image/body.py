"""The patient's body in a CT, without couch, head rest, mask plates and the air around."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from .hounsfield import BODY_HU

BoolArray = npt.NDArray[np.bool_]

#: Thicker than sheets, mask plates and the contact of a head with its rest.
_OPENING_MM = 4.0
#: How far ears, nose and the like, which the opening takes off, reach from the rest.
_REACH_MM = 20.0
#: A piece of at least this share of the largest is body too: the other leg.
_TWIN = 0.5
#: A piece of less than this share of the largest is no slab of body beyond missing slices.
_SLAB = 0.03
#: A slab lies in slices of its own: at most this share of it in those that have a body already.
_SHARED_SLICES = 0.2


def body_mask(
    hu: npt.NDArray[np.floating[Any]], spacing_zyx: tuple[float, float, float]
) -> BoolArray:
    """Return the body, bool (z, y, x), in ``hu`` (z, y, x).

    The axes run along +S, +P, +L; voxels in mm.

    Tissue is what is denser than -350 HU. An opening cuts it loose from sheets and light contacts;
    the largest piece is the body, with pieces half as large beside it (legs) and those in line with
    it in slices that have no body yet (missing slices). From there it grows back up to 20 mm inside
    the tissue (ears, nose, chest wall), is filled slice by slice (lungs and airways that reach the
    ends of the scan) and gets a rim of one voxel for the partial volume of the skin. All False
    without tissue. Made for 3 to 5 mm voxels.
    """
    tissue = np.ascontiguousarray(hu > BODY_HU)
    if not tissue.any():
        return tissue

    opened = _opened(tissue, max(1, round(_OPENING_MM / min(spacing_zyx))))
    core = _main_pieces(opened if opened.any() else tissue)
    body = _filled(_regrown(core, tissue, max(1, round(_REACH_MM / max(spacing_zyx)))))

    rim = _widened(_widened(_widened(body, 0), 1), 2)
    return body | (rim & ~tissue)


def _opened(mask: BoolArray, steps: int) -> BoolArray:
    """Open by ``steps`` rounds of the ball of 19 voxels.

    The end slices go on beyond the scan, so that a cut body stays thick there; the sides of the
    scan do not.
    """
    opened = mask
    for _ in range(steps):
        z, y = _narrowed(opened, 0), _narrowed(opened, 1)
        opened = _narrowed(z, 1) & _narrowed(z, 2) & _narrowed(y, 2)
    for _ in range(steps):
        z, y = _widened(opened, 0), _widened(opened, 1)
        opened = _widened(z, 1) | _widened(z, 2) | _widened(y, 2)
    return opened


def _narrowed(mask: BoolArray, axis: int) -> BoolArray:
    """Keep voxels whose two neighbours along ``axis`` are set.

    Beyond the scan they count as set along z, else not.
    """
    result: BoolArray = mask.copy()
    after, before = _ends(axis)
    result[after] &= mask[before]
    result[before] &= mask[after]

    if axis > 0:
        edge = np.moveaxis(result, axis, 0)
        edge[0] = edge[-1] = False
    return result


def _widened(mask: BoolArray, axis: int) -> BoolArray:
    """Add the two neighbours along ``axis`` of every voxel."""
    result: BoolArray = mask.copy()
    after, before = _ends(axis)
    result[after] |= mask[before]
    result[before] |= mask[after]
    return result


def _ends(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the indices that leave out the first, and the last, layer along ``axis``."""
    every = (slice(None),) * axis
    return (*every, slice(1, None)), (*every, slice(None, -1))


def _main_pieces(mask: BoolArray) -> BoolArray:
    """Keep the largest piece, its twins, and pieces in line with it where slices are missing."""
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(_image(mask))).astype(np.intp)
    depth, count = mask.shape[0], int(labels.max()) + 1
    offsets = np.arange(depth)[:, None, None]
    per_slice = np.bincount(
        (labels * depth + offsets).reshape(-1), minlength=count * depth
    ).reshape(count, depth)

    volumes = per_slice.sum(axis=1)
    volumes[0] = 0

    order = np.argsort(-volumes, kind="stable")
    largest = int(order[0])
    kept: BoolArray = np.asarray(labels == largest)

    covered, sides = per_slice[largest] > 0, _in_plane(kept)

    for label in order[1:]:
        share = volumes[label] / volumes[largest]
        if share < _SLAB:
            break

        # In line with the body and in other slices: the same patient beyond missing slices.
        beside, behind = _off_centre(labels == label, sides)
        elsewhere = per_slice[label][covered].sum() < _SHARED_SLICES * volumes[label]
        if not behind and (share >= _TWIN or (elsewhere and not beside)):
            kept |= labels == label
            covered |= per_slice[label] > 0
    return kept


def _in_plane(mask: BoolArray) -> tuple[int, int, int, int]:
    """Return the first and last row and column that hold a voxel."""
    rows, columns = np.flatnonzero(mask.any(axis=(0, 2))), np.flatnonzero(mask.any(axis=(0, 1)))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def _off_centre(piece: BoolArray, sides: tuple[int, int, int, int]) -> tuple[bool, bool]:
    """Tell whether ``piece`` lies beside ``sides``, and whether in front of or behind them.

    Its centre counts.
    """
    _, rows, columns = np.nonzero(piece)
    beside = not sides[2] <= columns.mean() <= sides[3]
    return beside, not sides[0] <= rows.mean() <= sides[1]


def _regrown(core: BoolArray, tissue: BoolArray, steps: int) -> BoolArray:
    """Dilate ``core`` by ``steps`` face neighbours without leaving ``tissue``."""
    grown = core
    for _ in range(steps):
        grown = (_widened(grown, 0) | _widened(grown, 1) | _widened(grown, 2)) & tissue
    return grown


def _filled(mask: BoolArray) -> BoolArray:
    """Fill the holes of every axial slice; solid slices in between let one 3D fill do them all."""
    slices = np.ones((2 * mask.shape[0] + 1, *mask.shape[1:]), dtype=bool)
    slices[1::2] = mask
    return _array(sitk.BinaryFillhole(_image(slices)))[1::2]


def _image(mask: BoolArray) -> sitk.Image:
    return sitk.GetImageFromArray(mask.view(np.uint8))


def _array(image: sitk.Image) -> BoolArray:
    mask: BoolArray = sitk.GetArrayFromImage(image).view(np.bool_)
    return mask
