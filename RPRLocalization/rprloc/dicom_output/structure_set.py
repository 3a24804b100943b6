"""Results as DICOM RT structures: a box as closed rectangles on the slices, a landmark as a point.

A box rarely ends on a slice; so its walls stand in the description of the structure too, where
rprloc reads them again, as long as the contours agree with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from .. import __version__
from ..geometry import Box, FloatArray
from ..localization.result import Result
from ..targets.box_description import describe_box
from ..targets.markups import unique
from .report import NAME
from .source_series import SourceSeries

_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID"),
    *("AccessionNumber", "StudyDescription"),
)
#: Slices are axial if their normal leans less than this from z.
_AXIAL = 1e-3
_LONGEST_NAME, _LONGEST_LABEL = 64, 16
_COLORS = ((255, 107, 107), (76, 201, 240), (255, 210, 63), (122, 229, 130), (199, 155, 255))


def structure_set_of(source: SourceSeries, results: Sequence[Result]) -> Any:
    """Return the data set of the targets that were found in a series."""
    found = [result for result in results if result.found and result.center is not None]
    data = _head(source)
    data.ReferencedFrameOfReferenceSequence = [_frame(source)]
    names = unique([_name(result.target) for result in found])
    pairs = list(enumerate(zip(names, found, strict=True), start=1))
    data.StructureSetROISequence = [
        _structure(source, n, name, result) for n, (name, result) in pairs
    ]
    data.ROIContourSequence = [_drawn(source, n, result) for n, (_, result) in pairs]
    data.RTROIObservationsSequence = [_observation(n, result) for n, (_, result) in pairs]
    return data


def _head(source: SourceSeries) -> Any:
    """Return patient, study, series and equipment."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

    now = datetime.now()
    meta = FileMetaDataset()
    data: Any = Dataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = meta.MediaStorageSOPClassUID = RTStructureSetStorage
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
    data.file_meta = meta
    data.SpecificCharacterSet = "ISO_IR 192"
    for name in (*_PATIENT, *_STUDY):
        # Of these the standard wants all, though empty, but for the description.
        if name in source.first or name != "StudyDescription":
            setattr(data, name, getattr(source.first, name, ""))
    data.Modality, data.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    data.SeriesNumber, data.InstanceNumber = 9002, 1
    data.SeriesDescription = f"{NAME} {__version__}: research, not for diagnosis"
    data.OperatorsName, data.FrameOfReferenceUID = "", source.frame_of_reference
    data.PositionReferenceIndicator = ""
    data.Manufacturer = data.ManufacturerModelName = NAME
    data.SoftwareVersions = __version__
    data.StructureSetLabel = NAME
    data.InstanceCreationDate = data.StructureSetDate = now.strftime("%Y%m%d")
    data.InstanceCreationTime = data.StructureSetTime = now.strftime("%H%M%S")
    data.ApprovalStatus = "UNAPPROVED"
    return data


def _frame(source: SourceSeries) -> Any:
    """Return the reference to frame, study and series, with all of its slices."""
    from pydicom.dataset import Dataset

    by_series: dict[str, list[Any]] = {}
    for one in source.slices:
        by_series.setdefault(str(one.SeriesInstanceUID), []).append(_reference(one))
    listed = []
    for uid, images in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ContourImageSequence = uid, images
        listed.append(series)
    study, frame = Dataset(), Dataset()
    # Detached Study Management, which is retired, but what the standard still asks for here.
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    study.ReferencedSOPInstanceUID = source.first.StudyInstanceUID
    study.RTReferencedSeriesSequence = listed
    frame.FrameOfReferenceUID = source.frame_of_reference
    frame.RTReferencedStudySequence = [study]
    return frame


def _reference(image: Any) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item


def _structure(source: SourceSeries, number: int, name: str, result: Result) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ROINumber, item.ROIName = number, name
    item.ReferencedFrameOfReferenceUID = source.frame_of_reference
    numbers = (("spread", result.spread_mm), ("cycle", result.cycle_mm))
    facts = [f"{what} {value:.1f} mm" for what, value in numbers if value is not None]
    walls = []
    if result.box is not None:
        walls = [describe_box(result.box, [z for z, _ in _planes(source, result.box)])]
    item.ROIDescription = "; ".join([f"{NAME}: {result.status}", *facts, *walls])
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    return item


def _observation(number: int, result: Result) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.ROIObservationLabel = str(result.status)[:_LONGEST_LABEL]
    item.RTROIInterpretedType = "ORGAN" if result.box is not None else "MARKER"
    item.ROIInterpreter = ""
    return item


def _drawn(source: SourceSeries, number: int, result: Result) -> Any:
    """Return the contours of one target."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedROINumber = number
    item.ROIDisplayColor = list(_COLORS[(number - 1) % len(_COLORS)])
    if result.box is None:
        assert result.center is not None
        item.ContourSequence = [_contour("POINT", np.asarray(result.center)[None], None)]
    else:
        planes = _planes(source, result.box)
        item.ContourSequence = [
            _contour("CLOSED_PLANAR", _rectangle(result.box, z), image) for z, image in planes
        ]
    return item


def _planes(source: SourceSeries, box: Box) -> list[tuple[float, Any]]:
    """Return the heights of the contours of a box, each with the slice that it lies on.

    Slices that are not axial carry no contour of a box along the patient axes; contours are then
    drawn as far apart as the slices, and refer to none.
    """
    lower, upper = float(box.lower[2]), float(box.upper[2])
    normal = source.geometry.direction[:, 2]
    step = float(source.geometry.spacing[2])
    if abs(abs(float(normal[2])) - 1.0) > _AXIAL or len(source.slices) < 2:
        count = max(1, round((upper - lower) / step))
        return [(lower + (n + 0.5) * (upper - lower) / count, None) for n in range(count)]
    slices = [(float(one.ImagePositionPatient[2]), one) for one in source.slices]
    inside = [pair for pair in slices if lower <= pair[0] <= upper]
    middle = (lower + upper) / 2
    # Thinner than the slices are apart: it is drawn on the nearest.
    return inside or [min(slices, key=lambda pair: abs(pair[0] - middle))]


def _rectangle(box: Box, z: float) -> FloatArray:
    (x0, y0), (x1, y1) = box.lower[:2], box.upper[:2]
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], dtype=np.float64)


def _contour(kind: str, points: FloatArray, image: Any) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    if image is not None:
        item.ContourImageSequence = [_reference(image)]
    item.ContourGeometricType = kind
    item.NumberOfContourPoints = len(points)
    item.ContourData = [f"{value:.4f}" for value in points.ravel()]
    return item


def _name(target: str) -> str:
    return " ".join(target.replace("\\", "/").split())[:_LONGEST_NAME] or "target"
