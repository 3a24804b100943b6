"""Contours as files: a segmentation of Slicer (.seg.nrrd), or a label map and its names."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import OutputError
from ..files import atomic_write_bytes, atomic_write_text, output_errors, remove_file
from ..geometry import Geometry
from ..targets.segment_mask import occupied
from .contours import Contour

Format = Literal["seg.nrrd", "nii.gz"]
FORMATS: tuple[Format, ...] = ("seg.nrrd", "nii.gz")
STEM = "contours"
#: Labels of one layer, which are bytes.
MOST_LABELS = 255
#: Colours of segments whose reference had none: Okabe and Ito's palette.
COLORS = (
    *((0.90, 0.62, 0.00), (0.34, 0.71, 0.91), (0.00, 0.62, 0.45), (0.94, 0.89, 0.26)),
    *((0.00, 0.45, 0.70), (0.84, 0.37, 0.00), (0.80, 0.47, 0.65)),
)

Labels = NDArray[np.uint8]


def write_contours(
    folder: Path, contours: Sequence[Contour], geometry: Geometry, kind: Format
) -> Path | None:
    """Write the contours of one query into its folder; without any, an older file is removed.

    Returns:
        The file; None if there is nothing to write.

    Raises:
        OutputError: it cannot be written.
    """
    for other in FORMATS:
        remove_file(folder / f"{STEM}.{other}")
    remove_file(folder / f"{STEM}.json")
    if not contours:
        return None
    if len(contours) > MOST_LABELS:
        raise OutputError(f"{folder}: more than {MOST_LABELS} contours do not fit into one file")
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{STEM}.{kind}"
    layers, places = packed(contours, geometry)
    if kind == "seg.nrrd":
        atomic_write_bytes(path, segmentation_bytes(contours, layers, places, geometry))
        return path
    _write_label_map(path, _flat(contours, geometry), geometry)
    names = {one.target: number for number, one in enumerate(contours, start=1)}
    atomic_write_text(folder / f"{STEM}.json", json.dumps(names, indent=1) + "\n")
    return path


def packed(
    contours: Sequence[Contour], geometry: Geometry
) -> tuple[list[Labels], list[tuple[int, int]]]:
    """Layers (k, j, i) in which no two contours share a voxel, and layer and label of each."""
    layers: list[Labels] = []
    places = []
    for number, one in enumerate(contours, start=1):
        where, inside = one.window.slices, one.mask.voxels
        free = (n for n, layer in enumerate(layers) if not layer[where][inside].any())
        layer = next(free, len(layers))
        if layer == len(layers):
            layers.append(np.zeros(geometry.size[::-1], np.uint8))
        layers[layer][where][inside] = number
        places.append((layer, number))
    return layers, places


def _flat(contours: Sequence[Contour], geometry: Geometry) -> Labels:
    """One label map: where contours overlap, the smaller one is kept."""
    labels = np.zeros(geometry.size[::-1], np.uint8)
    order = sorted(range(len(contours)), key=lambda n: -int(contours[n].mask.voxels.sum()))
    for n in order:
        labels[contours[n].window.slices][contours[n].mask.voxels] = n + 1
    return labels


def _write_label_map(path: Path, labels: Labels, geometry: Geometry) -> None:
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(geometry.spacing.tolist())
    image.SetOrigin(geometry.origin.tolist())
    image.SetDirection(geometry.direction.ravel().tolist())
    temporary = path.with_name(f".{path.name}.tmp.nii.gz")
    with output_errors(path):
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
            temporary.replace(path)
        except RuntimeError as error:
            raise OutputError(f"{path}: the label map cannot be written") from error
        finally:
            temporary.unlink(missing_ok=True)


def segmentation_bytes(
    contours: Sequence[Contour],
    layers: Sequence[Labels],
    places: Sequence[tuple[int, int]],
    geometry: Geometry,
) -> bytes:
    """The content of a .seg.nrrd file."""
    several = len(layers) > 1
    axes = [_vector(geometry.direction[:, n] * geometry.spacing[n]) for n in range(3)]
    sizes = [*([len(layers)] if several else []), *geometry.size]
    lines = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {len(sizes)}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join([*['none'] * several, *axes])}",
        f"kinds: {' '.join([*['list'] * several, *['domain'] * 3])}",
        "encoding: gzip",
        f"space origin: {_vector(geometry.origin)}",
        *(line for n, one in enumerate(contours) for line in _segment(n, one, places[n])),
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    # NRRD's fastest axis comes first: the layers of a voxel lie side by side.
    voxels = np.stack(layers, -1) if several else layers[0]
    return "\n".join([*lines, "", ""]).encode() + gzip.compress(voxels.tobytes(), 6)


def _segment(number: int, contour: Contour, place: tuple[int, int]) -> list[str]:
    """The fields of one segment: as on the reference, and what the answer says."""
    color = " ".join(map(str, COLORS[number % len(COLORS)]))
    extent = [n for low, high in occupied_extent(contour) for n in (low, high)]
    told = [f"RPRLoc.Status:{contour.status}"]
    if contour.radius90_mm is not None:
        told.append(f"RPRLoc.Radius90mm:{contour.radius90_mm:.1f}")
    tags = [tag for tag in contour.mask.look.get("Tags", "").split("|") if tag]
    fields = {
        "Color": color,
        "ColorAutoGenerated": "0",
        **contour.mask.look,
        "ID": f"Segment_{number + 1}",
        "Name": contour.target,
        "NameAutoGenerated": "0",
        "Extent": " ".join(map(str, extent)),
        "LabelValue": str(place[1]),
        "Layer": str(place[0]),
        "Tags": "".join(f"{tag}|" for tag in [*tags, *told]),
    }
    return [f"Segment{number}_{key}:={' '.join(value.split())}" for key, value in fields.items()]


def occupied_extent(contour: Contour) -> list[tuple[int, int]]:
    """First and last voxel along i, j, k of the query that a contour takes."""
    ranges = occupied(contour.mask.voxels)[::-1]
    pairs = zip(contour.window.first, ranges, strict=True)
    return [(first + low, first + high) for first, (low, high) in pairs]


def _vector(values: NDArray[np.float64]) -> str:
    return f"({','.join(repr(float(v)) for v in values)})"
