"""Intensity registration of CTs with SimpleITK: maps masks between patients without a network.

Used by the registration baseline (Benchmarks) and by the sample maker (SampleData). Images are
sitk.Image in LPS mm. All transforms map points of the FIXED image to points of the MOVING image, so
that ``sitk.Resample(moving, fixed, transform)`` brings the moving image onto the fixed one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from rprloc.image.body import body_mask
from rprloc.image.hounsfield import BODY_HU
from rprloc.image.resampling import IsotropicVolume, to_grid
from rprloc.image.volume import Volume

WINDOW_HU = (-400.0, 800.0)
# The skin is where a body's intensity changes most: the metric has to see some air around it.
_SKIN_MM = 8.0
# Fine enough for a start within a control point's distance, coarse enough to try every slice.
_SEARCH_MM = 12.0
# A slice with less than this share of the median slice's tissue shows noise or the table.
_LEAST_TISSUE = 0.05


@dataclass(frozen=True, eq=False)
class Subject:
    """A CT made ready for registration; its first and last slice lie inside the scan.

    Attributes:
        image: float32, isotropic, cropped to the body, clipped to WINDOW_HU.
        mask: uint8 on the same lattice, the body and a rim of 8 mm of air.
        name: of the volume.
    """

    image: sitk.Image
    mask: sitk.Image
    name: str


@dataclass(frozen=True)
class Settings:
    """Parameters of the affine and the B-spline stage, chosen on pairs of ``val``.

    sampling: share of the voxels; bspline_sampling: the same at shrink factors 4, 2 and 1.
    control_mm: distance of the B-spline control points.
    """

    bins: int = 32
    sampling: float = 0.15
    affine_iterations: int = 150
    control_mm: float = 70.0
    bspline_iterations: int = 15
    bspline_sampling: tuple[float, float, float] = (0.5, 0.15, 0.06)
    seed: int = 1


def subject_of(volume: Volume, spacing: float = 4.0) -> Subject:
    """Resample to ``spacing`` mm, keep the body only, cut slices beyond the field of view."""
    return subject_of_grid(to_grid(volume, spacing, body_only=True), volume.name)


def subject_of_grid(grid: IsotropicVolume, name: str) -> Subject:
    """Make a Subject of a grid, without the slices that show no patient."""
    first, last = field_of_view(grid.hu)
    hu = np.clip(grid.hu[first : last + 1], *WINDOW_HU)
    body = body_mask(grid.hu[first : last + 1], (grid.spacing,) * 3)
    origin = grid.origin + np.array([0.0, 0.0, first * grid.spacing])
    image = _image(np.asarray(hu, dtype=np.float32), origin, grid.spacing)
    mask = _image(body.astype(np.uint8), origin, grid.spacing)
    steps = max(1, round(_SKIN_MM / grid.spacing))
    return Subject(image, sitk.BinaryDilate(mask, [steps] * 3, sitk.sitkBall), name)


def field_of_view(hu: npt.NDArray[np.float32]) -> tuple[int, int]:
    """First and last slice of ``hu`` (z, y, x) that shows a patient, not air beyond the scan."""
    tissue = (hu > BODY_HU).sum(axis=(1, 2))
    shown = np.flatnonzero(tissue > _LEAST_TISSUE * np.median(tissue[tissue > 0]))
    return int(shown[0]), int(shown[-1])


def affine(
    fixed: Subject, moving: Subject, settings: Settings = Settings()
) -> sitk.AffineTransform:
    """Affine registration: a search along the patient axis, then mutual information, 3 levels."""
    start = axial_start(fixed, moving)
    method = _mutual_information(settings)
    method.SetMetricFixedMask(fixed.mask)
    method.SetInitialTransform(start, inPlace=False)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2.0, 1.0, 0.0])
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=4.0,
        minStep=0.02,
        numberOfIterations=settings.affine_iterations,
        relaxationFactor=0.6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    # Newer versions of SimpleITK wrap the result in a composite transform.
    result = method.Execute(fixed.image, moving.image)
    return sitk.AffineTransform(
        result.GetBackTransform() if hasattr(result, "GetBackTransform") else result
    )


def bspline(
    fixed: Subject, moving: Subject, start: sitk.Transform, settings: Settings = Settings()
) -> sitk.Transform:
    """Free-form refinement of ``start``: cubic B-splines, three levels of mutual information.

    Few iterations on purpose: nothing else regularises the splines, and longer runs made organs
    overlap less.
    """
    size = np.array(fixed.image.GetSize()) * np.array(fixed.image.GetSpacing())
    mesh = np.maximum(1, np.rint(size / settings.control_mm)).astype(int).tolist()
    method = _mutual_information(settings)
    method.SetMetricSamplingPercentagePerLevel(settings.bspline_sampling, settings.seed)
    method.SetMetricFixedMask(fixed.mask)
    method.SetMovingInitialTransform(start)
    method.SetInitialTransform(sitk.BSplineTransformInitializer(fixed.image, mesh, 3), inPlace=True)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2.0, 1.0, 0.0])
    method.SetOptimizerAsLBFGSB(
        gradientConvergenceTolerance=1e-6,
        numberOfIterations=settings.bspline_iterations,
        maximumNumberOfCorrections=5,
        maximumNumberOfFunctionEvaluations=2 * settings.bspline_iterations,
        costFunctionConvergenceFactor=1e7,
    )
    refined = method.Execute(fixed.image, moving.image)
    return sitk.CompositeTransform([start, refined])


def _mutual_information(settings: Settings) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(settings.bins)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(settings.sampling, settings.seed)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def axial_start(fixed: Subject, moving: Subject) -> sitk.AffineTransform:
    """Best translation of a search along z, from body centre to body centre in the plane.

    Two fields of view rarely show the same part of the patient, so that their centres may lie 10 cm
    apart; only slices that face each other count.
    """
    coarse = [_shrunk(subject.image) for subject in (fixed, moving)]
    arrays = [sitk.GetArrayFromImage(image) for image in coarse]
    best = max(
        _shifts(arrays[0].shape[0], arrays[1].shape[0]),
        key=lambda shift: _agreement(arrays, shift)[0],
    )
    start = sitk.AffineTransform(3)
    start.SetCenter(
        fixed.image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in fixed.image.GetSize()])
    )
    in_plane = _agreement(arrays, best)[1]
    step = _SEARCH_MM * np.array([*in_plane, best])
    start.SetTranslation(
        (np.array(coarse[1].GetOrigin()) + step - np.array(coarse[0].GetOrigin())).tolist()
    )
    return start


def _shrunk(image: sitk.Image) -> sitk.Image:
    """Smooth and resample to _SEARCH_MM."""
    smooth = sitk.SmoothingRecursiveGaussian(image, _SEARCH_MM / 2)
    size = [
        max(1, round(n * s / _SEARCH_MM))
        for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)
    ]
    return sitk.Resample(
        smooth,
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        image.GetOrigin(),
        [_SEARCH_MM] * 3,
        image.GetDirection(),
        WINDOW_HU[0],
    )


def _shifts(fixed_slices: int, moving_slices: int) -> range:
    """Slice offsets (moving - fixed) at which half of the shorter volume faces the other."""
    least = max(1, (min(fixed_slices, moving_slices) + 1) // 2)
    return range(least - fixed_slices, moving_slices - least + 1)


def _agreement(arrays: list[npt.NDArray[np.float32]], shift: int) -> tuple[float, tuple[int, int]]:
    """Correlation of the facing slices at ``shift``, and x, y (voxels) from body to body centre."""
    first = max(0, -shift)
    last = min(arrays[0].shape[0], arrays[1].shape[0] - shift)
    fixed, moving = arrays[0][first:last], arrays[1][first + shift : last + shift]
    offset = [round(a - b) for a, b in zip(_middle(moving), _middle(fixed), strict=True)]
    shape = np.maximum(fixed.shape, moving.shape)[1:] + np.abs(offset)
    placed = np.full((2, last - first, *(2 * shape)), WINDOW_HU[0], dtype=np.float32)
    for canvas, array, (x, y) in ((placed[0], fixed, offset), (placed[1], moving, [0, 0])):
        low = shape // 2 + [y, x]
        canvas[:, low[0] : low[0] + array.shape[1], low[1] : low[1] + array.shape[2]] = array
    body = (placed > BODY_HU).any(axis=0)
    return float(np.corrcoef(placed[0][body], placed[1][body])[0, 1]), (offset[0], offset[1])


def _middle(array: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Centre x, y (voxels) of the tissue of all slices."""
    _, y, x = np.nonzero(array > BODY_HU)
    return (float(x.mean()), float(y.mean())) if len(x) else (0.0, 0.0)


def _image(
    array: npt.NDArray[np.float32] | npt.NDArray[np.uint8], origin: npt.ArrayLike, mm: float
) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(np.asarray(origin, dtype=np.float64).tolist())
    image.SetSpacing([mm] * 3)
    return image
