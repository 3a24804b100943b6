"""The dense Pnet: exact at borders, equal to its patches, the same folded and scripted."""

from __future__ import annotations

import copy

import pytest
import torch
from support.models import random_network
from torch import nn
from torch.nn import functional as F

from rprloc.model.network_config import PnetConfig
from rprloc.model.pnet import Pnet, fold_batch_norm

COARSE = PnetConfig(stem=3, stages=((3, 1), (4, 1)), head=16)
DEEP = PnetConfig(stem=3, stages=((3, 1), (3, 1), (4, 1)), head=16)
FINE = PnetConfig(stem=3, stages=((3, 1), (4, 1)), decoder=(3,), head=16, descriptor=5)
CONFIGS = pytest.mark.parametrize("config", [COARSE, DEEP, FINE], ids=["coarse", "deep", "fine"])


def random_hu(*shape: int) -> torch.Tensor:
    return (
        torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        * 400.0
    )


@CONFIGS
def test_a_volume_equals_the_same_volume_in_air(config: PnetConfig) -> None:
    net, hu = random_network(config).double(), random_hu(16, 8, 24)
    margin = 5 * config.alignment
    cells = margin // config.stride
    with torch.no_grad():
        alone = net(hu)
        in_air = net(F.pad(hu, (margin,) * 6, value=-1000.0))[
            ..., cells:-cells, cells:-cells, cells:-cells
        ]
    assert torch.allclose(alone, in_air, atol=1e-10)
    assert alone.std() > 1e-3


@CONFIGS
def test_a_cell_equals_the_patch_that_is_its_receptive_field(config: PnetConfig) -> None:
    net = random_network(config).double()
    align, stride = config.alignment, config.stride
    reach = -(-(config.receptive_field // 2 + 1) // align) * align
    hu = random_hu(*(2 * reach + 2 * align,) * 3)
    start = align
    patch = hu[..., start : start + 2 * reach, start : start + 2 * reach, start : start + 2 * reach]
    cell = reach // stride
    with torch.no_grad():
        dense = net(hu)[
            0, :, cell + start // stride, cell + start // stride, cell + start // stride
        ]
        alone = net(patch)[0, :, cell, cell, cell]
    assert torch.allclose(dense, alone, atol=1e-10)


@CONFIGS
def test_nothing_beyond_the_receptive_field_reaches_a_cell(config: PnetConfig) -> None:
    net = random_network(config).double()
    reach = -(-(config.receptive_field // 2 + 1) // config.alignment) * config.alignment
    hu = random_hu(*(2 * reach,) * 3).requires_grad_()
    cell = reach // config.stride
    net(hu)[0, :, cell, cell, cell].sum().backward()
    assert hu.grad is not None
    touched = torch.nonzero(hu.grad[0, 0])
    centre = config.stride * cell + config.first_cell
    assert (touched - centre).abs().max() <= config.receptive_field / 2
    assert len(touched) > 100


@CONFIGS
def test_folding_and_scripting_change_nothing(config: PnetConfig) -> None:
    torch.manual_seed(0)
    net = Pnet(config)
    for _ in range(3):
        net(torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(2)) * 300.0)
    net.eval()
    folded = fold_batch_norm(copy.deepcopy(net))
    hu = torch.randn(1, 1, 16, 24, 8, generator=torch.Generator().manual_seed(3)) * 300.0
    with torch.no_grad():
        assert torch.allclose(net(hu), folded(hu), atol=1e-5)
        assert torch.equal(torch.jit.script(folded)(hu), folded(hu))
    assert not any(isinstance(m, nn.BatchNorm3d) for m in folded.modules())


def test_shape_of_the_output_follows_the_config() -> None:
    with torch.no_grad():
        assert Pnet(COARSE).eval()(torch.zeros(2, 1, 32, 16, 24)).shape == (2, 3, 8, 4, 6)
        assert Pnet(FINE).eval()(torch.zeros(1, 1, 32, 16, 24)).shape == (1, 8, 16, 8, 12)


@CONFIGS
def test_config_survives_json(config: PnetConfig) -> None:
    assert PnetConfig.from_json(config.to_json()) == config


def test_air_of_any_density_is_the_same() -> None:
    net = random_network(FINE).double()
    with torch.no_grad():
        a, b = (
            net(torch.full((1, 1, 16, 16, 16), hu, dtype=torch.float64))
            for hu in (-1000.0, -3024.0)
        )
    assert torch.equal(a, b)
