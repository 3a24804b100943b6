"""Fixtures of the unit tests: small synthetic CTs on disk, and a model with random weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
import torch
from phantoms import body_hu, centres

from rprloc.card import CARD_NAME, ModelCard, StageCard
from rprloc.geometry import Geometry
from rprloc.models import file_sha256
from rprloc.pnet import Pnet, PnetConfig, fold_batch_norm

COARSE_NET = PnetConfig(stem=4, stages=((4, 1), (8, 1)), head=8)
FINE_NET = PnetConfig(stem=4, stages=((4, 1), (8, 1)), decoder=(8,), head=8, descriptor=8)
LABEL_IDS = {"Head": 1, "Spine": 2}


@dataclass(frozen=True)
class Sample:
    """Files of a synthetic reference and query (the same body, 6 % larger), with labels of head and spine."""

    folder: Path
    reference: Path
    reference_labels: Path
    query: Path
    query_labels: Path
    label_ids: Path
    markups: Path


def export_random_stage(folder: Path, name: str, net: PnetConfig, spacing: float, range_mm: float) -> StageCard:
    """Write a TorchScript network with random weights (fixed seed) and return its card."""
    torch.manual_seed(7)
    folded = fold_batch_norm(Pnet(net).eval())
    torch.jit.script(folded).save(str(folder / f"{name}.pt"))
    return StageCard(f"{name}.pt", file_sha256(folder / f"{name}.pt"), spacing, range_mm, net, {"steps": 0})


def export_random_model(folder: Path, name: str) -> Path:
    """Write a coarse and a fine network with random weights and their card."""
    folder.mkdir(parents=True)
    coarse = export_random_stage(folder, "coarse", COARSE_NET, 8.0, 500.0)
    fine = export_random_stage(folder, "fine", FINE_NET, 6.0, 150.0)
    card = ModelCard(name, "0.0.1", "phantom", coarse, fine, {"source": "random weights", "licence": "none"})
    (folder / CARD_NAME).write_text(json.dumps(card.to_json()), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model pair with random weights. Do not change its files."""
    return export_random_model(tmp_path_factory.mktemp("models") / "tiny", "tiny")


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
    return np.asarray(np.rint(hu + np.random.default_rng(0).normal(0, 10, hu.shape)), dtype=np.int16)


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


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A synthetic reference and query with their labels. Do not change its files."""
    folder = tmp_path_factory.mktemp("sample")
    here, there = phantom_geometry(), phantom_geometry((4.0, -5.0, -12.0))
    ids = folder / "ids.json"
    ids.write_text(json.dumps(LABEL_IDS), encoding="utf-8")
    return Sample(
        folder=folder,
        reference=write_image(folder / "reference.nii.gz", phantom_hu(here), here),
        reference_labels=write_image(folder / "reference.labels.nii.gz", phantom_labels(here), here),
        query=write_image(folder / "query.nii.gz", phantom_hu(there, 1.06), there),
        query_labels=write_image(folder / "query.labels.nii.gz", phantom_labels(there, 1.06), there),
        label_ids=ids,
        markups=write_markups(folder / "vertex.mrk.json"),
    )
