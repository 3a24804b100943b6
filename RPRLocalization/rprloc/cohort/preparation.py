"""The first half of a task: read a CT and resample it, which needs no network and no GPU."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..formats.reading import stem_of
from ..geometry import Geometry
from ..image.resampling import IsotropicVolume, to_grids
from ..image.volume import Volume, read_volume
from ..localization.embedding import EmbeddedVolume, embed_grids
from ..model.loading import ModelPair
from .request import SeriesTask
from .series_files import SeriesFiles, find_series


@dataclass(frozen=True, eq=False)
class Prepared:
    """A CT as the networks read it, small enough to be handed to another process.

    Attributes:
        files: that it was read from. geometry: as stored. notes: of the gate.
        grids: by their spacings, mm. seconds: of ``read`` and ``resample``.
        volume: only where pictures are asked for.
    """

    files: SeriesFiles
    name: str
    geometry: Geometry
    notes: tuple[str, ...]
    grids: dict[tuple[float, ...], tuple[IsotropicVolume, ...]]
    seconds: dict[str, float]
    volume: Volume | None = None


def prepare(task: SeriesTask) -> Prepared:
    """Read the CT of a task and resample it for every model. Raises InputError."""
    from ..model.card import read_card

    started = time.perf_counter()
    files = find_series(task.root, task.row)
    volume = read_volume(files.path, files.uid)
    read = time.perf_counter()

    cards = [read_card(model) for model in {choice.model for _, choice in task.templates}]
    stages = [[stage for stage in (card.coarse, card.fine) if stage is not None] for card in cards]
    wanted = {tuple(stage.spacing_mm for stage in of_card) for of_card in stages}
    grids = {spacings: to_grids(volume, spacings) for spacings in sorted(wanted)}
    seconds = {"read": read - started, "resample": time.perf_counter() - read}
    return Prepared(
        *(files, stem_of(files.path), volume.geometry, volume.notes, grids, seconds),
        volume=volume if task.extras.pictures else None,
    )


def embed(prepared: Prepared, model: ModelPair) -> EmbeddedVolume:
    """Compute the coarse field of a prepared CT. Raises InputError if there is no body to see."""
    grids = prepared.grids[model.spacings]
    return embed_grids(
        prepared.name, prepared.geometry, grids, model, prepared.seconds, prepared.notes
    )
