"""DICOM segmentations (SEG) and RT structures as targets: the command line's way in.

Inside Slicer its own importers read them. Both need pydicom (extra ``dicom``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..formats.dicom_files import RT_STRUCTURES, SEGMENTATION
from ..formats.dicom_multiframe import first
from ..formats.dicom_slices import Slice, stacked
from ..formats.discovery import is_dicom_file, sop_class_of
from ..formats.pydicom_reading import read_dataset, stored_pixels
from ..geometry import FloatArray, Geometry, Points
from .labelmap import LabelMap
from .markups import PointMark, clean_name, unique

#: Contours are filled on a lattice of this spacing; walls are drawn to about a millimetre.
_PIXEL_MM = 1.0
#: Contours whose planes are nearer than this lie in one.
_SAME_PLANE_MM = 0.01
#: A volume of contours larger than this is damaged.
_MOST_VOXELS = 400_000_000
_HALF = 0.5

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class DicomTargets:
    """What a SEG or RTSTRUCT marks.

    Attributes:
        labels: one layer per segment; None if there are only points.
        points: its point contours, as landmarks.
        left_out: structures that cannot be targets, in words for the user.
    """

    labels: LabelMap | None
    points: tuple[PointMark, ...] = ()
    left_out: str = ""


def is_dicom_target(path: Path) -> bool:
    """Tell a DICOM segmentation or RT structure set by its SOP class."""
    return (
        path.is_file()
        and is_dicom_file(path)
        and sop_class_of(path) in (SEGMENTATION, RT_STRUCTURES)
    )


def read_dicom_targets(path: Path) -> DicomTargets:
    """Read a SEG or RTSTRUCT.

    Raises InputError, whose text begins with the path, if pydicom is missing, or the file is
    damaged or marks nothing.
    """
    is_segmentation = sop_class_of(path) == SEGMENTATION
    what = "a DICOM segmentation" if is_segmentation else "a file of DICOM RT structures"
    try:
        data = read_dataset(path, what)
        return _segmentation(data, path) if is_segmentation else _structures(data, path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (AttributeError, TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise InputError(f"{path}: {what} that is damaged or incomplete ({error})") from error


def _segmentation(data: Any, path: Path) -> DicomTargets:
    """Segments as layers on the lattice of their frames."""
    shared = first(data, "SharedFunctionalGroupsSequence")
    frames = list(data.PerFrameFunctionalGroupsSequence)
    places = [_slice_of(frame, shared, data) for frame in frames]
    segments = [
        int(_of_frame(f, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber)
        for f in frames
    ]
    geometry, rows = _lattice(places, _thickness(shared, frames))

    pixels = stored_pixels(data, len(frames))
    most = float(getattr(data, "MaximumFractionalValue", 1) or 1)
    layers: dict[int, Mask] = {}
    for number, row, plane in zip(segments, rows, pixels, strict=True):
        if number not in layers:
            layers[number] = np.zeros(geometry.size[::-1], dtype=bool)
        layers[number][row] |= plane > _HALF * most
    titles = {int(s.SegmentNumber): str(s.SegmentLabel) for s in data.SegmentSequence}
    names = [titles.get(number, f"Segment_{number}") for number in layers]
    return DicomTargets(_layered(names, list(layers.values()), geometry, path))


def _of_frame(frame: Any, shared: Any, name: str) -> Any:
    """The item of a functional group, of the frame's own or the shared ones."""
    found = first(frame, name) or first(shared, name)
    if found is None:
        raise InputError(f"its frames have no {name}")
    return found


def _slice_of(frame: Any, shared: Any, data: Any) -> Slice:
    position = _of_frame(frame, shared, "PlanePositionSequence").ImagePositionPatient
    axes = _of_frame(frame, shared, "PlaneOrientationSequence").ImageOrientationPatient
    spacing = _of_frame(frame, shared, "PixelMeasuresSequence").PixelSpacing
    return Slice(
        tuple(float(n) for n in position),
        tuple(float(n) for n in axes),
        tuple(float(n) for n in spacing),
        (int(data.Rows), int(data.Columns)),
    )


def _thickness(shared: Any, frames: Sequence[Any]) -> float:
    measures = _of_frame(frames[0], shared, "PixelMeasuresSequence")
    step = getattr(measures, "SpacingBetweenSlices", None) or measures.SliceThickness
    return float(step)


def _lattice(places: Sequence[Slice], step: float) -> tuple[Geometry, list[int]]:
    """The lattice that holds all frames, and the slice of each; empty slices have no frame."""
    axes = np.array(places[0].axes)
    normal = np.cross(axes[:3], axes[3:])
    along = np.array([place.position for place in places]) @ normal
    if not np.isfinite(along).all() or not step > 0:
        raise InputError("its frames do not say where they lie")
    rows = np.rint((along - along.min()) / step).astype(int)
    if np.abs(along - along.min() - rows * step).max() > 0.1 * step:
        raise InputError("its frames are unevenly spaced")
    if rows.max() * places[0].shape[0] * places[0].shape[1] > _MOST_VOXELS:
        raise InputError("its frames lie too far apart: damaged")

    lowest = int(along.argmin())
    ends = [places[lowest]]
    shift = normal * step * max(1, int(rows.max()))
    position = tuple(np.array(places[lowest].position) + shift)
    ends.append(Slice(position, *(places[0].axes, places[0].spacing, places[0].shape)))
    two = stacked(ends).geometry
    size = (two.size[0], two.size[1], max(2, int(rows.max()) + 1))
    spacing = np.array([*two.spacing[:2], step])
    return Geometry(size, spacing, two.origin, two.direction), [int(row) for row in rows]


