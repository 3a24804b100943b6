"""Trees of CTs for the measurements of cohorts: many real headers, or CTs written as DICOM."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from rprloc.image.volume import Volume

#: Series of one study, and studies of one folder.
PER_STUDY, PER_FOLDER = 4, 25


def write_headers(root: Path, series: int, slices: int) -> None:
    """Write series of slices whose header is that of a scanner, the example of pydicom."""
    marks = [f"2.25.{digit * 34}" for digit in "1234"]
    place = "-99999.9"
    whole = _example(marks, place)
    for number in range(series):
        study = number // PER_STUDY
        folder = root / f"{study // PER_FOLDER:03d}" / f"study{study:05d}" / f"series{number:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        of_series = _replaced(
            whole, marks[:3], [("study", study), ("series", number), ("f", study)]
        )
        for k in range(slices):
            data = _replaced(of_series, marks[3:], [("slice", number, k)])
            position = f"{-75.7 + 2.5 * k:0=+8.1f}".encode()
            (folder / f"IM{k:04d}.dcm").write_bytes(data.replace(place.encode(), position))


def _example(marks: Sequence[str], place: str) -> bytes:
    """Return a slice of a scanner with marks where slices and series differ."""
    data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = marks[:3]
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = marks[3]
    data.ImagePositionPatient = ["-158.135803", "-179.035797", place]
    stream = io.BytesIO()
    data.save_as(stream)
    return stream.getvalue()


def _replaced(data: bytes, marks: Sequence[str], parts: Sequence[tuple[Any, ...]]) -> bytes:
    """Put UIDs of the same length in the places of marks: to write anew takes ten times as long."""
    for mark, part in zip(marks, parts, strict=True):
        digits = int(hashlib.sha256(repr(part).encode()).hexdigest(), 16) % 10**33
        data = data.replace(mark.encode(), f"2.25.1{digits:033d}".encode())
    return data


def write_ct(folder: Path, volume: Volume, patient: str) -> Path:
    """Write a CT as a DICOM series with all that a CT image of the standard must have."""
    folder.mkdir(parents=True, exist_ok=True)
    i, j, k = volume.geometry.size
    axes = volume.geometry.direction
    # Slices follow one another along the third axis of the lattice.
    positions = volume.geometry.index_to_lps(
        np.column_stack([np.zeros(k), np.zeros(k), np.arange(k)])
    ).xyz
    base = _base(volume, patient, axes)
    base.Rows, base.Columns = j, i
    for n in range(k):
        base.SOPInstanceUID = base.file_meta.MediaStorageSOPInstanceUID = uid("slice", patient, n)
        base.InstanceNumber = n + 1
        base.ImagePositionPatient = [_decimal(x) for x in positions[n]]
        base.PixelData = (volume.array[n].astype(np.int16) + 1024).astype("<i2").tobytes()
        base.save_as(folder / f"{n:04d}.dcm", enforce_file_format=True)
    return folder


def _base(volume: Volume, patient: str, axes: np.ndarray) -> Any:
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    data = pydicom.Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.Modality = CTImageStorage, "CT"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.PatientName, data.PatientID = f"Synthetic^{patient}", patient
    data.PatientBirthDate, data.PatientSex, data.StudyID = "", "O", "1"
    data.StudyDate, data.StudyTime, data.AccessionNumber = "20260101", "120000", ""
    data.ReferringPhysicianName, data.Manufacturer = "", "none"
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study", patient), uid("series", patient)
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = uid("frame", patient), ""
    data.SeriesNumber, data.AcquisitionNumber, data.KVP = 1, 1, 120
    data.PatientPosition, data.Laterality = "HFS", ""
    spacing = volume.geometry.spacing
    data.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[0])]
    data.SliceThickness = _decimal(spacing[2])
    data.ImageOrientationPatient = [_decimal(x) for x in (*axes[:, 0], *axes[:, 1])]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
    return data


def _decimal(value: float) -> float:
    """Return a number that a decimal string of 16 characters holds."""
    return float(f"{value:.6f}")


def uid(*parts: Any) -> str:
    """Return the same UID for the same parts."""
    return str(generate_uid(entropy_srcs=[hashlib.sha256(repr(parts).encode()).hexdigest()]))


def break_three(folders: Sequence[Path]) -> None:
    """Break three series: a slice missing, a slice cut in two, and display values."""
    missing, cut, shown = folders[:3]
    sorted(missing.iterdir())[10].unlink()
    half = sorted(cut.iterdir())[10]
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    for path in shown.iterdir():
        data = pydicom.dcmread(path)
        pixels = np.frombuffer(data.PixelData, "<i2")
        data.PixelData = np.clip((pixels - 864) / 400 * 255, 0, 255).astype("<i2").tobytes()
        data.RescaleIntercept = 0
        data.save_as(path)
