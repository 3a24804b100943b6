"""DICOM segmentations (SEG) and RT structures as targets: the command line's way in.

Inside Slicer its own importers read them. Both need pydicom (extra ``dicom``).
"""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..formats.dicom_files import LABEL_MAP, RT_STRUCTURES, SEGMENTATION
from ..formats.discovery import is_dicom_file, sop_class_of
from ..formats.pydicom_reading import damage_refused, read_dataset
from .dicom_segmentation import segments_of
from .dicom_structures import structures_of
from .layers import DicomTargets

_SEGMENTATIONS = (SEGMENTATION, LABEL_MAP)


def is_dicom_target(path: Path) -> bool:
    """Tell a DICOM segmentation or RT structure set by its SOP class."""
    return (
        path.is_file()
        and is_dicom_file(path)
        and sop_class_of(path) in (*_SEGMENTATIONS, RT_STRUCTURES)
    )


def read_dicom_targets(path: Path) -> DicomTargets:
    """Read a SEG or RTSTRUCT.

    Raises InputError, whose text begins with the path, if pydicom is missing, or the file is
    damaged or marks nothing.
    """
    is_segmentation = sop_class_of(path) in _SEGMENTATIONS
    what = "a DICOM segmentation" if is_segmentation else "a file of DICOM RT structures"
    save_as = ".seg.nrrd"
    try:
        data = read_dataset(path, what, save_as)
        with damage_refused():
            return segments_of(data, path) if is_segmentation else structures_of(data, path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
