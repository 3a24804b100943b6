"""Small networks and phantom volumes, for trainings of a few steps."""

from __future__ import annotations

import numpy as np
import torch
from phantoms import body_hu, centres

from rprloc.geometry import Geometry
from rprloc.pnet import PnetConfig
from rprtrain.config import COARSE, FINE
from rprtrain.dataset import TrainingVolume

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
