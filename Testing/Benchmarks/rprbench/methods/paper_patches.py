"""The method as in the paper.

Patches cut and projected one by one, K starts, one coarse and one fine move (Sec. 2).

The weights are those of the dense method. A patch is as large as the network's receptive field, so
its latent is that of the dense cell (the networks pad exactly), and the field may stand in for the
patches where only accuracy is asked for; ``FieldReader`` and ``PatchReader`` differ in time alone,
which the tests check.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rprloc.image.hounsfield import AIR_HU
from rprloc.image.resampling import IsotropicVolume, to_grids
from rprloc.image.volume import Volume
from rprloc.model.devices import fast_dtype
from rprloc.model.field import LatentField, field_of_tensor
from rprloc.model.loading import ModelPair, StageModel

from ..core.cohort import Patient
from ..core.method import Answers, Context, Detection, Method
from .ours import box_of_points, chosen, model_of

K = 15
TITLES = {
    "paper-positions": "As in the paper: patches, K = 15, mean of the positions",
    "paper-latent": "As in the paper: patches, K = 15, mean in latent space",
}


class Reader(ABC):
    """Latents of one volume at cells of the lattice on which the dense network answers."""

    def __init__(self, stage: StageModel, grid: IsotropicVolume) -> None:
        self.stage = stage
        self.grid = grid
        self.cell_mm = grid.spacing * stage.card.net.stride
        self.first = grid.origin + grid.spacing * stage.card.net.first_cell

    def nearest(self, lps: Tensor) -> Tensor:
        """(n, 3) LPS mm -> (n, 3) index z, y, x of the nearest cells, kept inside the volume."""
        size = torch.tensor([-(-n // self.stage.card.net.stride) for n in self.grid.hu.shape])
        index = (
            ((lps.double() - torch.as_tensor(self.first)) / self.cell_mm).flip(-1).round().long()
        )
        return index.clamp_min(0).minimum(size - 1)

    def centres(self, index: Tensor) -> Tensor:
        """(n, 3) cell index z, y, x -> (n, 3) LPS mm."""
        return (index.flip(-1) * self.cell_mm + torch.as_tensor(self.first)).float()

    @abstractmethod
    def latents(self, index: Tensor) -> Tensor:
        """(n, 3) cell index z, y, x -> latents (n, 3) of Eq. 2."""


class FieldReader(Reader):
    """Looks the latents up in the dense field."""

    def __init__(self, stage: StageModel, grid: IsotropicVolume) -> None:
        super().__init__(stage, grid)
        self.field: LatentField = stage.field(grid)

    def latents(self, index: Tensor) -> Tensor:
        """Read the latents (n, 3) of the cells ``index`` (n, 3) off the dense field."""
        return self.field.values[0, :3, index[:, 0], index[:, 1], index[:, 2]].T.float().cpu()


class PatchReader(Reader):
    """Cuts a patch as large as the receptive field around every cell and runs the network on it."""

    def latents(self, index: Tensor) -> Tensor:
        """Compute the latents (n, 3) of the cells ``index`` (n, 3), patch by patch."""
        return torch.cat([self._latent(cell) for cell in index.numpy()])

    def _latent(self, cell: np.ndarray) -> Tensor:
        net = self.stage.card.net
        centre = cell * net.stride + net.first_cell
        # whole steps of the alignment, so that pooling meets the voxels in the phase of the dense
        # pass
        start = (
            np.floor((centre - net.receptive_field / 2) / net.alignment).astype(int) * net.alignment
        )
        stop = (
            np.ceil((centre + net.receptive_field / 2 + 1) / net.alignment).astype(int)
            * net.alignment
        )

        return patch_latent(
            self.stage,
            cut_patch(self.grid.hu, start, stop),
            (cell * net.stride - start) // net.stride,
        )


def cut_patch(hu: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Voxels ``start``..``stop`` (z, y, x) of (D, H, W), air beyond the volume."""
    lower, upper = np.maximum(start, 0), np.minimum(stop, hu.shape)
    part = hu[lower[0] : upper[0], lower[1] : upper[1], lower[2] : upper[2]]
    return np.pad(
        part,
        [(int(a), int(b)) for a, b in zip(lower - start, stop - upper, strict=True)],
        constant_values=AIR_HU,
    )


def patch_latent(stage: StageModel, patch: np.ndarray, cell: Iterable[int]) -> Tensor:
    """The latent (1, 3) of one cell of a patch."""
    z, y, x = (int(n) for n in cell)
    hu = torch.from_numpy(np.ascontiguousarray(patch))[None, None].to(stage.device)
    origin = torch.zeros(3, device=stage.device)
    field = field_of_tensor(
        stage.network, stage.card.net, hu, origin, 1.0, fast_dtype(stage.device)
    )
    return field.values[:, :3, z, y, x].float().cpu()


