"""A dense map as a file: a displacement field (NIfTI), or a transform that Slicer opens."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError, OutputError
from ..files import output_errors
from .displacement import DisplacementField, as_array

#: Suffixes, and what they stand for.
IMAGES, TRANSFORMS = (".nii.gz", ".nii", ".nrrd", ".mha"), (".h5", ".tfm")


def check_map_name(path: Path) -> None:
    """Raise InputError if the suffix names no format of maps."""
    if not path.name.lower().endswith((*IMAGES, *TRANSFORMS)):
        known = ", ".join((*IMAGES, *TRANSFORMS))
        raise InputError(f"{path}: a map is written as one of {known}")


def write_map(path: Path, field: DisplacementField) -> None:
    """Write a map from query to reference, LPS mm, as ITK has it.

    Resampling the reference with it brings the reference onto the query; in Slicer, the transform
    applied to a volume, markup or model of the reference does.

    Raises OutputError if it cannot be written, InputError for an unknown suffix.
    """
    check_map_name(path)
    suffix = next(s for s in (*IMAGES, *TRANSFORMS) if path.name.lower().endswith(s))
    temporary = path.with_name(f".{path.name}.tmp{suffix}")
    image = displacement_image(field)
    with output_errors(path):
        try:
            if suffix in TRANSFORMS:
                sitk.WriteTransform(sitk.DisplacementFieldTransform(image), str(temporary))
            else:
                sitk.WriteImage(image, str(temporary))
            temporary.replace(path)
        except RuntimeError as error:
            raise OutputError(f"{path}: the map cannot be written") from error
        finally:
            temporary.unlink(missing_ok=True)


def displacement_image(field: DisplacementField) -> sitk.Image:
    """The displacements as an image of vectors, LPS mm."""
    image = sitk.GetImageFromArray(as_array(field), isVector=True)
    image.SetOrigin([float(v) for v in field.origin])
    image.SetSpacing([field.spacing_mm] * 3)
    return image
