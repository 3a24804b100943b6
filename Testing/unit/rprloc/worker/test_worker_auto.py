"""The model ``auto``: all bundled models for a reference, its own for a template."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.locate_requests import LANDMARK, OTHER, locate_job
from support.models import export_random_model
from support.samples import Sample
from support.workers import RecordedJob

from rprloc.errors import TemplateError
from rprloc.model import finding
from rprloc.model.card import read_card
from rprloc.model.radius import RadiusSettings
from rprloc.worker.localization import SessionMethods
from rprtrain.check.thresholds import write_thresholds

NAMES = ("careful", "bold")


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models; the bold one is surer of everything."""
    for name, intercept in zip(NAMES, (3.0, 1.0), strict=True):
        folder = export_random_model(tmp_path / "models" / name, name)
        radius = RadiusSettings(intercept, {}, 1.0, 300.0, 25.0, "made up")
        limits = read_card(folder).confidence
        wide = replace(limits, cycle_mm=1e6, spread_mm=1e6, similarity=1e-6, radius=radius)
        write_thresholds(folder, wide)
    monkeypatch.setattr(finding, "BUNDLED", tmp_path / "models")
    return tmp_path / "models"


def asked(sample: Sample, **more: Any) -> RecordedJob:
    params = {"model": "auto", "device": "cpu", "reference": {"path": str(sample.reference)}}
    return RecordedJob(**{**params, "targets": [LANDMARK, OTHER], **more})


def test_every_bundled_model_learns_the_reference_and_the_surer_one_leads(
    bundled: Path, sample: Sample
) -> None:
    answer = SessionMethods().template_make(asked(sample))
    names = [t["model"]["name"] for t in (answer["template"], *answer["alternatives"])]
    assert names == ["bold", "careful"]


def test_templates_of_several_models_are_sought_with_their_own(
    bundled: Path, sample: Sample
) -> None:
    methods = SessionMethods()
    learned = methods.template_make(asked(sample))
    more = {"template": learned["template"], "alternatives": learned["alternatives"]}
    job = locate_job(Path("auto"), sample, **more)
    assert methods.locate(job)["failed"] == 0
    (partial,) = job.of_kind("partial")
    rows = {row["target"]: row for row in partial["results"]}
    assert list(rows) == [LANDMARK["name"], OTHER["name"]]
    assert {row["model"] for row in rows.values()} <= set(NAMES)
    assert all(row["radius90_mm"] > 0 for row in rows.values())


def test_a_template_alone_is_sought_with_the_model_that_made_it(
    bundled: Path, sample: Sample
) -> None:
    methods = SessionMethods()
    learned = methods.template_make(asked(sample, model=str(bundled / "careful")))
    job = locate_job(Path("auto"), sample, template=learned["template"])
    methods.locate(job)
    (partial,) = job.of_kind("partial")
    assert {row["model"] for row in partial["results"]} == {"careful"}


def test_a_template_whose_model_is_not_installed_is_refused(
    bundled: Path, tiny_model: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = SessionMethods()
    foreign = methods.template_make(asked(sample, model=str(tiny_model)))["template"]
    monkeypatch.setattr(finding, "DEFAULT_MODEL", "bold")
    with pytest.raises(TemplateError, match="belongs to model"):
        methods.locate(locate_job(Path("auto"), sample, template=foreign))