def support_latents(stage: StageModel, grid: IsotropicVolume, points: np.ndarray) -> Tensor:
    """Latents (n, 3) of patches centred on the voxels nearest to LPS points (n, 3).

    The marked reference.
    """
    net = stage.card.net
    reach = -(-(net.receptive_field // 2 + 1) // net.alignment) * net.alignment
    middle = reach // net.stride
    latents = []
    for voxel in np.rint(grid.lps_to_zyx(points) - net.first_cell).astype(int):
        latents.append(
            patch_latent(stage, cut_patch(grid.hu, voxel - reach, voxel + reach), [middle] * 3)
        )
    return torch.cat(latents)


@dataclass(frozen=True, eq=False)
class PreparedReference:
    """Support latents of a reference: organ -> (6, 3), coarse and fine."""

    coarse: dict[str, Tensor]
    fine: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class EncodedQuery:
    """A query's readers, and the cells of the coarse grid that its starts are drawn from.

    cells: (n, 3) index z, y, x.
    """

    name: str
    coarse: Reader
    fine: Reader
    cells: Tensor


class Patchwise(Method):
    """The paper's inference with our weights: per organ 15 coarse patches and six fine ones.

    one_by_one: really cut and run every patch (for times); otherwise the values are looked up in
        the field.
    """

    name = "paper"

    def __init__(
        self, context: Context, only: Iterable[str] | None = None, one_by_one: bool = False
    ) -> None:
        super().__init__(context)
        self._titles = chosen(TITLES, only)
        self.model: ModelPair = model_of(context)
        assert self.model.fine is not None
        self.stages = (self.model.coarse, self.model.fine)
        self.reader = PatchReader if one_by_one else FieldReader

    @property
    def variants(self) -> dict[str, str]:
        """The means of the starts that were asked for."""
        return self._titles

    def settings(self) -> dict[str, Any]:
        """The model, and K."""
        return {"model": self.model.card.identity, "K": K}

    def limit_references(self, names: Sequence[str]) -> list[str]:
        """All, as the dense field gives the latents of the patches; one in a quick run."""
        return list(names)[: 1 if self.context.quick else None]

    def prepare(self, reference: Patient) -> PreparedReference:
        """Latents of the extreme points of all organs, by both networks."""
        grids = to_grids(reference.volume, self.model.spacings)
        points = {organ: target.points.xyz for organ, target in reference.organs.items()}
        coarse, fine = (
            {organ: support_latents(stage, grid, xyz) for organ, xyz in points.items()}
            for stage, grid in zip(self.stages, grids, strict=True)
        )
        return PreparedReference(coarse, fine)

    def encode(self, query: Volume) -> EncodedQuery:
        """Readers of both networks, and the cells to start from."""
        grids = to_grids(query, self.model.spacings)
        coarse, fine = (
            self.reader(stage, grid) for stage, grid in zip(self.stages, grids, strict=True)
        )
        return EncodedQuery(query.name, coarse, fine, body_cells(coarse))

    def find(
        self, encoded: EncodedQuery, prepared: PreparedReference, organs: Sequence[str]
    ) -> Answers:
        """Move K random starts to every extreme point, then once with the fine network."""
        answers: Answers = {variant: {} for variant in self._titles}
        range_mm = self.stages[0].card.range_mm
        for number, organ in enumerate(organs):
            generator = torch.Generator().manual_seed(number)
            starts = encoded.cells[torch.randperm(len(encoded.cells), generator=generator)[:K]]
            latents, centres = encoded.coarse.latents(starts), encoded.coarse.centres(starts)
            for variant in self._titles:
                coarse = coarse_move(
                    prepared.coarse[organ], latents, centres, range_mm, variant == "paper-latent"
                )
                answers[variant][organ] = Detection(
                    box_of_points(self._fine(encoded, prepared.fine[organ], coarse))
                )

        return answers

    def _fine(self, encoded: EncodedQuery, support: Tensor, position: Tensor) -> np.ndarray:
        """One move of the fine network from each coarse position, (6, 3) LPS mm."""
        cells = encoded.fine.nearest(position)
        moved = encoded.fine.centres(cells) + self.stages[1].card.range_mm * torch.tanh(
            support - encoded.fine.latents(cells)
        )
        return np.asarray(moved.double().numpy())


def coarse_move(
    support: Tensor, latents: Tensor, centres: Tensor, range_mm: float, in_latent_space: bool
) -> Tensor:
    """Coarse positions (n, 3) LPS mm from support latents (n, 3) and K starts.

    Latents (K, 3) at (K, 3) LPS mm (Eq. 2).

    The K answers are averaged (multi-run ensemble); in_latent_space: the K starts are, before one
    move is made.
    """
    if in_latent_space:
        return centres.mean(0) + range_mm * torch.tanh(support - latents.mean(0))
    return (centres[None] + range_mm * torch.tanh(support[:, None] - latents[None])).mean(1)


def body_cells(reader: Reader) -> Tensor:
    """(n, 3) index z, y, x of the coarse cells whose centre voxel is tissue.

    The non-air region of the paper.
    """
    stride = reader.stage.card.net.stride
    middle = [
        np.clip(np.arange(-(-n // stride)) * stride + stride // 2 - 1, 0, n - 1)
        for n in reader.grid.hu.shape
    ]
    return torch.nonzero(torch.from_numpy(reader.grid.hu[np.ix_(*middle)] > -400.0))
