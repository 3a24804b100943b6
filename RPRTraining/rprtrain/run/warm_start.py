"""Start a training from the weights of a finished model.

The files of a model hold convolutions into which the BatchNorms were folded. They are put into a
Pnet whose BatchNorms change nothing: scale 1, mean 0, variance 1, and the folded bias as their
shift, so that the network computes the same field. A BatchNorm that trains normalises by what it
sees, though, so the mean and the variance of what it sees on a few views of the new CTs are
measured then, and taken out and put back: ``(u - mean) / std * std + (shift + mean)`` is the same
field again, and remains nearly the same when the training begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from rprloc.errors import ModelError
from rprloc.model.card import ModelCard, StageCard, read_card
from rprloc.model.finding import find_model, verify_files
from rprloc.model.loading import load_network
from rprloc.model.pnet import AirConv

from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from ..views.view import make_view

# Views that are measured: statistics of a channel run over all their cells, so few are enough.
VIEWS = 8
# A channel that never changes would be divided by nothing.
LEAST_VARIANCE = 1e-4
CELLS = (0, 2, 3, 4)  # all axes but the channels


def start_weights(model: str, stage: StageConfig) -> tuple[dict[str, Tensor], ModelCard]:
    """Read the weights of a finished model.

    Args:
        model: name or folder.
        stage: the stage that is to be trained.

    Returns:
        The folded weights of that stage, and the model's card.

    Raises:
        ModelError: if the model is damaged, lacks the stage, or has a network of another shape.
    """
    folder = find_model(model)
    card = read_card(folder)
    verify_files(folder, card)
    start: StageCard | None = card.coarse if stage.name == "coarse" else card.fine
    if start is None:
        raise ModelError(f"{folder}: the model has no {stage.name} network to start from")
    if start.net != stage.net:
        raise ModelError(
            f"{folder}: its {stage.name} network has another shape than the one to train"
        )
    return _state(folder / start.file), card


def _state(path: Path) -> dict[str, Tensor]:
    try:
        script = load_network(path, torch.device("cpu"))
    except RuntimeError as error:
        raise ModelError(f"{path}: this PyTorch cannot load the network") from error
    return {name: value.detach().clone() for name, value in script.state_dict().items()}


def load_folded(net: nn.Module, folded: Mapping[str, Tensor]) -> None:
    """Put folded weights into a Pnet, which then computes the same field (in evaluation).

    Raises:
        ModelError: if they do not fit.
    """
    state = net.state_dict()
    remaining = dict(folded)
    try:
        with torch.no_grad():
            for name, layer in air_convs(net):
                state[f"{name}.conv.weight"].copy_(remaining.pop(f"{name}.conv.weight"))
                norm = layer.norm
                assert isinstance(norm, nn.BatchNorm3d) and norm.running_mean is not None
                variance = torch.full_like(norm.running_mean, 1.0 - norm.eps)
                _set_norm(norm, norm.running_mean.zero_(), variance)
                norm.bias.copy_(remaining.pop(f"{name}.conv.bias"))
            for name, value in remaining.items():
                state[name].copy_(value)
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"the weights to start from do not fit the network ({error})") from error


def air_convs(net: nn.Module) -> list[tuple[str, AirConv]]:
    """The convolutions with BatchNorm, by name."""
    return [(name, module) for name, module in net.named_modules() if isinstance(module, AirConv)]


def _set_norm(norm: nn.BatchNorm3d, mean: Tensor, variance: Tensor) -> None:
    """Set mean and variance, and the scale that takes the variance back."""
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())


@torch.no_grad()
def calibrate(
    net: nn.Module, volumes: Sequence[TrainingVolume], stage: StageConfig, views: int = VIEWS
) -> None:
    """Give the BatchNorms the statistics of what they see, without changing the field.

    Args:
        net: the network, in place.
        volumes: the CTs.
        stage: how views of them are made.
        views: how many are measured.
    """
    layers = air_convs(net)
    statistics: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name, _ in layers}

    def note(name: str, u: Tensor) -> None:
        mean, variance = u.float().mean(CELLS), u.float().var(CELLS, unbiased=False)
        statistics[name].append((mean, variance))

    hooks = [
        layer.conv.register_forward_hook(lambda module, inputs, u, name=name: note(name, u))
        for name, layer in layers
    ]
    net.eval()
    try:
        for number in range(views):
            volume = volumes[number % len(volumes)]
            rng = RandomStream("calibrate", volume.name, number)
            focus = volume.body[rng.integer(len(volume.body))].float().cpu()
            net(make_view(volume.hu, focus, stage, rng).hu)
    finally:
        for hook in hooks:
            hook.remove()
    for name, layer in layers:
        norm = layer.norm
        assert isinstance(norm, nn.BatchNorm3d) and norm.running_mean is not None
        mean, variance = (torch.stack(part).mean(0) for part in zip(*statistics[name], strict=True))
        norm.bias.add_(mean - norm.running_mean)
        _set_norm(norm, mean, variance.clamp_min(LEAST_VARIANCE))
