"""A volume as the networks see it.

Its grids, and its latent fields, computed once for all targets.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..alignment.alignments import Alignments
from ..alignment.sketch import Sketch
from ..errors import InputError
from ..geometry import FloatArray, Geometry
from ..image.hounsfield import AIR_HU
from ..image.resampling import IsotropicVolume, to_grids
from ..image.volume import Volume
from ..model.field import LatentField
from ..model.loading import ModelPair
from ..model.relative_offset import sample_trilinear
from .orientation import Orientation, find_orientation

#: Fewer cells than this are no part of a patient, and their median no consensus.
LEAST_BODY_CELLS = 20


@dataclass(eq=False)
class EmbeddedVolume:
    """Grids and fields of one volume.

    Attributes:
        name: of the volume. geometry: of the volume as stored.
        seconds: time spent, by ``resample`` and ``embed``.
        notes: of the volume.
    """

    name: str
    geometry: Geometry
    grids: tuple[IsotropicVolume, ...]
    model: ModelPair
    coarse: LatentField
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def fine(self, around: Tensor | None = None, margin_mm: float = 0.0) -> LatentField:
        """The fine field, of everything or only of the box around LPS points (n, 3) with a margin.

        Raises InputError if the model has no fine network.
        """
        if self.model.fine is None:
            raise InputError(
                f"model {self.model.card.name} has no fine network: use --steps coarse"
            )

        grid = self.grids[1]
        if around is not None:
            grid = cropped(
                grid, around.cpu().numpy(), margin_mm, self.model.fine.card.net.alignment
            )

        started = time.perf_counter()
        result = self.model.fine.field(grid)
        synchronize(self.model.device)
        self.seconds["embed"] = self.seconds.get("embed", 0.0) + time.perf_counter() - started
        return result

    @cached_property
    def sketch(self) -> Sketch:
        """Tissue in cells of about 12 mm; on the CPU."""
        grid = self.grids[0]
        hu = torch.from_numpy(np.ascontiguousarray(grid.hu))
        return Sketch.of(self.name, hu, torch.as_tensor(grid.origin), grid.spacing)

    @cached_property
    def alignments(self) -> Alignments:
        """How references lie to this volume; what is found once is kept for the next question."""
        return Alignments(self.sketch)

    @cached_property
    def orientation(self) -> Orientation:
        """Whether the patient lies as the file says; sought once, when first asked for."""
        started = time.perf_counter()
        found = find_orientation(
            self.grids[0], self.coarse, self.model.coarse, spacing_along_patient(self.geometry)
        )
        self.seconds["embed"] = self.seconds.get("embed", 0.0) + time.perf_counter() - started
        return found

    @property
    def orientation_note(self) -> str:
        """What seems wrong with the file's orientation or spacing, for the user; mostly empty."""
        return self.orientation.note

    def body_bounds(self) -> tuple[Tensor, Tensor]:
        """Lower and upper corner (3,) LPS mm of the body in the volume (outer voxel edges)."""
        grid = self.grids[0]
        first, last = grid.origin, grid.origin + grid.spacing * (np.array(grid.hu.shape[::-1]) - 1)
        half = grid.spacing / 2
        return torch.as_tensor(first - half), torch.as_tensor(last + half)

    def scan_bounds(self) -> tuple[Tensor, Tensor]:
        """Return the lower and upper corner (3,) LPS mm of what the scan shows.

        Along z the scan ends where the body does; within a slice the volume's own border counts, as
        a slender patient does not make a scan small.
        """
        lower, upper = self.body_bounds()
        whole = self.geometry.bounds()
        lower[:2], upper[:2] = torch.tensor(whole.lower[:2]), torch.tensor(whole.upper[:2])
        return lower, upper


def embed_volume(volume: Volume, model: ModelPair) -> EmbeddedVolume:
    """Resample ``volume`` and compute its coarse field.

    Raises InputError if there is no body to see.
    """
    started = time.perf_counter()
    grids = to_grids(volume, model.spacings)
    seconds = {"resample": time.perf_counter() - started}
    try:
        return embed_grids(volume.name, volume.geometry, grids, model, seconds, volume.notes)
    except InputError as error:
        raise InputError(f"{volume.name}: {error}") from error


def embed_grids(
    name: str,
    geometry: Geometry,
    grids: tuple[IsotropicVolume, ...],
    model: ModelPair,
    seconds: dict[str, float],
    notes: tuple[str, ...],
) -> EmbeddedVolume:
    """Compute the coarse field of a volume that is resampled already.

    Args:
        name: of the volume.
        geometry: of the volume as stored.
        grids: one per network of the model, at ``model.spacings``.
        model: whose networks read them.
        seconds: spent so far; ``embed`` comes to them.
        notes: of the volume.

    Raises:
        InputError: there is no body to see (without the name).
    """
    started = time.perf_counter()
    coarse = model.coarse.field(grids[0])
    synchronize(model.device)

    if int(coarse.body.sum()) < LEAST_BODY_CELLS:
        raise InputError("too little of a body in this volume to locate anything")
    spent = {**seconds, "embed": time.perf_counter() - started}
    return EmbeddedVolume(name, geometry, grids, model, coarse, spent, notes)


def spacing_along_patient(geometry: Geometry) -> FloatArray:
    """Voxel edges (3,) in mm along the patient's z, y, x, whatever the order of the stored axes."""
    nearest = np.abs(geometry.direction).argmax(1)
    found: FloatArray = geometry.spacing[nearest][::-1]
    return found


def cropped(
    grid: IsotropicVolume, lps: np.ndarray, margin_mm: float, alignment: int
) -> IsotropicVolume:
    """Cut the part of ``grid`` around LPS points (n, 3), in step with the network's alignment.

    The lattice stays the same.
    """
    zyx = grid.lps_to_zyx(lps)
    reach = margin_mm / grid.spacing
    lower = np.floor((zyx.min(0) - reach) / alignment).astype(int) * alignment
    upper = np.ceil((zyx.max(0) + reach + 1) / alignment).astype(int) * alignment

    # One aligned block is kept at least, even of points beyond the volume.
    size = np.array(grid.hu.shape)
    lower = np.clip(lower, 0, np.maximum(0, (size - 1) // alignment * alignment))
    upper = np.clip(upper, np.minimum(lower + alignment, size), size)

    part = grid.hu[lower[0] : upper[0], lower[1] : upper[1], lower[2] : upper[2]]
    return IsotropicVolume(part, grid.zyx_to_lps(lower[None].astype(float))[0], grid.spacing)


def rescaled(grid: IsotropicVolume, factor: float) -> IsotropicVolume:
    """The same volume with a spacing of ``spacing / factor``.

    To the network it is ``factor`` times as large.
    """
    spacing = grid.spacing / factor
    size = [max(1, round(n * factor)) for n in grid.hu.shape]
    axes = [torch.arange(n, dtype=torch.float32) / factor for n in size]
    index = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)

    # Lifted, so that the zeros beyond the border are air.
    lifted = torch.from_numpy(np.ascontiguousarray(grid.hu))[None, None] - AIR_HU
    hu = sample_trilinear(lifted, index, "zeros")[0, 0] + AIR_HU
    return IsotropicVolume(hu.numpy(), grid.origin, spacing)


def synchronize(device: torch.device) -> None:
    """Wait for a GPU, so that times are those of the work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
