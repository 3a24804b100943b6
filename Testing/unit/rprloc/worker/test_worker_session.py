"""The worker's methods without the process: answers, and what is kept between requests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.locate_requests import LANDMARK, OTHER, locate_job
from support.models import export_random_model
from support.samples import Sample
from support.workers import RecordedJob

from rprloc.errors import DeviceError, InputError, ModelError, TemplateError
from rprloc.image.volume import read_volume
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.locator import Locator
from rprloc.localization.template import Template
from rprloc.model.loading import ModelPair, load_model
from rprloc.targets.loading import load_targets
from rprloc.worker import session
from rprloc.worker.errors import BadRequestError, CancelledError, explain
from rprloc.worker.localization import SessionMethods
from rprloc.worker.session import Session


def test_rows_are_the_engines_results(
    methods: SessionMethods, tiny_model: Path, sample: Sample, template: dict[str, Any]
) -> None:
    job = locate_job(tiny_model, sample, template=template)
    answer = methods.locate(job)
    (partial,) = job.of_kind("partial")
    assert (partial["key"], partial["name"], partial["problem"]) == ("q", "query", "")
    locator = Locator(load_model(tiny_model, torch.device("cpu")))
    expected = locator.locate(
        locator.embed(read_volume(sample.query)), Template.from_json(template, "")
    )
    assert [row["target"] for row in partial["results"]] == ["Vertex", "Neck"]
    for row, result in zip(partial["results"], expected, strict=True):
        assert (row["query"], row["kind"], row["status"]) == (
            result.query,
            result.kind,
            result.status,
        )
        assert result.center is not None and row["center"] == result.center.tolist()
        assert row["size"] == (None if result.size is None else result.size.tolist())
        assert row["points"] == (None if result.points is None else result.points.xyz.tolist())
        assert (row["spread_mm"], row["cycle_mm"]) == (result.spread_mm, result.cycle_mm)
    assert (answer["queries"], answer["failed"], answer["device"]) == (1, 0, "cpu")


def test_a_template_file_and_a_reference_give_the_same_rows(
    methods: SessionMethods,
    tiny_model: Path,
    sample: Sample,
    template: dict[str, Any],
    tmp_path: Path,
) -> None:
    path = tmp_path / "template.json"
    path.write_text(json.dumps(template), encoding="utf-8")
    marked = {"reference": {"path": str(sample.reference)}, "targets": [LANDMARK, OTHER]}
    centers = []
    for source in ({"template": template}, {"template": str(path)}, marked):
        job = locate_job(tiny_model, sample, **source)
        methods.locate(job)
        centers.append([row["center"] for row in job.of_kind("partial")[0]["results"]])
    assert centers[0] == centers[1]
    assert np.allclose(centers[0], centers[2], atol=0.5)


def test_a_query_that_cannot_be_used_costs_its_own_rows_only(
    methods: SessionMethods,
    tiny_model: Path,
    sample: Sample,
    template: dict[str, Any],
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((3, 3), np.int16))
    matrix = np.eye(4).tolist()
    volumes = {
        "good": {"path": str(sample.query)},
        "missing": {"path": str(tmp_path / "missing.nii.gz")},
        "flat": {"npy": str(tmp_path / "flat.npy"), "ijk_to_lps": matrix, "name": "Flat CT"},
        "shapeless": {"npy": str(tmp_path / "flat.npy"), "ijk_to_lps": [1], "name": 7},
        "nothing": {},
        "again": {"path": str(sample.query), "name": "second"},
    }
    job = locate_job(tiny_model, sample, template=template)
    job.params["queries"] = [{"key": key, "volume": volume} for key, volume in volumes.items()]
    answer = methods.locate(job)
    partials = job.of_kind("partial")
    assert [partial["key"] for partial in partials] == list(volumes)
    assert [partial["name"] for partial in partials] == [
        "query",
        "missing",
        "Flat CT",
        "shapeless",
        "nothing",
        "second",
    ]
    assert [bool(partial["problem"]) for partial in partials] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    for partial in partials[1:5]:
        assert [row["status"] for row in partial["results"]] == ["failed", "failed"]
        assert {row["reason"] for row in partial["results"]} == {partial["problem"]}
        assert {row["query"] for row in partial["results"]} == {partial["name"]}
    assert (answer["queries"], answer["failed"]) == (6, 4)
    progress = [(e["done"], e["total"]) for e in job.of_kind("progress") if e["phase"] == "query"]
    assert progress == [(done, 6) for done in range(7)]


def test_a_bug_in_one_query_is_its_own_too(
    monkeypatch: pytest.MonkeyPatch,
    methods: SessionMethods,
    tiny_model: Path,
    sample: Sample,
    template: dict[str, Any],
) -> None:
    monkeypatch.setattr(Locator, "locate", lambda *_: {}["nothing"])
    job = locate_job(tiny_model, sample, template=template)
    assert methods.locate(job)["failed"] == 1
    assert "please report" in job.of_kind("partial")[0]["problem"]


def test_too_little_memory_is_said(
    monkeypatch: pytest.MonkeyPatch,
    methods: SessionMethods,
    tiny_model: Path,
    sample: Sample,
    template: dict[str, Any],
) -> None:
    def embed(*_: Any) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
        )

    monkeypatch.setattr(Locator, "embed", embed)
    job = locate_job(tiny_model, sample, template=template)
    assert methods.locate(job)["failed"] == 1
    assert "not enough memory" in job.of_kind("partial")[0]["problem"]
    job = locate_job(
        tiny_model, sample, reference={"path": str(sample.reference)}, targets=[LANDMARK]
    )
    with pytest.raises(RuntimeError) as caught:
        methods.template_make(job)
    assert explain(caught.value)[0] == "memory"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"queries": []}, BadRequestError),
        ({"queries": [{"key": 1, "volume": {}}]}, BadRequestError),
        ({"queries": [{"key": "a", "volume": {}}, {"key": "a", "volume": {}}]}, BadRequestError),
        ({"queries": None}, BadRequestError),
        ({"template": None}, BadRequestError),
        ({"reference": {}}, BadRequestError),
        ({"model": 7}, BadRequestError),
        ({"model": "no such model"}, ModelError),
        ({"device": "cuda:99"}, DeviceError),
        ({"device": "toaster"}, DeviceError),
        ({"options": {"runs": "many"}}, BadRequestError),
    ],
)
def test_a_request_that_cannot_work_is_refused_before_any_query(
    methods: SessionMethods,
    tiny_model: Path,
    sample: Sample,
    template: dict[str, Any],
    change: dict[str, Any],
    kind: type[Exception],
) -> None:
    job = locate_job(tiny_model, sample, **{"template": template, **change})
    with pytest.raises(kind):
        methods.locate(job)
    assert not job.of_kind("partial")


def test_another_models_template_is_refused(
    methods: SessionMethods, tiny_model: Path, sample: Sample, template: dict[str, Any]
) -> None:
    foreign = {**template, "model": {**template["model"], "coarse_sha256": "0" * 64}}
    with pytest.raises(TemplateError, match="belongs to model"):
        methods.locate(locate_job(tiny_model, sample, template=foreign))


def test_templates_are_pooled(
    methods: SessionMethods, tiny_model: Path, sample: Sample, template: dict[str, Any]
) -> None:
    job = locate_job(tiny_model, sample, reference={"path": str(sample.query)}, targets=[LANDMARK])
    other = methods.template_make(job)["template"]
    merged = methods.template_merge(RecordedJob(templates=[template, other]))["template"]
    examples = {
        target["name"]: [e["reference"] for e in target["examples"]] for target in merged["targets"]
    }
    assert examples == {"Vertex": ["reference", "query"], "Neck": ["reference"]}
    with pytest.raises(TemplateError, match="already"):
        methods.template_merge(RecordedJob(templates=[template, template]))
    with pytest.raises(BadRequestError):
        methods.template_merge(RecordedJob(templates=[]))


def test_a_target_outside_the_reference_is_refused(
    methods: SessionMethods, tiny_model: Path, sample: Sample
) -> None:
    far = {**LANDMARK, "point_lps": [0, 0, 9000]}
    job = locate_job(tiny_model, sample, reference={"path": str(sample.reference)}, targets=[far])
    with pytest.raises(InputError, match="outside"):
        methods.template_make(job)


def test_the_model_and_the_reference_are_kept(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, sample: Sample
) -> None:
    calls: list[str] = []
    fields = session.ReferenceFields

    class Counted(fields):  # type: ignore[misc, valid-type]
        @classmethod
        def of(cls, embedding: EmbeddedVolume) -> Any:
            calls.append(embedding.name)
            return fields.of(embedding)

    monkeypatch.setattr(session, "ReferenceFields", Counted)

    def load(folder: str | Path, device: torch.device) -> ModelPair:
        calls.append("model")
        return load_model(folder, device)

    methods = SessionMethods(Session(load))
    reference = {"path": str(sample.reference)}
    made = []
    for targets in ([LANDMARK], [LANDMARK], [OTHER]):
        job = locate_job(tiny_model, sample, reference=reference, targets=targets)
        methods.locate(job)
        made.append(methods.template_make(job)["template"])
    assert calls == ["model", "reference"]
    assert made[0] == made[1] != made[2]
    locator = Locator(load_model(tiny_model, torch.device("cpu")))
    embedding = locator.embed(read_volume(sample.reference))
    expected = locator.make_template(embedding, load_targets(sample.markups)).to_json()
    assert made[0]["targets"] == expected["targets"]
    renamed = locate_job(
        tiny_model, sample, reference={**reference, "name": "other"}, targets=[LANDMARK]
    )
    assert (
        methods.template_make(renamed)["template"]["targets"][0]["examples"][0]["reference"]
        == "other"
    )


def test_a_model_that_was_replaced_is_loaded_again(
    methods: SessionMethods, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    first = methods.load(RecordedJob(model=str(folder), device="cpu"))
    again = RecordedJob(model=str(folder), device="cpu")
    assert methods.load(again) == first and not again.events
    shutil.rmtree(folder)
    export_random_model(folder, "trained-again")
    assert (
        methods.load(RecordedJob(model=str(folder), device="cpu"))["card"]["name"]
        == "trained-again"
    )
    (folder / "coarse.pt").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="checksum"):
        SessionMethods().load(RecordedJob(model=str(folder), device="cpu"))


def test_models_lists_what_is_there_with_what_is_wrong(
    methods: SessionMethods, tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_model, tmp_path / "good")
    shutil.copytree(tiny_model, tmp_path / "bad")
    (tmp_path / "bad" / "fine.pt").write_bytes(b"damaged")
    answer = methods.models(RecordedJob(folders=[str(tmp_path)]))
    bad, good = answer["models"][:2]
    assert bad["card"] is None and "checksum" in bad["problem"]
    assert (good["title"], good["problem"], good["card"]["name"]) == ("good", "", "tiny")
    assert good["card"]["data"] == "random weights" and good["card"]["licence"] == "none"
    assert any(model["title"] == answer["default"] for model in answer["models"])
    with pytest.raises(BadRequestError):
        methods.models(RecordedJob(folders="models"))


def test_cancel_stops_between_queries_and_keeps_what_is_done(
    monkeypatch: pytest.MonkeyPatch,
    methods: SessionMethods,
    tiny_model: Path,
    sample: Sample,
    template: dict[str, Any],
) -> None:
    job = locate_job(tiny_model, sample, template=template)
    job.params["queries"] = [{"key": key, "volume": {"path": str(sample.query)}} for key in "abc"]
    locate, done = Locator.locate, []

    def cancelling(*args: Any) -> Any:
        done.append(1)
        if len(done) == 2:
            job.cancel()
        return locate(*args)

    monkeypatch.setattr(Locator, "locate", cancelling)
    with pytest.raises(CancelledError, match="2 of 3 volumes are done"):
        methods.locate(job)
    assert [partial["key"] for partial in job.of_kind("partial")] == ["a", "b"]
