"""Small networks and phantom volumes, for trainings of a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from rprloc.geometry import Geometry
from rprloc.model.network_config import PnetConfig
from rprtrain.config import COARSE, FINE
from rprtrain.data.dataset import TrainingVolume
from rprtrain.optimization.events import TrainingEvent
from rprtrain.optimization.schedule import TrainingSchedule
from rprtrain.optimization.trainer import Trainer
from support.phantoms import body_hu, centres

CPU = torch.device("cpu")
TINY = COARSE.with_changes(
    net=PnetConfig(stem=4, stages=((4, 1), (8, 1)), head=8),
    spacing=10.0,
    crop=(32, 32, 40),
    supports=60,
    queries=80,
    learning_rate=5e-3,
)
TINY_FINE = FINE.with_changes(
    net=PnetConfig(stem=4, stages=((4, 1), (8, 1)), decoder=(8,), head=8, descriptor=6),
    spacing=10.0,
    crop=(32, 32, 40),
    supports=60,
    queries=80,
)


def phantom_volume(name: str, scale: float) -> TrainingVolume:
    origin = [-170.0, -110.0, -20.0]
    geometry = Geometry((34, 23, 31), np.full(3, 10.0), np.array(origin), np.eye(3))
    hu = torch.from_numpy(body_hu(centres(geometry), scale=scale).astype("int16"))
    voxels = torch.nonzero(hu > -400).to(torch.int16)
    return TrainingVolume(name, hu, voxels, torch.tensor(origin), 10.0)


def make_trainer(
    volumes: list[TrainingVolume], folder: Path, told: list[TrainingEvent], **schedule: Any
) -> Trainer:
    usual: dict[str, Any] = {
        "steps": 4,
        "report_every": 2,
        "validate_every": 100,
        "save_every_s": 1e9,
        "sign_of_life_s": 1e9,
        "report": lambda line: None,
    }
    return Trainer(
        schedule.pop("stage", TINY),
        TrainingSchedule(**{**usual, **schedule}, on_event=told.append),
        volumes[:2],
        volumes[2:],
        CPU,
        folder / "coarse.ckpt",
    )
