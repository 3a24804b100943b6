"""Models with random weights, exported as ``rprloc train`` exports them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from rprloc.model.card import CARD_NAME, ModelCard, StageCard
from rprloc.model.finding import file_sha256
from rprloc.model.network_config import PnetConfig
from rprloc.model.pnet import Pnet, fold_batch_norm

COARSE_NET = PnetConfig(stem=4, stages=((4, 1), (8, 1)), head=8)
FINE_NET = PnetConfig(stem=4, stages=((4, 1), (8, 1)), decoder=(8,), head=8, descriptor=8)


def random_network(config: PnetConfig) -> nn.Module:
    """A folded network (fixed seed) whose statistics and biases are far from their first values."""
    torch.manual_seed(3)
    net = Pnet(config)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return fold_batch_norm(net.eval())


def export_random_stage(
    folder: Path, name: str, net: PnetConfig, spacing: float, range_mm: float
) -> StageCard:
    """Write a TorchScript network with random weights (fixed seed) and return its card."""
    torch.manual_seed(7)
    folded = fold_batch_norm(Pnet(net).eval())
    torch.jit.script(folded).save(str(folder / f"{name}.pt"))
    return StageCard(
        f"{name}.pt", file_sha256(folder / f"{name}.pt"), spacing, range_mm, net, {"steps": 0}
    )


def export_random_model(folder: Path, name: str) -> Path:
    """Write a coarse and a fine network with random weights and their card."""
    folder.mkdir(parents=True)
    coarse = export_random_stage(folder, "coarse", COARSE_NET, 8.0, 500.0)
    fine = export_random_stage(folder, "fine", FINE_NET, 6.0, 150.0)
    card = ModelCard(
        name, "0.0.1", "phantom", coarse, fine, {"source": "random weights", "licence": "none"}
    )
    (folder / CARD_NAME).write_text(json.dumps(card.to_json()), encoding="utf-8")
    return folder
