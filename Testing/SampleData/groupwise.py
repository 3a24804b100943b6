"""Many CTs brought into one frame by affine and demons registration, and their median.

Images are sitk.Image, points LPS mm. A Placement maps points of the common frame to points of one
patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from registration import WINDOW_HU, Settings, Subject, affine, subject_of_grid

from rprloc.image.hounsfield import BODY_HU
from rprloc.image.resampling import IsotropicVolume

AIR_HU = -1000
# Marks voxels that a scan does not reach; no HU is that low, and interpolation keeps it apart.
_BEYOND = -5000.0
_PAD_MM = 24.0
_ASIDE_MM = 150.0
_AFFINE = Settings(sampling=0.1, affine_iterations=100)

IntArray = npt.NDArray[np.int16]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Level:
    """One demons level; ``mm``: of its lattice; ``sigma``: smoothing, in voxels of that lattice."""

    mm: float
    iterations: int
    sigma: float


FIRST_ROUND = (Level(12.0, 30, 1.5), Level(8.0, 30, 1.5))
SECOND_ROUND = (Level(8.0, 15, 1.5), Level(4.0, 15, 1.75))
THIRD_ROUND = (*FIRST_ROUND, Level(4.0, 15, 1.75))


@dataclass(frozen=True, eq=False)
class Placement:
    """x (frame) -> affine(x + field(x)) (patient)."""

    affine: sitk.AffineTransform
    field: sitk.Image

    @property
    def transform(self) -> sitk.Transform:
        """The map as one SimpleITK transform."""
        return sitk.CompositeTransform(
            [self.affine, sitk.DisplacementFieldTransform(sitk.Image(self.field))]
        )

    def after(self, residual: sitk.Image) -> Placement:
        """Return the map that moves by the displacement field ``residual`` first."""
        parts = [sitk.DisplacementFieldTransform(sitk.Image(f)) for f in (self.field, residual)]
        return Placement(self.affine, field_of(sitk.CompositeTransform(parts), self.field))


def lattice_of(image: sitk.Image, pad_mm: float = _PAD_MM) -> sitk.Image:
    """Return an image of air on the lattice of ``image``, larger by ``pad_mm`` on every side."""
    pad = [round(pad_mm / s) for s in image.GetSpacing()]
    return sitk.ConstantPad(image, pad, pad, WINDOW_HU[0]) * 0.0 + WINDOW_HU[0]


def field_of(transform: sitk.Transform, lattice: sitk.Image) -> sitk.Image:
    """Return the displacement field of ``transform`` on ``lattice``."""
    return sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        lattice.GetSize(),
        lattice.GetOrigin(),
        lattice.GetSpacing(),
        lattice.GetDirection(),
    )


def zero_field(lattice: sitk.Image) -> sitk.Image:
    """Return the displacement field of the identity."""
    return field_of(sitk.Transform(3, sitk.sitkIdentity), lattice)


def place(frame: Subject, lattice: sitk.Image, subject: Subject) -> Placement:
    """Affine placement of ``subject`` in ``frame``; its (empty) field lives on ``lattice``."""
    return Placement(affine(frame, subject, _AFFINE), zero_field(lattice))


def unbiased(placements: Sequence[Placement]) -> list[Placement]:
    """Free affine placements of the frame's own size and tilt.

    The inverse of their mean matrix goes before each. All must turn about the same centre, as
    ``place`` makes them in one frame.
    """
    mean = np.mean([placement.affine.GetMatrix() for placement in placements], axis=0).reshape(3, 3)
    inverse = np.linalg.inv(mean)
    freed = []
    for placement in placements:
        copy = sitk.AffineTransform(placement.affine)
        copy.SetMatrix((np.array(copy.GetMatrix()).reshape(3, 3) @ inverse).ravel().tolist())
        freed.append(Placement(copy, placement.field))
    return freed


def frame_of(image: sitk.Image) -> Subject:
    """Make a Subject of the frame's current image: clipped, and cut where it shows nothing."""
    hu = sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))
    return subject_of_grid(
        IsotropicVolume(hu, np.array(image.GetOrigin()), image.GetSpacing()[0]), "frame"
    )


