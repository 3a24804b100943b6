"""Small synthetic CTs on disk, with labels and markups."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from rprloc.geometry import Geometry
from support.phantoms import body_hu, centres

LABEL_IDS = {"Head": 1, "Spine": 2}


@dataclass(frozen=True)
class Sample:
    """Files of a synthetic reference and query (6 % larger), with labels of head and spine."""

    folder: Path
    reference: Path
    reference_labels: Path
    query: Path
    query_labels: Path
    label_ids: Path
    markups: Path


def phantom_geometry(shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Geometry:
    """A lattice of 6 x 6 x 6 mm around the head and shoulders of the phantom."""
    origin = np.array([-170.0, -110.0, -20.0]) + shift
    return Geometry((58, 38, 52), np.full(3, 6.0), origin, np.eye(3))


def write_image(path: Path, array: npt.NDArray[np.generic], geometry: Geometry) -> Path:
    """Write an array (k, j, i) on its lattice."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing.tolist())
    image.SetOrigin(geometry.origin.tolist())
    image.SetDirection(geometry.direction.reshape(-1).tolist())
    sitk.WriteImage(image, str(path))
    return path


def phantom_hu(geometry: Geometry, scale: float = 1.0) -> npt.NDArray[np.int16]:
    """HU (k, j, i) of the phantom with a little noise."""
    hu = body_hu(centres(geometry), scale=scale)
    return np.asarray(
        np.rint(hu + np.random.default_rng(0).normal(0, 10, hu.shape)), dtype=np.int16
    )


def phantom_labels(geometry: Geometry, scale: float = 1.0) -> npt.NDArray[np.uint8]:
    """Labels (k, j, i) of the phantom: an ellipsoid in the head, and the spine behind the neck."""
    x, y, z = np.moveaxis(centres(geometry) / scale, -1, 0)
    labels = np.zeros(x.shape, dtype=np.uint8)
    labels[(x / 50) ** 2 + (y / 60) ** 2 + ((z - 190) / 45) ** 2 < 1] = LABEL_IDS["Head"]
    labels[(x**2 + (y - 60) ** 2 < 15**2) & (z > 60) & (z < 140)] = LABEL_IDS["Spine"]
    return labels


def write_markups(path: Path) -> Path:
    """Write a Slicer fiducial list with one landmark: the tip of the head (LPS)."""
    point = {"label": "Vertex", "position": [0.0, 0.0, 250.0], "positionStatus": "defined"}
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": [point]}
    schema = (
        "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
        "markups-schema-v1.0.3.json#"
    )
    path.write_text(json.dumps({"@schema": schema, "markups": [markup]}), encoding="utf-8")
    return path
