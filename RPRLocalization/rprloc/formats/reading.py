"""Image files and DICOM folders as an array, its lattice and its text fields.

Every failure is one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..geometry import Geometry
from . import metaimage, nifti, nrrd
from .dicom_series import read_dicom_file, read_series
from .discovery import is_dicom_file
from .raw import RawImage

_SUFFIXES = (
    ".nii.gz",
    ".seg.nrrd",
    ".seg.nhdr",
    ".nii",
    ".nrrd",
    ".nhdr",
    ".mha",
    ".mhd",
    ".hdr",
    ".img",
    ".dcm",
)
_LARGEST_MM = 5000.0


def stem_of(path: str | Path) -> str:
    """Return the file name without its image suffix (.nii.gz, .seg.nrrd, ...).

    For a folder its name.
    """
    name = Path(path).name or Path(path).resolve().name
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


@dataclass(frozen=True)
class Header:
    """Lattice of an image file before its voxels are read.

    ``size`` and ``spacing`` along i, j, k (and more).
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    parts: int


def read_header(path: Path) -> Header:
    """Read the header of an image file, ``parts``: numbers per voxel.

    Raises InputError if that fails.
    """
    if _has_suffix(path, nifti.SUFFIXES):
        found = nifti.read_header(path)
        return Header(found.size, found.spacing, 1)
    for reader, suffixes in (
        (nrrd.read_header, nrrd.SUFFIXES),
        (metaimage.read_header, metaimage.SUFFIXES),
    ):
        if _has_suffix(path, suffixes):
            header = reader(path)
            i, j, k = (float(s) for s in header.geometry.spacing)
            return Header(header.size, (i, j, k), header.parts)
    image = sitk.ImageFileReader()
    image.SetFileName(str(path))
    try:
        with _quiet():
            image.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    return Header(tuple(image.GetSize()), tuple(image.GetSpacing()), image.GetNumberOfComponents())


@dataclass(frozen=True)
class Lattice:
    """Lattice of an image file as its header alone tells it, LPS mm, and what must be said."""

    geometry: Geometry
    notes: tuple[str, ...] = ()


def read_lattice(path: Path) -> Lattice:
    """Read and judge the header of a NIfTI, NRRD or MetaImage file as ``read_raw`` does.

    Raises InputError if its header shows that it is no single 3D volume.
    """
    if _has_suffix(path, nifti.SUFFIXES):
        found = nifti.read_header(path)
        lattice, parts = Lattice(found.geometry, found.notes), 1
    elif _has_suffix(path, nrrd.SUFFIXES):
        header = nrrd.read_header(path)
        lattice, parts = Lattice(header.geometry, header.notes), header.parts
    else:
        meta = metaimage.read_header(path)
        lattice, parts = Lattice(meta.geometry, meta.notes), meta.parts
    if parts > 1:
        raise InputError(f"{path}: expected one number per voxel, but this image has {parts}")
    check_lattice(lattice.geometry, str(path))
    return lattice


def read_raw(path: Path, *, layers: bool = False, series: str = "") -> RawImage:
    """Read an image file, or the DICOM series of a folder.

    layers: allow several numbers per voxel (layered segmentations). series: UID of the DICOM
    series, where a folder holds several; empty for the one with most slices. Raises InputError if
    the file is missing, truncated or damaged, of an unknown type, not 3D, or its lattice is
    unusable. What was accepted with a doubt is said in the image's notes.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    try:
        with _quiet():
            raw = _read(path, series)
    except (RuntimeError, MemoryError) as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    if raw.array.ndim > 3 and not layers:
        parts = raw.array.shape[3]
        raise InputError(f"{path}: expected one number per voxel, but this image has {parts}")
    check_lattice(raw.geometry, str(path))
    return raw


def _read(path: Path, series: str) -> RawImage:
    if path.is_dir():
        return read_series(path, series)
    for suffixes, reader in (
        (nifti.SUFFIXES, nifti.read_nifti),
        (nrrd.SUFFIXES, nrrd.read_nrrd),
        (metaimage.SUFFIXES, metaimage.read_metaimage),
    ):
        if _has_suffix(path, suffixes):
            return reader(path)
    if is_dicom_file(path):
        return read_dicom_file(path)
    return _taken(sitk.ReadImage(str(path)), str(path))


def _has_suffix(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes)


def geometry_of(image: Any, name: str) -> Geometry:
    """Return the lattice of a 3D SimpleITK image (or of a reader that has read the header).

    Raises InputError (beginning with ``name``) if it is not 3D, or its lattice is not usable.
    """
    size = [int(n) for n in image.GetSize()]
    if len(size) != 3:
        text = " x ".join(map(str, size))
        raise InputError(f"{name}: expected one 3D volume, but this is {len(size)}D ({text})")

    try:
        direction = np.array(image.GetDirection()).reshape(3, 3)
        geometry = Geometry(
            (size[0], size[1], size[2]), image.GetSpacing(), image.GetOrigin(), direction
        )
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    return geometry


def check_lattice(geometry: Geometry, name: str) -> None:
    """Raise InputError (beginning with ``name``) for a single slice, or one that is not in mm."""
    if min(geometry.size) < 2:
        raise InputError(
            f"{name}: expected a 3D volume, but this is a single slice (for DICOM give the folder)"
        )
    if geometry.bounds().size.max() > _LARGEST_MM:
        raise InputError(
            f"{name}: the volume is more than 5 m long: its voxel spacing is not in mm"
        )


def _taken(image: sitk.Image, name: str) -> RawImage:
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    return RawImage(sitk.GetArrayFromImage(image), geometry_of(image, name))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ITK from printing warnings to stderr: what matters is raised."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _reason(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, MemoryError):
        return "too large for the memory of this machine"
    if "orthonormal" in text or "determinant" in text.lower():
        return (
            "the volume's axes are sheared or not of unit length: resample it to a straight lattice"
        )
    if "spacing" in text.lower():
        return "voxel spacing must be above 0 mm, but is not"
    if "Unable to determine ImageIO" in text:
        return "is not an image file that can be read (unknown type, or damaged)"
    return "cannot be read; the file is truncated, damaged, or its data file is missing"
