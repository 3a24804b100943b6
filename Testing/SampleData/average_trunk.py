"""The average trunk: the median of CTs that show different parts of it.

No CT shows all. They were tied into one space through what they have in common, and bent onto their
mean there, by a training across patients: its atlas says where each CT lies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
import trunk_organs
from average_patient import SPACING_MM, Average, covered_slab
from groupwise import AIR_HU, median

from rprloc.image.resampling import to_grid
from rprloc.image.volume import read_volume
from rprtrain.atlas.atlas import Atlas
from rprtrain.atlas.registration import placed
from rprtrain.data.dataset import TrainingVolume

# Fewer than of the head and neck, as there are fewer CTs: most of the thorax has twice as many.
MINIMUM_PATIENTS = 6
# So begins a licence that nobody has looked up: what it covers stays out of what is passed on.
NOT_CHECKED = "not checked"
# Kept above and below the slab, so that bending finds tissue.
_ROOM_MM = 45.0
# Far below any HU: the scan does not reach this voxel.
_BEYOND = -5000.0

Report = Callable[[str], None]


def trunk_cts(splits: Path) -> list[Path]:
    """The training CTs of ``splits.json``, but for those whose licence was not checked."""
    content = json.loads(splits.read_text(encoding="utf-8"))
    cases = [content["cases"][name] for name in content["splits"]["train"]]
    return [splits.parent / c["image"] for c in cases if not c["licence"].startswith(NOT_CHECKED)]


def make_average(splits: Path, atlas: Atlas, least: int, report: Report) -> Average:
    """Median of the training CTs that have a place in the atlas, with organs drawn on it.

    Args:
        splits: the file that names the CTs and their licences.
        atlas: where they lie; other CTs in it are not used.
        least: CTs that a voxel needs.
        report: takes a line on every step.
    """
    volumes = [v for v in map(volume_of, trunk_cts(splits)) if v.name in atlas.placements]
    hu, count = median_of(volumes, atlas, least)
    slab = covered_slab(count, hu, least)
    shown = _showing(volumes, atlas, slab)
    report(f"average of {len(shown)} CTs, {slab[1] - slab[0]:.0f} mm long: {', '.join(shown)}")
    hu = _around(hu, slab)
    organs = trunk_organs.draw(hu)
    return Average(hu, organs, slab, len(shown), dict.fromkeys(organs, 1))


def volume_of(path: Path) -> TrainingVolume:
    """A CT as an atlas takes it; what is not body is air."""
    name = path.name.removesuffix(".nii.gz")
    return TrainingVolume.from_grid(name, to_grid(read_volume(path), SPACING_MM))


def median_of(
    volumes: Sequence[TrainingVolume], atlas: Atlas, least: int
) -> tuple[sitk.Image, npt.NDArray[np.intp]]:
    """Median HU of the placed CTs (int16, 3 mm, LPS), and how many show each voxel (z, y, x)."""
    points = atlas.lattice.with_cells(SPACING_MM).points()
    hu, count = median(np.stack([hu_at(v, atlas, points) for v in volumes]), least)
    image = sitk.GetImageFromArray(hu)
    image.SetOrigin(atlas.lattice.origin.double().tolist())
    image.SetSpacing([SPACING_MM] * 3)
    return image, count


def hu_at(volume: TrainingVolume, atlas: Atlas, points: torch.Tensor) -> npt.NDArray[np.int16]:
    """HU of a CT at points (D, H, W, 3) of the atlas; air beside it, _BEYOND above and below."""
    patient = atlas.placements[volume.name].to_patient(points.reshape(-1, 3)).reshape(points.shape)
    above_air = (volume.hu.float() - AIR_HU)[None, None]
    hu = placed(above_air, volume, patient)[0, 0] + AIR_HU
    z = volume.to_voxels(patient)[..., 0]
    hu[(z < 0) | (z > volume.hu.shape[0] - 1)] = _BEYOND
    return np.asarray(hu.round().to(torch.int16).numpy())


def _showing(
    volumes: Sequence[TrainingVolume], atlas: Atlas, slab: tuple[float, float]
) -> list[str]:
    """Names of the CTs that show some of the slab."""
    names = []
    for volume in volumes:
        z = atlas.placements[volume.name].to_atlas(volume.to_mm(volume.body.float()))[:, 2]
        if bool(((z > slab[0]) & (z < slab[1])).any()):
            names.append(volume.name)
    return names


def _around(hu: sitk.Image, slab: tuple[float, float]) -> sitk.Image:
    """The part of the image that holds the body at the slab."""
    tissue = np.argwhere(sitk.GetArrayViewFromImage(hu) > -500)[:, ::-1]
    first, last = tissue.min(0) - 4, tissue.max(0) + 4
    ends = [(z - hu.GetOrigin()[2]) / SPACING_MM for z in slab]
    first[2], last[2] = ends[0] - _ROOM_MM / SPACING_MM, ends[1] + _ROOM_MM / SPACING_MM
    x, y, z = (slice(max(0, int(a)), int(b) + 1) for a, b in zip(first, last, strict=True))
    return hu[x, y, z]
