"""A template of the random model, and an index of small CTs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.samples import Sample

from rprloc.cli.main import main

FAST = ("--device", "cpu", "--threads", "1")


@pytest.fixture(scope="session")
def cohort_template(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample: Sample
) -> Path:
    """A template of the synthetic reference. Do not change it."""
    path = tmp_path_factory.mktemp("template") / "organs.json"
    given = ["--reference", sample.reference, "--targets", sample.reference_labels]
    given += ["--label-ids", sample.label_ids, "--out", path, "--model", tiny_model, *FAST]
    assert main(["template", "make", *map(str, given)]) == 0
    return path