def _structures(data: Any, path: Path) -> DicomTargets:
    """Contours filled by the even-odd rule, and point contours."""
    titles = {int(r.ROINumber): str(r.ROIName) for r in data.StructureSetROISequence}
    contours: dict[str, list[FloatArray]] = {}
    points: list[PointMark] = []
    empty: list[str] = []
    for roi in getattr(data, "ROIContourSequence", []):
        name = clean_name(titles.get(int(roi.ReferencedROINumber), "")) or "structure"
        closed, single = _contours_of(roi)
        if closed:
            contours.setdefault(name, []).extend(closed)
        elif single:
            points += [PointMark(name, Points(xyz)) for xyz in single]
        else:
            empty.append(name)
    left_out = f"{', '.join(empty)} (without closed contours)" if empty else ""
    if not contours:
        return DicomTargets(None, tuple(points), left_out)

    geometry = _contour_lattice([c for listed in contours.values() for c in listed])
    masks = [_filled(listed, geometry) for listed in contours.values()]
    labels = _layered(list(contours), masks, geometry, path)
    return DicomTargets(labels, tuple(points), left_out)


def _contours_of(roi: Any) -> tuple[list[FloatArray], list[FloatArray]]:
    """The closed contours (n, 3), and the points (1, 3), of a structure, LPS mm."""
    closed, single = [], []
    for contour in getattr(roi, "ContourSequence", []):
        xyz = np.array([float(n) for n in contour.ContourData]).reshape(-1, 3)
        if not np.isfinite(xyz).all() or np.abs(xyz).max() > 1e6:
            raise InputError("its contours are not in mm, or damaged")
        kind = str(getattr(contour, "ContourGeometricType", "CLOSED_PLANAR"))
        if kind == "POINT":
            single.append(xyz[:1])
        elif kind.startswith("CLOSED") and len(xyz) >= 3:
            if np.ptp(xyz[:, 2]) > _SAME_PLANE_MM * 100:
                raise InputError("its contours do not lie in axial planes")
            closed.append(xyz)
    return closed, single


def _contour_lattice(contours: Sequence[FloatArray]) -> Geometry:
    """A lattice around all contours: about 1 mm in plane, the planes of the contours along z."""
    every = np.concatenate(contours)
    planes = np.unique(np.round([c[:, 2].mean() for c in contours], 3))
    gaps = np.diff(planes)
    gaps = gaps[gaps > _SAME_PLANE_MM]
    step = float(np.median(gaps)) if len(gaps) else 3.0
    lower, upper = every.min(axis=0), every.max(axis=0)
    size = np.ceil((upper - lower) / np.array([_PIXEL_MM, _PIXEL_MM, step])).astype(int) + 3
    if np.prod(size.astype(float)) > _MOST_VOXELS:
        raise InputError("its contours lie too far apart: damaged, or not in mm")
    origin = np.array([lower[0] - _PIXEL_MM, lower[1] - _PIXEL_MM, planes[0] - step])
    i, j, k = (int(n) for n in size)
    return Geometry((i, j, k), np.array([_PIXEL_MM, _PIXEL_MM, step]), origin, np.eye(3))


def _filled(contours: Sequence[FloatArray], geometry: Geometry) -> Mask:
    """Fill closed contours by the even-odd rule: a contour inside another is a hole."""
    planes: dict[float, list[FloatArray]] = {}
    for contour in contours:
        planes.setdefault(round(float(contour[:, 2].mean()), 2), []).append(contour)

    mask = np.zeros(geometry.size[::-1], dtype=bool)
    for inside in planes.values():
        plane = np.zeros((geometry.size[1], geometry.size[0]), dtype=bool)
        for contour in inside:
            index = geometry.lps_to_index(Points(contour))
            plane ^= _inside(index[:, :2], plane.shape)
        mask[int(np.clip(np.rint(index[:, 2].mean()), 0, geometry.size[2] - 1))] |= plane
    return mask


def _inside(polygon: FloatArray, shape: tuple[int, int]) -> Mask:
    """Return which pixels (rows, columns) have their centre inside a polygon (n, 2) of i, j."""
    crossings = np.zeros(shape, dtype=bool)
    columns = np.arange(shape[1])
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        low, high = sorted((y0, y1))
        rows = np.arange(max(0, int(np.ceil(low))), min(shape[0], int(np.ceil(high))))
        at = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
        crossings[rows] ^= columns[None] > at[:, None]
    return crossings


def _layered(
    names: Sequence[str], masks: Sequence[Mask], geometry: Geometry, path: Path
) -> LabelMap:
    """One layer per segment, as they may overlap."""
    titles = unique([clean_name(name) or "segment" for name in names])
    layers = tuple(mask.astype(np.uint8) for mask in masks)
    if not layers:
        raise InputError("it has no segment")
    return LabelMap(
        *(layers[0], geometry, dict.fromkeys(titles, 1), layers),
        {title: number for number, title in enumerate(titles)},
        path.stem,
    )
