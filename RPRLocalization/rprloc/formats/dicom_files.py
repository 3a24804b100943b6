"""One DICOM file: what kind it is, and what its header tells of a slice.

Read by GDCM (SimpleITK), which Slicer has too; only the SOP class is read here, because it stands
at a fixed place and GDCM refuses files without an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import SimpleITK as sitk

from ..errors import InputError
from .dicom_elements import is_native, wholeness
from .discovery import is_dicom_file, is_image, sop_class_of

SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
RT_STRUCTURES: Final = "1.2.840.10008.5.1.4.1.1.481.3"

#: Bits allocated and stored, signedness, rescale slope and intercept.
_STORAGE = ("0028|0100", "0028|0101", "0028|0103", "0028|1053", "0028|1052")
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_PIXEL_DATA_BIG = b"\x7f\xe0\x00\x10"
_UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True)
class DicomFile:
    """What the header of one file tells; empty tuples and texts where it tells nothing.

    Attributes:
        path: of the file.
        series, study, frame_of_reference: UIDs.
        modality, patient, image_type, photometric: as stored.
        position: (3,) of the first voxel's centre, LPS mm. axes: (6,) directions of the rows and
            of the columns.
        spacing: between rows, and between columns, mm.
        rows, columns, frames, samples: of the image.
        storage: bits allocated, stored, signedness, rescale slope and intercept, as texts.
        longer: bytes follow its last element.
    """

    path: Path
    series: str
    study: str
    frame_of_reference: str
    modality: str
    patient: str
    image_type: str
    photometric: str
    position: tuple[float, ...]
    axes: tuple[float, ...]
    spacing: tuple[float, ...]
    rows: int
    columns: int
    frames: int
    samples: int
    storage: tuple[str, ...]
    longer: bool


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files directly in a folder, sorted by name; those without any mark by GDCM."""
    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error})") from error
    others = [path for path in inside if not is_image(path.name) and path.is_file()]
    marked = [path for path in others if is_dicom_file(path)]
    if marked:
        return marked
    reader = sitk.ImageSeriesReader
    uids = reader.GetGDCMSeriesIDs(str(folder)) if others else ()
    names = [name for uid in uids for name in reader.GetGDCMSeriesFileNames(str(folder), uid)]
    return sorted({Path(name) for name in names} & set(others))


def read_dicom_header(path: Path) -> DicomFile | None:
    """Read the header of one file; None if it is damaged or holds no image."""
    try:
        whole = wholeness(path.read_bytes())
    except OSError:
        return None
    if whole == "damaged":
        return None
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    try:
        reader.ReadImageInformation()
        size = reader.GetSize()
    except RuntimeError:
        return None

    def text(tag: str) -> str:
        try:
            return str(reader.GetMetaData(tag)).strip(" \0") if reader.HasMetaDataKey(tag) else ""
        except (RuntimeError, TypeError):
            # GDCM hands on bytes that are no text.
            return ""

    return DicomFile(
        path=path,
        series=text("0020|000e"),
        study=text("0020|000d"),
        frame_of_reference=text("0020|0052"),
        modality=text("0008|0060"),
        patient=text("0010|0020"),
        image_type=text("0008|0008"),
        photometric=text("0028|0004"),
        position=_numbers(text("0020|0032"), 3),
        axes=_numbers(text("0020|0037"), 6),
        spacing=_numbers(text("0028|0030"), 2),
        rows=int(size[1]),
        columns=int(size[0]),
        frames=int(size[2]) if len(size) > 2 else 1,
        samples=reader.GetNumberOfComponents(),
        storage=tuple(text(tag) for tag in _STORAGE),
        longer=whole == "longer",
    )


def kind_of_other(path: Path) -> str:
    """Say in words what a DICOM file is that holds no CT; empty for all others."""
    return {
        SEGMENTATION: "is a DICOM segmentation",
        RT_STRUCTURES: "holds DICOM RT structures",
        "1.2.840.10008.1.3.10": "is a DICOMDIR, a list of files",
        "1.2.840.10008.5.1.4.1.1.481.5": "holds a DICOM RT plan",
        "1.2.840.10008.5.1.4.1.1.481.2": "holds a DICOM RT dose",
    }.get(sop_class_of(path), "")


def missing_pixel_bytes(file: DicomFile) -> int:
    """Return by how many bytes the pixel data of a file is too short; 0 if it is whole.

    GDCM fills what is missing with 0. Compressed pixels, whose length nobody knows beforehand,
    count as whole: their decoder finds what is missing.
    """
    bits = file.storage[0]
    if not bits.isdecimal():
        return 0
    wanted = file.rows * file.columns * file.frames * file.samples * int(bits) // 8
    data = file.path.read_bytes()
    if not is_native(data):
        return 0
    at = data.rfind(_PIXEL_DATA)
    if at < 0:
        # In big endian the tag reads otherwise, and its values are left to GDCM.
        return 0 if data.rfind(_PIXEL_DATA_BIG) >= 0 else wanted

    explicit = data[at + 4 : at + 6] in (b"OW", b"OB")
    start = at + (12 if explicit else 8)
    length = int.from_bytes(data[start - 4 : start], "little")
    if length == _UNDEFINED_LENGTH:
        return 0
    return max(0, wanted - min(length, len(data) - start))


def _numbers(text: str, count: int) -> tuple[float, ...]:
    """Return the numbers of a text that backslashes part; empty unless there are ``count``."""
    try:
        found = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return ()
    return found if len(found) == count and all(abs(n) < 1e9 for n in found) else ()
