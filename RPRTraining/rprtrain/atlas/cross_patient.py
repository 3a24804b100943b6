"""Pairs across patients: when they start, how often, and the atlas that says what corresponds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from rprloc.errors import InputError

from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from ..views.view_pair import Partner
from .atlas import Atlas
from .building import build_atlas


@dataclass
class CrossPatientPairs:
    """Pairs across patients.

    Attributes:
        path: the atlas file; made by the coarse stage, read by the fine one.
        stage: the stage that is trained.
        start: fraction of the training after which such pairs are drawn.
        share: how often the second view is another patient's.
        report: gets lines of progress while the atlas is made.
    """

    path: Path
    stage: StageConfig
    start: float = 0.5
    share: float = 0.6
    report: Callable[[str], None] = print
    _atlas: Atlas | None = field(default=None, repr=False)

    @property
    def ready(self) -> bool:
        """True once ``atlas`` has read or made the atlas."""
        return self._atlas is not None

    def atlas(
        self, net: nn.Module, volumes: Sequence[TrainingVolume], device: torch.device
    ) -> Atlas:
        """The atlas: read if it is on disk, else built with the coarse network ``net`` and written.

        Raises:
            InputError: if it is damaged, or cannot be built from these CTs or at this stage.
            OutputError: if it cannot be written.
        """
        if self._atlas is None:
            if not self.path.exists():
                self._build(net, volumes)
            self._atlas = Atlas.load(self.path, device)
        return self._atlas

    def partner(
        self, atlas: Atlas, volumes: Sequence[TrainingVolume], index: int, rng: RandomStream
    ) -> Partner | None:
        """Another patient for the CT ``index``, or None: this time both views are of one CT."""
        source = volumes[index]
        if not rng.chance(self.share) or source.name not in atlas.placements:
            return None
        others = [v for v in volumes if v.name in atlas.placements and v.name != source.name]
        if not others:
            return None
        other = others[rng.integer(len(others))]

        def map_points(voxels: Tensor) -> Tensor:
            mm = atlas.map_points(source.name, other.name, source.to_mm(voxels))
            return other.to_voxels(mm)

        return Partner(other, map_points)

    def _build(self, net: nn.Module, volumes: Sequence[TrainingVolume]) -> None:
        if self.stage.name != "coarse":
            raise InputError(
                f"{self.path}: there is no atlas yet;"
                " train the coarse stage first, in the same folder"
            )
        build_atlas(volumes, net, self.stage, self.report).save(self.path)
