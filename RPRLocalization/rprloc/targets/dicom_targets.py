"""DICOM segmentations (SEG), RT structures and reports (SR) as targets of the command line.

Inside Slicer its own importers read them. Both need pydicom (extra ``dicom``).
"""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..formats.dicom_files import LABEL_MAP, REPORT, RT_STRUCTURES, SEGMENTATION
from ..formats.discovery import is_dicom_file, sop_class_of
from ..formats.pydicom_reading import damage_refused, read_dataset
from .dicom_report import marks_of_report
from .dicom_segmentation import segments_of
from .dicom_structures import structures_of
from .layers import DicomTargets

_SEGMENTATIONS = (SEGMENTATION, LABEL_MAP)
_KINDS = {RT_STRUCTURES: "a file of DICOM RT structures", REPORT: "a DICOM report"}


def is_dicom_target(path: Path) -> bool:
    """Tell a DICOM segmentation, RT structure set or 3D report by its SOP class."""
    return (
        path.is_file()
        and is_dicom_file(path)
        and sop_class_of(path) in (*_SEGMENTATIONS, RT_STRUCTURES, REPORT)
    )


def read_dicom_targets(path: Path) -> DicomTargets:
    """Read a SEG, RTSTRUCT or SR.

    Raises InputError, whose text begins with the path, if pydicom is missing, or the file is
    damaged or marks nothing.
    """
    sop_class = sop_class_of(path)
    what = _KINDS.get(sop_class, "a DICOM segmentation")
    save_as = ".seg.nrrd"
    try:
        data = read_dataset(path, what, save_as)
        with damage_refused():
            if sop_class == REPORT:
                return marks_of_report(data)
            return (structures_of if sop_class == RT_STRUCTURES else segments_of)(data, path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
