"""Fixtures of the unit tests: small synthetic CTs on disk, and a model with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.models import export_random_model
from support.samples import (
    LABEL_IDS,
    Sample,
    phantom_geometry,
    phantom_hu,
    phantom_labels,
    write_image,
    write_markups,
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model pair with random weights. Do not change its files."""
    return export_random_model(tmp_path_factory.mktemp("models") / "tiny", "tiny")


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
        reference_labels=write_image(
            folder / "reference.labels.nii.gz", phantom_labels(here), here
        ),
        query=write_image(folder / "query.nii.gz", phantom_hu(there, 1.06), there),
        query_labels=write_image(
            folder / "query.labels.nii.gz", phantom_labels(there, 1.06), there
        ),
        label_ids=ids,
        markups=write_markups(folder / "vertex.mrk.json"),
    )
