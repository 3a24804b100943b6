"""The bundled model carries the synthetic sample's organs to its query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.paths import ROOT

from rprloc.cli.main import main
from rprloc.targets.label_ids import read_label_ids
from rprloc.targets.labelmap import read_label_map

DATA = ROOT / "RPRLocalization" / "Resources" / "SampleData"
REFERENCE = ["--reference", str(DATA / "reference.nii.gz")]
TARGETS = [
    *("--targets", str(DATA / "reference.labels.nii.gz")),
    *("--label-ids", str(DATA / "label_ids.json")),
]
FAST = ["--device", "cpu", "--threads", "1"]
QUERY = str(DATA / "query.nii.gz")


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    """The query's own organs."""
    labels = read_label_map(DATA / "query.labels.nii.gz")
    return {n: labels.mask(i) for n, i in read_label_ids(DATA / "label_ids.json").items()}


def test_contours_agree_with_the_querys_own_organs(
    truth: dict[str, np.ndarray], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    how = [*REFERENCE, *TARGETS, "--contours", *FAST, "--out", str(out)]
    assert main(["locate", *how, QUERY]) == 0
    found = read_label_map(out / "query" / "contours.seg.nrrd")
    scores = {name: dice(found.mask(name), mask) for name, mask in truth.items()}
    assert np.mean(list(scores.values())) > 0.7, scores
    spine = sitk.GetImageFromArray(found.mask("SpinalCord").astype(np.uint8))
    assert sitk.GetArrayFromImage(sitk.ConnectedComponent(spine, True)).max() == 1


def test_the_map_carries_the_reference_onto_the_query(
    truth: dict[str, np.ndarray], tmp_path: Path
) -> None:
    out = tmp_path / "map.nii.gz"
    assert main(["map", *REFERENCE, *TARGETS, *FAST, "--out", str(out), QUERY]) == 0
    field = sitk.ReadImage(str(out), sitk.sitkVectorFloat64)
    labels = sitk.ReadImage(str(DATA / "reference.labels.nii.gz"))
    onto = sitk.ReadImage(str(DATA / "query.labels.nii.gz"))
    carried = sitk.Resample(
        labels, onto, sitk.DisplacementFieldTransform(field), sitk.sitkNearestNeighbor
    )
    array = sitk.GetArrayFromImage(carried)
    ids = read_label_ids(DATA / "label_ids.json")
    scores = {name: dice(array == ids[name], mask) for name, mask in truth.items()}
    assert np.mean(list(scores.values())) > 0.65, scores
