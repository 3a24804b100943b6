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
from .dicom_elements import layout
from .discovery import is_dicom_file, is_image, sop_class_of

SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"
REPORT: Final = "1.2.840.10008.5.1.4.1.1.88.34"
RT_STRUCTURES: Final = "1.2.840.10008.5.1.4.1.1.481.3"

#: Beginnings of the UIDs of what holds no CT, the longer ones first, and what it is.
_STORED = "1.2.840.10008.5.1.4.1.1."
_OTHERS = (
    (SEGMENTATION, "is a DICOM segmentation"),
    (LABEL_MAP, "is a DICOM segmentation"),
    (RT_STRUCTURES, "holds DICOM RT structures"),
    ("1.2.840.10008.1.3.10", "is a DICOMDIR, a list of files"),
    (f"{_STORED}481.5", "holds a DICOM RT plan"),
    (f"{_STORED}481.2", "holds a DICOM RT dose"),
    (f"{_STORED}66", "holds DICOM data that are no image"),
    (f"{_STORED}88.", "is a DICOM report"),
    (f"{_STORED}104.", "is a document inside DICOM"),
    (f"{_STORED}11.", "says how DICOM images are shown"),
)

#: Bits allocated and stored, signedness, rescale slope and intercept.
_STORAGE = ("0028|0100", "0028|0101", "0028|0103", "0028|1053", "0028|1052")
#: Empty slices of 512 x 512 are packed about 500 times by JPEG-LS, 60 times by RLE.
_TIGHTEST = 2000


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
        rescale_type: unit of the rescaled values; empty or HU in a CT.
        sop_class: UID of what the file is.
        longer: bytes follow its last element.
        pixel_bytes: of its pixel data; None if they are packed.
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
    rescale_type: str
    sop_class: str
    longer: bool
    pixel_bytes: int | None


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files directly in a folder, sorted by name; those without any mark by GDCM."""
    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error})") from error
    others = [path for path in inside if not is_image(path.name) and path.is_file()]
    marked = [path for path in others if looks_like_dicom(path)]
    if marked:
        return marked
    reader = sitk.ImageSeriesReader
    uids = reader.GetGDCMSeriesIDs(str(folder)) if others else ()
    names = [name for uid in uids for name in reader.GetGDCMSeriesFileNames(str(folder), uid)]
    return sorted({Path(name) for name in names} & set(others))


def looks_like_dicom(path: Path) -> bool:
    """Tell a DICOM file by its suffix or mark, or by its first element."""
    return is_dicom_file(path) or _begins_like_dicom(path)


def _begins_like_dicom(path: Path) -> bool:
    """Tell a file without the mark of DICOM, as old exports are, by its first element."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(6)
    except OSError:
        return False
    # Group 8 (little endian), an element below 256, and no text.
    return len(start) == 6 and start[:2] == b"\x08\0" and start[3] == 0


def read_dicom_header(path: Path) -> DicomFile | None:
    """Read the header of one file; None if it is damaged or holds no image."""
    try:
        found = layout(path)
    except OSError:
        return None
    if found.wholeness == "damaged":
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
            return plain(reader.GetMetaData(tag)) if reader.HasMetaDataKey(tag) else ""
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
        position=numbers_of(text("0020|0032"), 3),
        axes=numbers_of(text("0020|0037"), 6),
        spacing=numbers_of(text("0028|0030"), 2),
        rows=int(size[1]),
        columns=int(size[0]),
        frames=int(size[2]) if len(size) > 2 else 1,
        samples=reader.GetNumberOfComponents(),
        storage=tuple(text(tag) for tag in _STORAGE),
        rescale_type=text("0028|1054"),
        sop_class=text("0008|0016"),
        longer=found.wholeness == "longer",
        pixel_bytes=found.pixel_bytes,
    )


def plain(text: object) -> str:
    """Return a text of a file as it may be shown in one line: a damaged one holds anything."""
    shown = str(text).strip(" \0")
    return "".join(char if char.isprintable() else "?" for char in shown)


def kind_of_other(path: Path) -> str:
    """Say in words what a DICOM file is that holds no CT; empty for all others."""
    sop_class = sop_class_of(path)
    return next((what for uid, what in _OTHERS if sop_class.startswith(uid)), "")


def missing_pixel_bytes(file: DicomFile) -> int:
    """Return by how many bytes the pixel data of a file is too short; 0 if it is whole.

    GDCM fills what is missing with 0. Packed pixels, whose length nobody knows beforehand, count
    as whole (their decoder finds what is missing), unless no packing makes them so small.
    """
    bits = file.storage[0]
    if not bits.isdecimal():
        return 0
    wanted = file.rows * file.columns * file.frames * file.samples * int(bits) // 8
    if file.pixel_bytes is None:
        held = file.path.stat().st_size
        return wanted - held if wanted > _TIGHTEST * held else 0
    return max(0, wanted - file.pixel_bytes)


def numbers_of(text: str, count: int) -> tuple[float, ...]:
    """Return the numbers of a text that backslashes part; empty unless there are ``count``."""
    try:
        found = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return ()
    return found if len(found) == count and all(abs(n) < 1e9 for n in found) else ()
