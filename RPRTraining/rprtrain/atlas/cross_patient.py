"""Pairs across patients: when they start, how often, and the atlas that says what corresponds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

import torch
from torch import Tensor, nn

from rprloc.errors import InputError

from ..config import StageConfig
from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from ..views.view_pair import Partner
from .atlas import Atlas
from .building import build_atlas
from .chaining import chain
from .coverage import Coverage
from .placement import Affine
from .votes import places_by_votes

#: What finds the first affine places: votes of the coarse network, for CTs of one body region; or
#: the registration of the parts that CTs have in common, for CTs of any.
Teacher = Literal["votes", "overlap"]
TEACHERS: Final[tuple[Teacher, ...]] = get_args(Teacher)

# Votes are worth something once the network has learnt; overlaps need none.
START = {"votes": 0.5, "overlap": 0.0}
# Enough for a mean, as the cost grows with every CT.
MOST_CTS = 120
# The share of CTs of one region, at either end, that need not lie in the atlas as a whole.
BEYOND_BLOCK = 0.05
# How often a CT without a place is drawn, relative to the mean of the others.
WITHOUT_PLACE = 0.3


@dataclass
class CrossPatientPairs:
    """Pairs across patients.

    Attributes:
        path: the atlas file; made by the stage that comes first. Votes are the coarse network's:
            only its stage can make an atlas of them.
        stage: the stage that is trained.
        teacher: what finds the first affine places.
        share: how often the second view is another patient's.
        report: gets lines of progress while the atlas is made.
    """

    path: Path
    stage: StageConfig
    teacher: Teacher = "votes"
    share: float = 0.4
    report: Callable[[str], None] = print
    _atlas: Atlas | None = field(default=None, repr=False)
    _coverage: Coverage | None = field(default=None, repr=False)

    @property
    def start(self) -> float:
        """Fraction of the training after which such pairs are drawn."""
        return START[self.teacher]

    @property
    def ready(self) -> bool:
        """True once ``atlas`` has read or made the atlas."""
        return self._atlas is not None

    def atlas(
        self, net: nn.Module, volumes: Sequence[TrainingVolume], device: torch.device
    ) -> Atlas:
        """The atlas: read if it is on disk, else built and written.

        Args:
            net: the coarse network trained so far, whose votes may be needed.
            volumes: the training CTs.
            device: where the atlas goes.

        Raises:
            InputError: if it is damaged, or cannot be built from these CTs or at this stage.
            OutputError: if it cannot be written.
        """
        if self._atlas is None:
            if not self.path.exists():
                self._build(net, volumes)
            self._atlas = Atlas.load(self.path, device)
        return self._atlas

    def sampling_weights(self, atlas: Atlas, volumes: Sequence[TrainingVolume]) -> Tensor | None:
        """(n,) how often to draw each CT, so that every part of the body is seen about alike.

        None where all CTs are of one region: then it does not matter.
        """
        if self.teacher == "votes":
            return None
        coverage = self._covered(atlas, volumes)
        return torch.tensor([coverage.weight_of(v.name, WITHOUT_PLACE) for v in volumes])

    def partner(
        self, atlas: Atlas, volumes: Sequence[TrainingVolume], index: int, rng: RandomStream
    ) -> Partner | None:
        """Another patient for the CT ``index``, or None: this time both views are of one CT."""
        source = volumes[index]
        if not rng.chance(self.share) or source.name not in atlas.placements:
            return None
        coverage = self._covered(atlas, volumes)
        steps = coverage.partner_weights(source.name).cumsum(0)
        if float(steps[-1]) <= 0.0:
            return None
        chosen = int(torch.searchsorted(steps, rng.uniform() * float(steps[-1]), right=True))
        name = coverage.names[min(chosen, len(steps) - 1)]
        other = next(v for v in volumes if v.name == name)

        def map_points(voxels: Tensor) -> Tensor:
            mm = atlas.map_points(source.name, other.name, source.to_mm(voxels))
            return other.to_voxels(mm)

        return Partner(other, map_points)

    def _covered(self, atlas: Atlas, volumes: Sequence[TrainingVolume]) -> Coverage:
        if self._coverage is None:
            self._coverage = Coverage.of(volumes, atlas.placements)
        return self._coverage

    def _build(self, net: nn.Module, volumes: Sequence[TrainingVolume]) -> None:
        if self.teacher == "overlap":
            affine = chain(volumes, self.report)
            build_atlas(volumes, affine, self.report).save(self.path)
            return
        if self.stage.name != "coarse":
            raise InputError(
                f"{self.path}: there is no atlas yet;"
                " train the coarse stage first, in the same folder"
            )
        tallest = sorted(volumes, key=lambda v: (-v.hu.shape[0], v.name))[:MOST_CTS]
        affine = self._voted(tallest, net)
        build_atlas(tallest, affine, self.report, BEYOND_BLOCK).save(self.path)

    def _voted(self, volumes: Sequence[TrainingVolume], net: nn.Module) -> dict[str, Affine]:
        affine = places_by_votes(volumes, net, self.stage)
        self.report(
            f"atlas: {len(affine)} of {len(volumes)} CTs placed by votes"
            f" of the {self.stage.name} network"
        )
        return affine
