"""A GPU that fails or is too small: the worker goes on with the CPU and says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.locate_requests import LANDMARK, OTHER, locate_job
from support.samples import Sample
from support.workers import RecordedJob

from rprloc.errors import InputError
from rprloc.image.volume import Volume
from rprloc.localization.embedding import EmbeddedVolume
from rprloc.localization.locator import Locator
from rprloc.model.loading import ModelPair, load_model
from rprloc.worker.localization import SessionMethods
from rprloc.worker.session import Session

CUDA = torch.device("cuda", 0)


class Gpu:
    """A GPU of this test's making, whose models are on the CPU in truth.

    ``problem`` is raised when it has to work.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
        self.problem: Exception | None = problem
        self.loads: list[str] = []
        embed = Locator.embed

        def failing(locator: Locator, volume: Volume) -> EmbeddedVolume:
            if locator.model.device == CUDA and self.problem is not None:
                raise self.problem
            return embed(locator, volume)

        monkeypatch.setattr(Locator, "embed", failing)

    def load(self, folder: str | Path, device: torch.device) -> ModelPair:
        """Stands for ``load_model``."""
        self.loads.append(str(device))
        return replace(load_model(folder, torch.device("cpu")), device=device)

    def methods(self) -> SessionMethods:
        """The methods over a session that has this GPU."""
        return SessionMethods(
            Session(
                self.load, lambda name: CUDA if name in ("auto", "cuda:0") else torch.device(name)
            )
        )


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            "ran out of memory",
        ),
        (
            RuntimeError("CUDA error: no kernel image is available\nfor execution"),
            "failed (CUDA error: no kernel image",
        ),
    ],
)
def test_the_cpu_takes_over_from_a_failing_gpu(
    monkeypatch: pytest.MonkeyPatch,
    tiny_model: Path,
    sample: Sample,
    template: dict[str, Any],
    problem: Exception,
    said: str,
) -> None:
    gpu = Gpu(monkeypatch, problem)
    methods = gpu.methods()
    queries = [{"key": key, "volume": {"path": str(sample.query)}} for key in "ab"]
    for _ in range(2):
        job = locate_job(tiny_model, sample, device="auto", template=template, queries=queries)
        answer = methods.locate(job)
        assert (answer["failed"], answer["device"]) == (0, "cpu")
    assert gpu.loads == ["cuda:0", "cpu"]
    job = locate_job(tiny_model, sample, device="auto", template=template)
    methods.load(job)
    methods.locate(job)
    (warning,) = job.of_kind("log")
    assert (
        warning["level"] == "warning" and said in warning["message"] and "CPU" in warning["message"]
    )
    assert gpu.loads == ["cuda:0", "cpu"] * 2


def test_a_reference_is_learnt_on_the_cpu_if_the_gpu_fails(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, sample: Sample, template: dict[str, Any]
) -> None:
    gpu = Gpu(monkeypatch, torch.cuda.OutOfMemoryError("CUDA out of memory"))
    job = locate_job(
        tiny_model,
        sample,
        device="cuda:0",
        reference={"path": str(sample.reference)},
        targets=[LANDMARK, OTHER],
    )
    assert gpu.methods().template_make(job)["template"] == template
    assert len(job.of_kind("log")) == 1


def test_a_model_too_large_for_the_gpu_is_loaded_on_the_cpu(tiny_model: Path) -> None:
    def load(folder: str | Path, device: torch.device) -> ModelPair:
        if device == CUDA:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return load_model(folder, device)

    methods = SessionMethods(Session(load, lambda _: CUDA))
    job = RecordedJob(model=str(tiny_model), device="auto")
    assert methods.load(job)["device"] == "cpu"
    assert len(job.of_kind("log")) == 1


def test_what_the_input_does_wrong_is_not_blamed_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, sample: Sample, template: dict[str, Any]
) -> None:
    gpu = Gpu(monkeypatch, InputError("too little of a body"))
    job = locate_job(tiny_model, sample, device="auto", template=template)
    assert gpu.methods().locate(job)["failed"] == 1
    assert not job.of_kind("log") and gpu.loads == ["cuda:0"]
