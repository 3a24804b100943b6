"""Contours by the worker: asked for, answered with masks and maps, and left out without harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from support.locate_requests import LANDMARK, locate_job
from support.samples import Sample
from support.workers import RecordedJob

from rprloc.targets.segment_mask import SegmentMask
from rprloc.targets.target import target_from_mask
from rprloc.worker.errors import BadRequestError
from rprloc.worker.localization import SessionMethods


@pytest.fixture
def segment(sample: Sample, tmp_path: Path) -> dict[str, Any]:
    """The spine as a TARGET object."""
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(sample.reference_labels)))
    np.save(tmp_path / "mask.npy", (labels == 2).astype(np.uint8))
    image = sitk.ReadImage(str(sample.reference))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    mask = {"npy": str(tmp_path / "mask.npy"), "ijk_to_lps": matrix.tolist()}
    return {"name": "Spine", "kind": "segment", "mask": mask, "look": {"Color": "1 0 0"}}


def located(tiny_model: Path, sample: Sample, targets: list[Any], **more: Any) -> RecordedJob:
    job = locate_job(tiny_model, sample, **more)
    job.params["reference"] = {"path": str(sample.reference)}
    job.params["queries"] = [{"key": "q", "volume": {"path": str(sample.reference)}}]
    job.params["targets"] = targets
    SessionMethods().locate(job)
    return job


def test_the_answer_has_the_mask_the_look_and_the_map(
    tiny_model: Path, sample: Sample, segment: dict[str, Any]
) -> None:
    job = located(tiny_model, sample, [segment, LANDMARK], contours=True)
    (answer,) = job.of_kind("partial")
    (row,) = [r for r in answer["results"] if r["target"] == "Spine"]
    assert row["status"] in ("ok", "low-confidence")
    (one,) = answer["contours"]["segments"]
    mask = SegmentMask.from_json(one["mask"])
    assert (one["target"], one["status"]) == ("Spine", row["status"])
    assert mask.voxels.any()
    box = target_from_mask("Spine", mask.voxels, mask.geometry).box
    np.testing.assert_allclose(row["center"], box.center, atol=1e-3)
    np.testing.assert_allclose(row["size"], box.size, atol=1e-3)
    assert mask.look == {"Color": "1 0 0"}
    assert list(answer["contours"]["maps"]) == ["reference"]


def test_without_asking_there_are_none(
    tiny_model: Path, sample: Sample, segment: dict[str, Any]
) -> None:
    (answer,) = located(tiny_model, sample, [segment]).of_kind("partial")
    assert "contours" not in answer


def test_where_nothing_is_a_segment_the_log_says_so(tiny_model: Path, sample: Sample) -> None:
    job = located(tiny_model, sample, [LANDMARK], contours=True)
    (answer,) = job.of_kind("partial")
    assert "contours" not in answer
    assert not answer["problem"]
    assert any("no contours" in line["message"] for line in job.of_kind("log"))


def test_wrong_requests_are_refused(
    tiny_model: Path, sample: Sample, segment: dict[str, Any]
) -> None:
    with pytest.raises(BadRequestError, match="true or false"):
        located(tiny_model, sample, [segment], contours="yes")
    with pytest.raises(BadRequestError, match="contours need"):
        located(tiny_model, sample, [segment], contours=True, options={"steps": "coarse"})
    with pytest.raises(BadRequestError, match="look"):
        located(tiny_model, sample, [{**segment, "look": "red"}])
