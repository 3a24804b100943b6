"""Which files of a folder may be CTs: one rule for the panel, the command line and the training.

Only names, and the first bytes of files without a known suffix, are looked at; whether a file
really is a CT shows when it is read. Torch-free and SimpleITK-free.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_DICOM_MARK, _DICOM_MARK_AT = b"DICM", 128
#: The media storage SOP class in the meta information, which is always explicit, little endian.
_SOP_CLASS = b"\x02\x00\x02\x00UI"
_META_BYTES = 1024
_DICOMDIR, _DICOMDIR_CLASS = "DICOMDIR", "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class FolderContent:
    """What may be CTs directly in one folder.

    Attributes:
        path: the folder.
        images: its image files, sorted; label maps are among them.
        is_dicom: True if it holds DICOM files.
    """

    path: Path
    images: tuple[Path, ...]
    is_dicom: bool


def walk(root: Path, on_error: Callable[[OSError], None] | None = None) -> Iterator[FolderContent]:
    """Yield ``root`` and every folder below it, sorted by name.

    Hidden files and folders are left out, and links to folders are not followed.

    Args:
        root: where to begin.
        on_error: gets what the operating system says of a folder that cannot be listed; such
            folders are passed over without it.
    """
    for place, folders, names in os.walk(root, onerror=on_error):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = sorted(name for name in names if not name.startswith("."))

        parent = Path(place)
        images = tuple(parent / name for name in shown if is_image(name))
        others = (parent / name for name in shown if not is_image(name))
        yield FolderContent(parent, images, any(is_dicom_file(path) for path in others))


def is_image(name: str) -> bool:
    """Tell an image file (a CT, or a label map) by its name."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def is_label_map(path: Path) -> bool:
    """Tell a label map or segmentation by its name.

    Example:
        >>> [is_label_map(Path(n)) for n in ("a.seg.nrrd", "a-label.nrrd", "a_label.nii", "a.nii")]
        [True, True, True, False]
    """
    name = path.name.lower()
    stem = name.split(".", 1)[0]
    return ".labels." in name or ".seg." in name or "label" in stem.replace("-", "_").split("_")


def is_dicom_file(path: Path) -> bool:
    """Tell a DICOM file by its suffix, or by the mark that follows its preamble.

    A DICOMDIR is none: it lists files, and holds no image.
    """
    if path.name.upper() == _DICOMDIR:
        return False
    start = _start(path)
    marked = start[_DICOM_MARK_AT : _DICOM_MARK_AT + len(_DICOM_MARK)] == _DICOM_MARK
    if not marked and path.suffix.lower() != ".dcm":
        return False
    return _sop_class(start) != _DICOMDIR_CLASS


def sop_class_of(path: Path) -> str:
    """Return the UID that says what a DICOM file is (a CT slice, a segmentation, ...).

    Empty if the file does not tell.
    """
    return _sop_class(_start(path))


def _start(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(_META_BYTES)
    except OSError:
        # A file that cannot be opened is none that could be read as a CT.
        return b""


def _sop_class(start: bytes) -> str:
    at = start.find(_SOP_CLASS)
    if at < 0:
        return ""
    begin = at + len(_SOP_CLASS) + 2
    length = int.from_bytes(start[begin - 2 : begin], "little")
    return start[begin : begin + length].decode("ascii", errors="replace").strip("\0 ")
