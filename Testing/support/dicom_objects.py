"""DICOM files that only pydicom writes: an enhanced CT, a segmentation, and RT structures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rprloc.formats.dicom_files import RT_STRUCTURES, SEGMENTATION
from support.samples import phantom_geometry, phantom_labels

pydicom = pytest.importorskip("pydicom", reason="pydicom writes the files of these tests")

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
AT = phantom_geometry()
AXES = [1, 0, 0, 0, 1, 0]


def enhanced(path: Path, folder: Path, order: list[int]) -> Path:
    """The series of a folder as one enhanced CT, its frames in this order."""
    slices = sorted((pydicom.dcmread(p) for p in folder.iterdir()), key=lambda d: d.InstanceNumber)
    data = slices[0]
    frames = []
    for n in order:
        frame, place = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = slices[n].ImagePositionPatient
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    shared, measures, axes, value = (pydicom.Dataset() for _ in range(4))
    measures.PixelSpacing, axes.ImageOrientationPatient = (
        data.PixelSpacing,
        data.ImageOrientationPatient,
    )
    value.RescaleSlope, value.RescaleIntercept = data.RescaleSlope, data.RescaleIntercept
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [axes]
    shared.PixelValueTransformationSequence = [value]
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = frames
    pixels = b"".join(slices[n].PixelData for n in order)
    data.PixelData, data.NumberOfFrames = pixels, len(order)
    for tag in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(data, tag)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    path.parent.mkdir(exist_ok=True)
    data.save_as(path)
    return path


def dataset(sop_class: str, modality: str) -> Any:
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, "1.2.3.4"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data = pydicom.Dataset()
    data.file_meta, data.SOPClassUID, data.SOPInstanceUID = meta, sop_class, "1.2.3.4"
    data.Modality = modality
    return data


def segmentation(path: Path, names: dict[str, int]) -> Path:
    """A SEG that has frames only where a segment is, in a shuffled order."""
    labels = phantom_labels(AT)
    data = dataset(SEGMENTATION, "SEG")
    shared, measures, axes = (pydicom.Dataset() for _ in range(3))
    measures.PixelSpacing, measures.SpacingBetweenSlices = [6, 6], 6
    axes.ImageOrientationPatient = AXES
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [axes]
    listed, frames = [], []
    for number, (name, value) in enumerate(names.items(), start=1):
        segment = pydicom.Dataset()
        segment.SegmentNumber, segment.SegmentLabel = number, name
        listed.append(segment)
        for k in np.flatnonzero((labels == value).any((1, 2))):
            frame, place, which = (pydicom.Dataset() for _ in range(3))
            place.ImagePositionPatient = AT.index_to_lps([[0, 0, k]]).xyz[0].tolist()
            which.ReferencedSegmentNumber = number
            frame.PlanePositionSequence = [place]
            frame.SegmentIdentificationSequence = [which]
            frames.append((frame, labels[k] == value))
    order = np.random.default_rng(0).permutation(len(frames))
    data.SegmentSequence, data.SharedFunctionalGroupsSequence = listed, [shared]
    data.PerFrameFunctionalGroupsSequence = [frames[n][0] for n in order]
    bits = np.concatenate([frames[n][1].ravel() for n in order])
    packed = np.packbits(bits, bitorder="little").tobytes()
    data.Rows, data.Columns, data.NumberOfFrames = AT.size[1], AT.size[0], len(frames)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 1
    data.HighBit = data.PixelRepresentation = 0
    data.PixelData = packed + b"\0" * (len(packed) % 2)
    data.save_as(path, enforce_file_format=True)
    return path


def structures(path: Path, contours: dict[str, list[tuple[str, np.ndarray]]]) -> Path:
    data = dataset(RT_STRUCTURES, "RTSTRUCT")
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, listed) in enumerate(contours.items(), start=1):
        roi, drawn = pydicom.Dataset(), pydicom.Dataset()
        roi.ROINumber, roi.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for kind, xyz in listed:
            contour = pydicom.Dataset()
            contour.ContourGeometricType = kind
            contour.ContourData = [float(f"{n:.4f}") for n in xyz.ravel()]
            contour.NumberOfContourPoints = len(xyz)
            drawn.ContourSequence.append(contour)
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
    data.save_as(path, enforce_file_format=True)
    return path


def circle(radius: float, z: float, centre: tuple[float, float] = (10.0, -20.0)) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
    return np.column_stack([x, y, np.full_like(x, z)])


def ball(radius: float) -> list[tuple[str, np.ndarray]]:
    heights = np.arange(-radius + 1.5, radius, 3.0)
    return [("CLOSED_PLANAR", circle(np.sqrt(radius**2 - z * z), 100 + z)) for z in heights]
