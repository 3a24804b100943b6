"""``rprloc locate --contours``, ``template --contours`` and ``rprloc map``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.command_line import Run, assert_refused, rows_of
from support.samples import Sample

from rprloc.targets.labelmap import read_label_map


def found_targets(out: Path, query: str) -> set[str]:
    """Targets that have a position in a query."""
    found = ("ok", "low-confidence")
    return {r["target"] for r in rows_of(out) if r["query"] == query and r["status"] in found}


def test_contours_of_every_target_that_was_found(
    run: Run, sample: Sample, reference: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, text, _ = run("locate", *reference, "--contours", "--out", out, sample.reference)
    assert code == 0
    assert "contours" in text
    labels = read_label_map(out / "reference" / "contours.seg.nrrd")
    assert set(labels.names) == found_targets(out, "reference") != set()
    ct = sitk.ReadImage(str(sample.reference))
    np.testing.assert_allclose(labels.geometry.origin, ct.GetOrigin(), atol=1e-4)
    assert labels.geometry.size == ct.GetSize()


def test_a_template_with_masks_needs_no_reference(
    run: Run, sample: Sample, reference: list[object], tmp_path: Path
) -> None:
    template, out = tmp_path / "t.json", tmp_path / "out"
    code, text, _ = run("template make", *reference, "--contours", "--out", template)
    assert code == 0
    assert "contours     of 1 references" in text
    how = ["--template", template, "--contours", "--contour-format", "nii.gz"]
    assert run("locate", *how, "--out", out, sample.reference)[0] == 0
    labels = read_label_map(out / "reference" / "contours.nii.gz")
    assert len(np.unique(labels.array)) == 1 + len(found_targets(out, "reference"))


def test_templates_and_markups_without_masks_are_refused(
    run: Run, sample: Sample, template: Path, tmp_path: Path
) -> None:
    how = ["--template", template, "--contours", "--out", tmp_path / "out", sample.query]
    assert_refused(run("locate", *how), "no contour can be carried")
    marks = ["--reference", sample.reference, "--targets", sample.markups]
    how = [*marks, "--contours", "--out", tmp_path / "out", sample.query]
    assert_refused(run("locate", *how), "no contour can be carried")
    assert not (tmp_path / "out").exists()


def test_contours_need_the_whole_search(
    run: Run, sample: Sample, reference: list[object], tmp_path: Path
) -> None:
    how = [*reference, "--contours", "--steps", "coarse", "--out", tmp_path / "out"]
    assert_refused(run("locate", *how, sample.query), "leave --steps and --runs out")


@pytest.mark.parametrize("name", ["map.nii.gz", "map.h5"])
def test_a_map_is_an_itk_transform_from_query_to_reference(
    run: Run, sample: Sample, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    code, text, _ = run("map", "--reference", sample.reference, "--out", out, sample.reference)
    assert code == 0
    assert "least Jacobian" in text
    if name.endswith(".h5"):
        transform = sitk.ReadTransform(str(out))
    else:
        field = sitk.ReadImage(str(out), sitk.sitkVectorFloat64)
        transform = sitk.DisplacementFieldTransform(field)
    assert transform.GetDimension() == 3
    assert np.isfinite(transform.TransformPoint((0.0, 0.0, 180.0))).all()
    assert_refused(
        run("map", "--reference", sample.reference, "--out", out, sample.query), "already exists"
    )


def test_maps_of_an_unknown_format_are_refused(run: Run, sample: Sample, tmp_path: Path) -> None:
    how = ["--reference", sample.reference, "--out", tmp_path / "map.txt", sample.query]
    assert_refused(run("map", *how), "a map is written as")
