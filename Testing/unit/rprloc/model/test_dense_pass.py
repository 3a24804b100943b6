"""The dense pass on a CPU gives the values of the network that it was made of."""

from __future__ import annotations

import copy

import pytest
import torch
from support.models import random_network
from torch import Tensor

from rprloc.model import dense_pass
from rprloc.model.air_extent import AirExtent
from rprloc.model.dense_pass import DensePass
from rprloc.model.network_config import PnetConfig
from rprloc.model.pnet import Pnet, fold_batch_norm

COARSE = PnetConfig(stem=4, stages=((4, 2), (6, 1)), head=16)
FINE = PnetConfig(stem=4, stages=((4, 1), (6, 2), (8, 1)), decoder=(6, 4), head=16, descriptor=5)
HALF = PnetConfig(stem=4, stages=((4, 1), (6, 1), (8, 1)), decoder=(6,), head=16, descriptor=5)
CONFIGS = pytest.mark.parametrize("config", [COARSE, FINE, HALF], ids=["coarse", "fine", "half"])


@pytest.fixture(autouse=True)
def thin_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slabs of few planes, so that a small volume has many."""
    monkeypatch.setattr(dense_pass, "_SLAB_CELLS", 300)


def body() -> Tensor:
    """HU (1, 1, 48, 32, 40): two bodies in air, one of them cut by the volume's end."""
    noise = torch.randn(1, 1, 48, 32, 40, generator=torch.Generator().manual_seed(1)) * 400.0
    hu = torch.full_like(noise, -1024.0)
    for where in (
        (slice(2, 9), slice(6, 17), slice(20, 35)),
        (slice(30, 48), slice(0, 12), slice(9, 12)),
    ):
        hu[0, 0][where] = noise[0, 0][where]
    return hu


@CONFIGS
@pytest.mark.parametrize(
    "hu", [body(), torch.full((1, 1, 16, 16, 16), -1000.0)], ids=["body", "air"]
)
def test_values_are_those_of_the_network(config: PnetConfig, hu: Tensor) -> None:
    net = random_network(config)
    made = DensePass.of(torch.jit.script(net), config)
    assert made is not None
    with torch.no_grad():
        wanted = net(hu)
    found = made(hu, torch.float32)
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)


@CONFIGS
def test_bfloat16_is_as_exact_as_autocast(config: PnetConfig) -> None:
    net, hu = random_network(config), body()
    made = DensePass.of(net, config)
    assert made is not None
    with torch.no_grad():
        wanted = net(hu)
        with torch.autocast("cpu", torch.bfloat16):
            autocast = net(hu).float()
    own_error = (made(hu, torch.bfloat16) - wanted).abs().mean()
    assert own_error <= 1.25 * (autocast - wanted).abs().mean()


def test_another_network_is_not_taken_for_this_one() -> None:
    net = random_network(COARSE)

    class Other(Pnet):
        def forward(self, hu: Tensor) -> Tensor:
            return super().forward(hu / 2.0)

    other = fold_batch_norm(Other(COARSE).eval())
    other.load_state_dict(copy.deepcopy(net.state_dict()))
    assert DensePass.of(other, COARSE) is None
    assert DensePass.of(net, FINE) is None


def test_slabs_hold_everything_that_is_not_air() -> None:
    hu = body()[0, 0]
    covered = torch.zeros(hu.shape, dtype=torch.bool)
    for part in AirExtent.of_voxels(hu).slabs(300):
        covered[part] = True
    assert covered[hu > -1000.0].all()
    assert covered.float().mean() < 0.2
