"""Fine-tuning: the folded weights of a model give the same field in a trainable network."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.trainings.tiny_training import TINY, TINY_FINE, phantom_volume

from rprloc.errors import ModelError
from rprloc.model.card import read_card
from rprloc.model.finding import find_model, started_from
from rprloc.model.pnet import Pnet, fold_batch_norm
from rprtrain.config import COARSE, FINE, StageConfig
from rprtrain.data.sources import ImageSource
from rprtrain.optimization.step import run_step
from rprtrain.random_stream import RandomStream
from rprtrain.run.request import TrainingRequest
from rprtrain.run.train import train_model
from rprtrain.run.warm_start import calibrate, load_folded, start_weights


def trained_like(stage: StageConfig) -> Pnet:
    """A network whose BatchNorms have been somewhere."""
    torch.manual_seed(1)
    net = Pnet(stage.net)
    for name, value in net.state_dict().items():
        if name.endswith(("norm.bias", "running_mean")):
            value.normal_(std=0.3)
        if name.endswith(("norm.weight", "running_var")):
            value.uniform_(0.5, 2.0)
    return net.eval()


@pytest.mark.parametrize("stage", [TINY, TINY_FINE], ids=["coarse", "fine"])
def test_the_field_is_the_same_before_and_after_calibration(stage: StageConfig) -> None:
    source = trained_like(stage)
    folded = fold_batch_norm(copy.deepcopy(source)).state_dict()
    net = Pnet(stage.net).eval()
    load_folded(net, folded)
    volume = phantom_volume("p", 1.0)
    hu = torch.full((1, 1, 32, 32, 40), -1000.0)
    hu[0, 0, :31, :23, :32] = volume.hu[:31, :23, :32].float()
    with torch.no_grad():
        wanted = source(hu)
        assert torch.allclose(net(hu), wanted, atol=1e-4)
        before = [
            m.running_mean.clone() for m in net.modules() if isinstance(m, torch.nn.BatchNorm3d)
        ]
        calibrate(net, [volume], stage, views=2)
        after = [m.running_mean for m in net.modules() if isinstance(m, torch.nn.BatchNorm3d)]
        assert torch.allclose(net(hu), wanted, atol=1e-4)
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_weights_of_another_shape_are_refused(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="another shape"):
        start_weights(str(tiny_model), TINY.with_changes(net=COARSE.net))
    with pytest.raises(ModelError, match="do not fit"):
        load_folded(Pnet(TINY.net), {"stem.conv.weight": torch.ones(1)})
    with pytest.raises(ModelError, match="do not fit"):
        load_folded(Pnet(TINY.net), fold_batch_norm(Pnet(TINY_FINE.net)).state_dict())


@pytest.mark.parametrize("stage", [COARSE, FINE], ids=["coarse", "fine"])
def test_the_bundled_model_can_be_the_start(stage: StageConfig) -> None:
    weights, card = start_weights("han-ct", stage)
    assert card == read_card(find_model("han-ct"))
    net = Pnet(stage.net)
    load_folded(net, weights)
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())


def test_a_training_goes_on_from_a_model(tiny_model: Path, sample: Any, tmp_path: Path) -> None:
    sources = tuple(
        ImageSource(path, name=path.name, group=path.name)
        for path in (sample.reference, sample.query)
    )
    stage = TINY.with_changes(net=read_card(tiny_model).coarse.net)
    request = TrainingRequest(tmp_path, tmp_path / "m", stage="coarse", steps=1, sources=sources)
    request = replace(
        request, stages={"coarse": stage, "fine": TINY_FINE}, start_from=str(tiny_model)
    )
    lines: list[str] = []
    train_model(request, report=lines.append)
    assert "coarse: started from tiny 0.0.1" in lines
    facts = read_card(tmp_path / "m").coarse.facts
    assert facts["started_from"] == read_card(tiny_model).identity
    with pytest.raises(ModelError):
        train_model(replace(request, out=tmp_path / "n", start_from=str(tmp_path / "none")))


def test_a_card_tells_all_models_that_a_network_came_from(
    tiny_model: Path, sample: Any, tmp_path: Path
) -> None:
    paths = (sample.reference, sample.query)
    sources = tuple(ImageSource(p, name=p.name, group=p.name) for p in paths)
    stage = TINY.with_changes(net=read_card(tiny_model).coarse.net)
    begun, came = str(tiny_model), [read_card(tiny_model).identity]
    for name in ("second", "third"):
        request = TrainingRequest(
            tmp_path, tmp_path / name, stage="coarse", steps=1, sources=sources, start_from=begun
        )
        train_model(replace(request, stages={"coarse": stage, "fine": TINY_FINE}))
        facts = read_card(tmp_path / name).coarse.facts
        assert list(started_from(facts)) == came
        begun, came = str(tmp_path / name), [read_card(tmp_path / name).identity, *came]
    assert facts["before"]["steps"] == 1


def test_the_first_steps_still_know_what_was_learnt() -> None:
    """In training mode, a calibrated network answers much like in evaluation."""
    volumes = [phantom_volume(f"p{n}", 0.95 + 0.05 * n) for n in range(2)]
    net = Pnet(TINY.net)
    load_folded(net, fold_batch_norm(copy.deepcopy(trained_like(TINY))).state_dict())
    plain = copy.deepcopy(net)
    calibrate(net, volumes, TINY)
    errors = {}
    for name, network, training in (
        ("known", net, False),
        ("calibrated", net, True),
        ("plain", plain, True),
    ):
        network.train(training)
        with torch.no_grad():
            results = [run_step(network, volumes[0], TINY, RandomStream("x", n)) for n in range(4)]
        errors[name] = sum(r.mean_mm for r in results if r is not None)
    assert abs(errors["calibrated"] - errors["known"]) < abs(errors["plain"] - errors["known"])