def refine(
    fixed: sitk.Image, subject: Subject, placement: Placement, levels: Iterable[Level]
) -> Placement:
    """Demons refinement of ``placement`` to the image ``fixed``.

    What lies beyond the subject's scan pulls nothing: there, both images are the same.
    """
    for level in levels:
        goal = _coarser(fixed, level.mm)
        seen = sitk.Resample(
            _smoothed(subject.image, level.mm), goal, placement.transform, sitk.sitkLinear, _BEYOND
        )
        beyond = sitk.Cast(seen < WINDOW_HU[0] - 1, sitk.sitkFloat32)
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(level.iterations)
        demons.SetStandardDeviations(level.sigma)
        demons.SetMaximumUpdateStepLength(1.0)
        residual = demons.Execute(goal, seen * (1 - beyond) + goal * beyond)
        placement = placement.after(_on(residual, placement.field))
    return placement


def _smoothed(image: sitk.Image, mm: float) -> sitk.Image:
    fine = max(image.GetSpacing()) > 0.9 * mm
    return image if fine else sitk.SmoothingRecursiveGaussian(image, mm / 2)


def _coarser(image: sitk.Image, mm: float) -> sitk.Image:
    size = [
        max(4, round(n * s / mm)) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)
    ]
    return sitk.Resample(
        _smoothed(image, mm),
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        image.GetOrigin(),
        [mm] * 3,
        image.GetDirection(),
        WINDOW_HU[0],
    )


def _on(field: sitk.Image, lattice: sitk.Image) -> sitk.Image:
    return sitk.Resample(
        field, lattice, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkVectorFloat64, True
    )


def recentred(placements: Sequence[Placement]) -> list[Placement]:
    """Move the frame to the patients' mean shape: every field is freed of the mean field."""
    mean = sitk.GetImageFromArray(
        np.mean([sitk.GetArrayViewFromImage(p.field) for p in placements], axis=0), isVector=True
    )
    mean.CopyInformation(placements[0].field)
    back = sitk.InvertDisplacementField(mean, maximumNumberOfIterations=30)
    return [placement.after(back) for placement in placements]


def correlation(image: sitk.Image, subject: Subject, placement: Placement) -> float:
    """Correlation of ``image`` with the placed subject, where that was scanned, in tissue."""
    seen = sitk.GetArrayFromImage(
        sitk.Resample(subject.image, image, placement.transform, sitk.sitkLinear, _BEYOND)
    )
    goal = sitk.GetArrayViewFromImage(image)
    used = (seen > WINDOW_HU[0] - 1) & ((seen > BODY_HU) | (goal > BODY_HU))
    return float(np.corrcoef(seen[used], goal[used])[0, 1])


def placed(image: sitk.Image, placement: Placement, lattice: sitk.Image) -> IntArray:
    """HU (z, y, x) of a patient (scan as stored, identity direction) on ``lattice``.

    _BEYOND above and below the scan, but air beside it: only its first and last slice cut the
    patient.
    """
    aside = [round(_ASIDE_MM / s) for s in image.GetSpacing()[:2]] + [0]
    wide = sitk.ConstantPad(image, aside, aside, AIR_HU)
    seen = sitk.Resample(
        wide, lattice, placement.transform, sitk.sitkLinear, _BEYOND, sitk.sitkFloat32
    )
    return np.asarray(np.rint(sitk.GetArrayViewFromImage(seen)), dtype=np.int16)


def median(stack: IntArray, least: int) -> tuple[IntArray, npt.NDArray[np.intp]]:
    """Median over the patients (n, z, y, x) whose scan reaches a voxel, and their number.

    Air where they are fewer than ``least``.
    """
    count = (stack > AIR_HU - 1000).sum(axis=0)
    ordered = np.sort(stack, axis=0)
    first = len(stack) - count
    low = np.take_along_axis(
        ordered, np.minimum(first + (count - 1) // 2, len(stack) - 1)[None], axis=0
    )[0]
    high = np.take_along_axis(
        ordered, np.minimum(first + count // 2, len(stack) - 1)[None], axis=0
    )[0]
    middle = (low.astype(np.int32) + high) // 2
    return np.where(count >= least, middle, AIR_HU).astype(np.int16), count
