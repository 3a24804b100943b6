"""What the detector is trained with.

Patients on its lattice, turned, scaled, moved and mirrored at random.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from rprloc.geometry import FloatArray
from rprloc.image.hounsfield import AIR_HU
from rprloc.image.resampling import IsotropicVolume, to_grid

from ..core.cohort import ORGANS, Patient
from .detector_net import NetSettings, as_input

_MIRRORED = {"LeftParotid": "RightParotid", "RightParotid": "LeftParotid"}


@dataclass(frozen=True, eq=False)
class Sample:
    """A patient on the lattice.

    hu: float32 (z, y, x). middle: x, y, z LPS mm of the lattice's centre. organs: name -> voxel
    centres of the organ's mask, (n, 3) LPS mm, complete organs only. voxel: x, y, z mm of the
    mask's voxels.
    """

    hu: Tensor
    middle: FloatArray
    organs: dict[str, FloatArray]
    voxel: FloatArray


@dataclass(frozen=True)
class Augmentation:
    """Ranges, each drawn evenly from -value to +value.

    shift: mm per axis. scale: fraction of the whole and stretch: of each axis. turn: degrees about
        each axis.
    offset: HU. noise: largest standard deviation, HU. mirror: whether left and right change places
        half the time.
    """

    shift: float = 24.0
    scale: float = 0.12
    stretch: float = 0.06
    turn: float = 8.0
    offset: float = 25.0
    noise: float = 25.0
    mirror: bool = True


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a training image lies.

    LPS ``middle`` + ``matrix`` @ (x, y, z mm from the image's centre).
    """

    matrix: FloatArray
    middle: FloatArray
    mirrored: bool


def samples_of(patients: Iterable[Patient], settings: NetSettings) -> list[Sample]:
    """The patients with their complete organs on the network's lattice.

    Those without any are left out.
    """
    return [_sample(patient, settings) for patient in patients if patient.organs]


def _sample(patient: Patient, settings: NetSettings) -> Sample:
    assert patient.labels is not None
    grid, geometry = to_grid(patient.volume, settings.spacing), patient.labels.geometry
    organs = {
        name: geometry.index_to_lps(
            np.argwhere(patient.labels.mask(patient.ids[name]))[:, ::-1]
        ).xyz
        for name in patient.organs
    }
    voxel = np.abs(geometry.direction * geometry.spacing).sum(axis=1)
    return Sample(torch.from_numpy(grid.hu), middle_of(grid), organs, voxel)


def middle_of(grid: IsotropicVolume) -> FloatArray:
    """Centre of a lattice, x, y, z LPS mm."""
    middle: FloatArray = grid.zyx_to_lps([(np.array(grid.hu.shape) - 1) / 2])[0]
    return middle


def drawn(sample: Sample, ranges: Augmentation, random: np.random.Generator) -> Placement:
    """A random placement of the training image in the patient."""
    turns = np.deg2rad(random.uniform(-ranges.turn, ranges.turn, 3))
    scale = (
        1
        + random.uniform(-ranges.scale, ranges.scale)
        + random.uniform(-ranges.stretch, ranges.stretch, 3)
    )
    mirrored = ranges.mirror and bool(random.integers(2))
    sides = np.array([-1.0 if mirrored else 1.0, 1.0, 1.0])
    middle = sample.middle + random.uniform(-ranges.shift, ranges.shift, 3)
    return Placement(_rotation(turns) * (sides / scale), middle, mirrored)


def _rotation(turns: npt.ArrayLike) -> FloatArray:
    """About z, then y, then x, by ``turns`` (x, y, z) in radians."""
    matrix = np.eye(3)
    for axis, turn in enumerate(np.asarray(turns)):
        a, b = [other for other in range(3) if other != axis]
        step = np.eye(3)
        step[[a, b], [a, b]] = np.cos(turn)
        step[a, b], step[b, a] = -np.sin(turn), np.sin(turn)
        matrix = matrix @ step
    return matrix


def image_at(
    sample: Sample, place: Placement, shape: tuple[int, int, int], spacing: float
) -> Tensor:
    """HU (z, y, x) of ``shape`` at ``spacing`` mm, linear, air outside the patient's lattice."""
    size, source = np.array(shape[::-1]), np.array(sample.hu.shape[::-1])
    theta = np.empty((3, 4))
    theta[:, :3] = place.matrix * size / source[:, None]
    theta[:, 3] = (place.middle - sample.middle) / (source * spacing / 2)
    steps = functional.affine_grid(
        torch.from_numpy(theta).float()[None], [1, 1, *shape], align_corners=False
    )
    above_air = (sample.hu - AIR_HU)[None, None]
    return functional.grid_sample(above_air, steps, align_corners=False)[0, 0] + AIR_HU


def target_at(
    sample: Sample, place: Placement, shape: tuple[int, int, int], spacing: float
) -> dict[str, Tensor]:
    """Boxes, labels, and the classes known, of the image that ``image_at`` makes.

    Unknown: organs that are not complete in the patient, and those that the image's border cuts.
    """
    boxes, labels, known = [], [], torch.zeros(len(ORGANS), dtype=torch.bool)
    back, size = np.linalg.inv(place.matrix), np.array(shape[::-1])

    half = np.abs(np.diag(back)) * sample.voxel / 2
    for name, points in sample.organs.items():
        label = ORGANS.index(_MIRRORED.get(name, name) if place.mirrored else name)
        seen = (points - place.middle) @ back.T
        lower = (seen.min(axis=0) - half) / spacing + size / 2
        upper = (seen.max(axis=0) + half) / spacing + size / 2
        inside, outside = (
            bool((lower >= 0).all() and (upper <= size).all()),
            bool((upper < 0).any() or (lower > size).any()),
        )
        known[label] = inside or outside
        if inside:
            boxes.append([*lower[::-1], *upper[::-1]])
            labels.append(label)

    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 6),
        "labels": torch.tensor(labels, dtype=torch.long),
        "known": known,
    }


def training_image(
    sample: Sample,
    settings: NetSettings,
    ranges: Augmentation,
    shape: tuple[int, int, int],
    random: np.random.Generator,
) -> tuple[Tensor, dict[str, Tensor]]:
    """One augmented image (channels, z, y, x) of ``shape`` and its target."""
    place = drawn(sample, ranges, random)
    if not target_at(sample, place, shape, settings.spacing)["known"].any():
        # Nothing could be learnt from an image that cuts every organ, and a mean over nothing is no
        # number
        place = Placement(np.eye(3), next(iter(sample.organs.values())).mean(axis=0), False)
    hu = image_at(sample, place, shape, settings.spacing)
    hu += random.uniform(-ranges.offset, ranges.offset)
    noise = torch.from_numpy(random.standard_normal(shape, dtype=np.float32))
    hu += noise * random.uniform(0, ranges.noise)
    return as_input(hu, settings), target_at(sample, place, shape, settings.spacing)
