"""On an NVIDIA GPU: the same answers as on the CPU, and a training step.

Skipped where there is none, and says so.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rprloc.image.resampling import to_grid
from rprloc.image.volume import read_volume
from rprloc.localization.locator import Locator
from rprloc.localization.template import Template
from rprloc.model.finding import BUNDLED, find_model
from rprloc.model.loading import load_model
from rprloc.model.pnet import Pnet
from rprtrain.config import FINE
from rprtrain.data.dataset import TrainingVolume
from rprtrain.optimization.step import run_step
from rprtrain.random_stream import RandomStream

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")

RESOURCES = BUNDLED.parent
CUDA = torch.device("cuda")


def centres(device: torch.device, query: Path) -> np.ndarray:
    locator = Locator(load_model(find_model(), device))
    template = Template.read(RESOURCES / "Templates" / "han-ct-organs.json")
    results = locator.locate(locator.embed(read_volume(query)), template)
    return np.array([r.center for r in results])


def test_the_gpu_finds_the_organs_where_the_cpu_does() -> None:
    query = RESOURCES / "SampleData" / "query.nii.gz"
    there, here = centres(CUDA, query), centres(torch.device("cpu"), query)
    assert np.abs(there - here).max() < 1.0


def test_a_training_step_on_the_gpu_gives_gradients() -> None:
    grid = to_grid(read_volume(RESOURCES / "SampleData" / "reference.nii.gz"), FINE.spacing)
    volume = TrainingVolume.from_grid("sample", grid).to(CUDA)
    net = Pnet(FINE.net).to(CUDA)
    result = run_step(net, volume, FINE, RandomStream(0))
    assert result is not None
    result.loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
