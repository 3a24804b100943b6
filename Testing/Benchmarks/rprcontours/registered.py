"""Contours that registration carries, which is what a Slicer user would do without this product.

Both programs get the same images (4 mm, the body and a rim of air) and the same start along the
patient axis (Testing/registration.py).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import itk
import numpy as np
import SimpleITK as sitk
from registration import Settings, Subject, affine, axial_start, bspline, subject_of

from rprbench.methods.registration import SPACING_MM, carried, on_lattice
from rprloc.image.volume import Volume

from .cases import Case
from .methods import ContourMethod, Found

#: Of elastix' default parameter maps.
RESOLUTIONS = 3


class _Registered(ContourMethod):
    """The reference's masks through one transform."""

    def learn(self, references: Sequence[Case]) -> Case:
        """The only reference."""
        return references[0]

    def find(self, learned: Case, query: Volume) -> Found:
        """Register, and carry the masks."""
        fixed, moving = subject_of(query, SPACING_MM), subject_of(learned.volume, SPACING_MM)
        moved = on_lattice(self.transform(fixed, moving), query.geometry)
        masks = {
            name: carried(mask, learned.geometry, moved, query.geometry)
            for name, mask in learned.masks.items()
        }
        return Found(masks)

    @abstractmethod
    def transform(self, fixed: Subject, moving: Subject) -> sitk.Transform:
        """From points of ``fixed`` to points of ``moving``."""


class Registered(_Registered):
    """SimpleITK, as in the benchmark of boxes."""

    def __init__(self, with_bspline: bool) -> None:
        self.name = "bspline" if with_bspline else "affine"
        self.settings = Settings()

    def transform(self, fixed: Subject, moving: Subject) -> sitk.Transform:
        """Affine; then B-splines, if they are asked for."""
        found = affine(fixed, moving, self.settings)
        return found if self.name == "affine" else bspline(fixed, moving, found, self.settings)


class Elastix(_Registered):
    """itk-elastix with its default parameter maps, affine then B-spline, in the body's mask."""

    name = "elastix"

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def transform(self, fixed: Subject, moving: Subject) -> sitk.Transform:
        """The displacement at every voxel of ``fixed``, linear in between."""
        shift = np.array(axial_start(fixed, moving).GetTranslation())
        parameters = itk.ParameterObject.New()
        for kind in ("affine", "bspline"):
            chosen = parameters.GetDefaultParameterMap(kind, RESOLUTIONS)
            # The start is given; masks and few samples need more tries.
            chosen["AutomaticTransformInitialization"] = ["false"]
            parameters.AddParameterMap(chosen)
        _, found = itk.elastix_registration_method(
            _itk(fixed.image),
            _itk(moving.image, shift),
            fixed_mask=_itk(fixed.mask),
            parameter_object=parameters,
            number_of_threads=self.threads,
            log_to_console=False,
        )
        with TemporaryDirectory() as folder:
            field = itk.transformix_deformation_field(
                _itk(moving.image, shift), found, output_directory=str(Path(folder))
            )
        array = itk.array_from_image(field).astype(np.float64) + shift
        image = sitk.GetImageFromArray(array, isVector=True)
        image.CopyInformation(fixed.image)
        return sitk.DisplacementFieldTransform(image)


def _itk(image: sitk.Image, shift: np.ndarray | float = 0.0) -> itk.Image:
    """The same for itk, moved against ``shift`` (mm); axes along the patient."""
    copy = itk.image_from_array(sitk.GetArrayFromImage(image))
    copy.SetSpacing(list(image.GetSpacing()))
    copy.SetOrigin((np.array(image.GetOrigin()) - shift).tolist())
    return copy
