"""Notes and targets that cannot be learned, through the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.locate_requests import LANDMARK, locate_job
from support.samples import Sample, phantom_geometry
from support.workers import RecordedJob

from rprloc.errors import InputError
from rprloc.worker.localization import SessionMethods
from rprloc.worker.parameters import targets_of

IN_AIR = {"name": "air", "kind": "landmark", "point_lps": [170.0, -105.0, 280.0]}


def empty_segment(folder: Path) -> dict[str, Any]:
    geometry = phantom_geometry()
    np.save(folder / "empty.npy", np.zeros(geometry.size[::-1], dtype=np.uint8))
    mask = {"npy": str(folder / "empty.npy"), "ijk_to_lps": geometry.ijk_to_lps.tolist()}
    return {"name": "nothing", "kind": "segment", "mask": mask}


def test_targets_that_cannot_be_learned_are_told_with_the_template(
    tiny_model: Path, sample: Sample, tmp_path: Path
) -> None:
    params = {
        "model": str(tiny_model),
        "device": "cpu",
        "reference": {"path": str(sample.reference)},
        "targets": [LANDMARK, IN_AIR, empty_segment(tmp_path)],
    }
    answer = SessionMethods().template_make(RecordedJob(**params))
    assert [target["name"] for target in answer["template"]["targets"]] == [LANDMARK["name"]]
    reasons = {target["name"]: target["reason"] for target in answer["left_out"]}
    assert "lies in air" in reasons["air"]
    assert "no voxels" in reasons["nothing"]


def test_locate_gives_them_failed_rows(tiny_model: Path, sample: Sample, tmp_path: Path) -> None:
    reference = {"path": str(sample.reference)}
    targets = [LANDMARK, IN_AIR, empty_segment(tmp_path)]
    job = locate_job(tiny_model, sample, reference=reference, targets=targets)
    assert SessionMethods().locate(job)["failed"] == 0
    (partial,) = job.of_kind("partial")
    rows = {row["target"]: row for row in partial["results"]}
    assert rows[LANDMARK["name"]]["status"] != "failed"
    assert rows["air"]["status"] == rows["nothing"]["status"] == "failed"
    assert "as marked on the reference it lies in air" in rows["air"]["reason"]


def test_nothing_that_can_be_learned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no voxels"):
        targets_of([empty_segment(tmp_path)])
