"""Headers of many files, read by pydicom in a pool of processes: a few elements of each.

GDCM, which the gate reads with, needs several times as long; its judgement (``dicom_choice``,
``dicom_series``) is the gate's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..formats.dicom_elements import layout
from ..formats.dicom_files import (
    DicomFile,
    kind_of_other,
    looks_like_dicom,
    numbers_of,
    plain,
)
from ..formats.pydicom_reading import damage_refused

#: The elements of a slice that decide whether, and how, it belongs to a volume.
_TEXTS = {
    "series": 0x0020000E,
    "study": 0x0020000D,
    "frame_of_reference": 0x00200052,
    "modality": 0x00080060,
    "patient": 0x00100020,
    "image_type": 0x00080008,
    "photometric": 0x00280004,
    "rescale_type": 0x00281054,
    "sop_class": 0x00080016,
}
_NUMBERS = {"position": (0x00200032, 3), "axes": (0x00200037, 6), "spacing": (0x00280030, 2)}
_ROWS, _COLUMNS, _FRAMES, _SAMPLES = 0x00280010, 0x00280011, 0x00280008, 0x00280002
_STORAGE = (0x00280100, 0x00280101, 0x00280103, 0x00281053, 0x00281052)
_SOP_INSTANCE = 0x00080018
_TAGS = [
    *_TEXTS.values(),
    *(tag for tag, _ in _NUMBERS.values()),
    *(_ROWS, _COLUMNS, _FRAMES, _SAMPLES, *_STORAGE, _SOP_INSTANCE),
]


@dataclass(frozen=True)
class ScannedFile:
    """One DICOM file that may be a slice.

    Attributes:
        path: of the file. bytes: its length.
        header: None if the file is damaged or holds no image.
        content: digest of what its header tells.
    """

    path: Path
    bytes: int
    header: DicomFile | None
    content: str = ""


def scan_files(paths: Sequence[Path]) -> list[ScannedFile]:
    """Read the headers of those files that are DICOM files and may hold an image."""
    found = []
    for path in paths:
        if not looks_like_dicom(path) or kind_of_other(path):
            continue
        found.append(_scanned(path))
    return found


def _scanned(path: Path) -> ScannedFile:
    size = 0
    try:
        size = path.stat().st_size
        shape = layout(path)
        if shape.wholeness == "damaged":
            return ScannedFile(path, size, None)
        with damage_refused():
            data = _read(path)
            header = _header(path, data, shape.wholeness == "longer", shape.pixel_bytes)
            digest = hashlib.sha256(f"{size}\0{[_text(data, tag) for tag in _TAGS]}".encode())
    # Whatever is wrong with one file must not end the walk through all others.
    except Exception:
        return ScannedFile(path, size, None)
    return ScannedFile(
        path, size, header if header.rows and header.columns else None, digest.hexdigest()
    )


def _read(path: Path) -> Any:
    import pydicom

    return pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))


def _header(path: Path, data: Any, longer: bool, pixel_bytes: int | None) -> DicomFile:
    texts: dict[str, Any] = {name: _text(data, tag) for name, tag in _TEXTS.items()}
    numbers: dict[str, Any] = {
        name: numbers_of(_text(data, tag), count) for name, (tag, count) in _NUMBERS.items()
    }
    return DicomFile(
        path=path,
        **texts,
        **numbers,
        rows=_whole(data, _ROWS, 0),
        columns=_whole(data, _COLUMNS, 0),
        frames=_whole(data, _FRAMES, 1),
        samples=_whole(data, _SAMPLES, 1),
        storage=tuple(_text(data, tag) for tag in _STORAGE),
        longer=longer,
        pixel_bytes=pixel_bytes,
    )


def _text(data: Any, tag: int) -> str:
    """Return an element as DICOM writes it: several values parted by backslashes."""
    if tag not in data:
        return ""
    value = data.get_item(tag).value
    if isinstance(value, bytes):
        # Numbers of two bytes are not texts: these pydicom converts.
        value = data[tag].value if tag in _STORAGE[:3] else value.decode("ascii", "replace")
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) or hasattr(value, "append"):
        value = "\\".join(str(part) for part in value)
    return plain(value)


def _whole(data: Any, tag: int, missing: int) -> int:
    value = data[tag].value if tag in data else None
    return missing if value is None else int(value)
