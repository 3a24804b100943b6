"""Image files and DICOM folders as an array, its lattice and its text fields.

Every failure is one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..geometry import Geometry
from . import metaimage, nifti, nrrd
from .dicom import read_series
from .raw import RawImage
from .text_header import Declared

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
    declared = _declared(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with _quiet():
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    spacing = tuple(s * declared.mm for s in reader.GetSpacing())
    return Header(tuple(reader.GetSize()), spacing, reader.GetNumberOfComponents())


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
            if path.is_dir():
                return _taken(read_series(path, series), str(path), layers)
            if _has_suffix(path, nifti.SUFFIXES):
                return _checked(nifti.read_nifti(path), str(path))
            declared = _declared(path)
            return _in_mm(_taken(sitk.ReadImage(str(path)), str(path), layers), declared, str(path))
    except (RuntimeError, MemoryError) as error:
        raise InputError(f"{path}: {_reason(error)}") from error


def _has_suffix(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes)


def _declared(path: Path) -> Declared:
    """What the header tells that ITK does not hand over; raises InputError."""
    try:
        if _has_suffix(path, nrrd.SUFFIXES):
            return nrrd.declared_by_nrrd(path)
        if _has_suffix(path, metaimage.SUFFIXES):
            return metaimage.declared_by_metaimage(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return Declared()


def _in_mm(raw: RawImage, declared: Declared, name: str) -> RawImage:
    """Turn ITK's lattice, which is in the file's unit, into mm, and add the header's notes."""
    lattice = raw.geometry
    if declared.mm != 1.0:
        lattice = Geometry(
            lattice.size,
            lattice.spacing * declared.mm,
            lattice.origin * declared.mm,
            lattice.direction,
        )
    return _checked(replace(raw, geometry=lattice, notes=(*raw.notes, *declared.notes)), name)


def _checked(raw: RawImage, name: str) -> RawImage:
    check_lattice(raw.geometry, name)
    return raw


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


def _taken(image: sitk.Image, name: str, layers: bool) -> RawImage:
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]

    parts = image.GetNumberOfComponentsPerPixel()
    if parts != 1 and not layers:
        raise InputError(f"{name}: expected one number per voxel, but this image has {parts}")

    geometry = geometry_of(image, name)
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return RawImage(sitk.GetArrayFromImage(image), geometry, fields)


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
