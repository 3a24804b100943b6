"""The worker's methods, and a template, without the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.locate_requests import LANDMARK, OTHER
from support.samples import Sample
from support.workers import RecordedJob

from rprloc.worker.localization import SessionMethods


@pytest.fixture
def methods() -> SessionMethods:
    return SessionMethods()


@pytest.fixture(scope="module")
def template(tiny_model: Path, sample: Sample) -> dict[str, Any]:
    job = RecordedJob(
        model=str(tiny_model), device="cpu", reference={"path": str(sample.reference)}
    )
    job.params["targets"] = [LANDMARK, OTHER]
    made: dict[str, Any] = SessionMethods().template_make(job)["template"]
    return made
