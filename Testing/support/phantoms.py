"""Synthetic volumes for the tests.

A body with lungs, couch and head rest, and the 48 storage orders.
"""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from rprloc.geometry import FloatArray, Geometry
from rprloc.image.volume import Volume

ORDERS = tuple(product(permutations(range(3)), product((False, True), repeat=3)))


def rotation(turns: npt.ArrayLike) -> FloatArray:
    """Return the rotation about the vector ``turns`` by its length in radians."""
    vector = np.asarray(turns, dtype=np.float64)
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def stored(volume: Volume, axes: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """Return the same volume with its voxel axes i, j, k in another order and sign."""
    geometry = volume.geometry
    array = volume.array.transpose(2, 1, 0).transpose(axes)
    first = np.zeros(3)
    signs = np.where(flips, -1.0, 1.0)
    for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
        if flip:
            array = np.flip(array, new)
            first[old] = geometry.size[old] - 1
    origin = geometry.index_to_lps(first[None]).xyz[0]
    spacing, direction = geometry.spacing[list(axes)], geometry.direction[:, list(axes)] * signs
    lattice = Geometry(array.shape, spacing, origin, direction)
    return Volume(np.ascontiguousarray(array.transpose(2, 1, 0)), lattice, volume.name)


def centres(geometry: Geometry) -> FloatArray:
    """Return the LPS position of every voxel, (k, j, i, 3)."""
    i, j, k = geometry.size
    index = np.stack(
        np.meshgrid(np.arange(k), np.arange(j), np.arange(i), indexing="ij")[::-1], axis=-1
    )
    return geometry.index_to_lps(index.reshape(-1, 3)).xyz.reshape(k, j, i, 3)


def body_hu(xyz: FloatArray, *, couch: bool = False, scale: float = 1.0) -> FloatArray:
    """Return HU at ``xyz`` (..., 3): a trunk and head with lungs and ears.

    Couch and head rest if asked for.

    The trunk is 300 x 180 mm and goes on below z = 0; the head ends at z = 260 mm. The couch (8 mm)
    touches the back at y = 90 mm, the head rest (two walls of 6 mm) the back of the head.
    """
    x, y, z = np.moveaxis(xyz / scale, -1, 0)
    hu = np.full(x.shape, -1000.0)
    if couch:
        hu[(y > 90) & (y < 98) & (np.abs(x) < 220)] = 0
        hu[(np.abs(np.abs(x) - 60) < 3) & (y > 20) & (y < 90) & (z > 170)] = 100
    trunk = (x / 150) ** 2 + (y / 90) ** 2 + (np.maximum(z - 60, 0) / 80) ** 2 < 1
    head = (x / 75) ** 2 + (y / 95) ** 2 + ((z - 190) / 70) ** 2 < 1
    neck = ((x / 55) ** 2 + (y / 60) ** 2 < 1) & (z > 60) & (z < 190)
    ears = (np.abs(np.abs(x) - 80) < 10) & (np.abs(y) < 15) & (np.abs(z - 180) < 20)
    hu[trunk | head | neck | ears] = 40
    spine = (x**2 + (y - 60) ** 2 < 15**2) & (z < 190)
    hu[spine] = 700
    lungs = ((np.abs(x) - 70) / 50) ** 2 + (y / 60) ** 2 + (np.maximum(z - 40, 0) / 50) ** 2 < 1
    hu[lungs] = -850
    return hu


def body_volume(
    geometry: Geometry,
    *,
    at: npt.ArrayLike = (0, 0, 0),
    couch: bool = False,
    noise: float = 10.0,
    scale: float = 1.0,
) -> Volume:
    """Return the body, its own origin at LPS ``at``, on ``geometry``.

    The noise has a fixed seed.
    """
    hu = body_hu(centres(geometry) - np.asarray(at, dtype=np.float64), couch=couch, scale=scale)
    hu += np.random.default_rng(0).normal(0, noise, hu.shape)
    return Volume.from_array(hu, geometry.ijk_to_lps, "phantom")


OBLIQUE = Geometry(
    (36, 24, 20),
    np.array([2.5, 3.0, 4.5]),
    np.array([-40.0, 25.0, -310.0]),
    rotation((0.2, -0.4, 0.7)),
)


def image_of(array: npt.NDArray[Any], geometry: Geometry = OBLIQUE) -> sitk.Image:
    """Return ``array`` (k, j, i) on ``geometry`` as a SimpleITK image."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing.tolist())
    image.SetOrigin(geometry.origin.tolist())
    image.SetDirection(geometry.direction.reshape(-1).tolist())
    return image


def written(path: Path, array: npt.NDArray[Any], geometry: Geometry = OBLIQUE) -> Path:
    """Write ``array`` (k, j, i), compressed where the format can, and return ``path``."""
    sitk.WriteImage(image_of(array, geometry), str(path), True)
    return path


def dicom(
    folder: Path,
    volume: Volume,
    *,
    uid: str = "1.2.3.4",
    modality: str = "CT",
    skip: int = -1,
    patient: str = "",
    suffix: str = ".dcm",
) -> Path:
    """Write ``volume`` as a DICOM series (stored with an offset of 1024), file names in another order."""
    folder.mkdir(exist_ok=True, parents=True)
    image = image_of(volume.array, volume.geometry)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    axes = volume.geometry.direction[:, :2].T.reshape(-1)
    for k in range(volume.geometry.size[2]):
        if k == skip:
            continue
        part = sitk.Cast(image[:, :, k], sitk.sitkInt16)
        tags = {
            "0008|0060": modality,
            "0010|0020": patient,
            "0020|000e": uid,
            "0020|000d": "1.2.3",
            "0008|0018": f"{uid}.{k + 1}",
            "0020|0032": "\\".join(
                f"{v:.6f}" for v in volume.geometry.index_to_lps([[0, 0, k]]).xyz[0]
            ),
            "0020|0037": "\\".join(f"{v:.8f}" for v in axes),
            "0020|0013": str(k + 1),
            "0028|1052": "-1024",
            "0028|1053": "1",
        }
        for key, value in tags.items():
            part.SetMetaData(key, value)
        path = folder / f"{(k * 7) % 61:03d}_{uid}.dcm"
        writer.SetFileName(str(path))
        writer.Execute(part)
        path.rename(path.with_name(path.name.removesuffix(".dcm") + suffix))
    return folder
