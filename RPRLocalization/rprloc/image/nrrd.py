"""What an NRRD header declares: space, unit, data file and length."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ..errors import InputError
from .text_header import (
    LONGEST_HEADER,
    NO_ORIENTATION,
    NO_SPACING,
    Declared,
    check_data_file,
    check_length,
    numbers,
    read_start,
)
from .units import in_mm

SUFFIXES: Final = (".nrrd", ".nhdr")

_PATIENT_SPACES = (
    *("right-anterior-superior", "left-anterior-superior", "left-posterior-superior"),
    *("ras", "las", "lps"),
)
_OTHER_SPACES = (
    *("scanner-xyz", "3d-right-handed", "3d-left-handed"),
    *("scanner-xyz-time", "3d-right-handed-time", "3d-left-handed-time"),
)
_TYPE_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8"), 1),
    **dict.fromkeys(("uint8_t",), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16"), 2),
    **dict.fromkeys(("int16_t", "ushort", "unsigned short", "unsigned short int", "uint16"), 2),
    **dict.fromkeys(("uint16_t",), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int"), 4),
    **dict.fromkeys(("uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "int64", "int64_t", "ulonglong", "uint64"), 8),
    **dict.fromkeys(("uint64_t", "unsigned long long", "double"), 8),
}
_QUOTED = re.compile(r'"([^"]*)"')


def declared_by_nrrd(path: Path) -> Declared:
    """Read and judge the header of a .nrrd or .nhdr.

    Raises InputError (without the path) for a damaged header, a space or unit that is not known, a
    truncated file, or a data file elsewhere.
    """
    start = read_start(path)
    fields, header_length = _fields(start)
    notes = list(_orientation(fields))
    mm, unit_note = _unit(fields)
    notes += [unit_note] if unit_note else []

    data = path
    name = fields.get("data file", fields.get("datafile"))
    if name is not None:
        data, header_length = _data_file(path, name), 0
    notes += _length(fields, data.stat().st_size - header_length)
    return Declared(mm, tuple(notes))


def _fields(start: bytes) -> tuple[dict[str, str], int]:
    """Return the fields by their lower-case names, and the length of the header in bytes."""
    if not start.startswith(b"NRRD"):
        raise InputError("is not an NRRD file, or is damaged")
    end = re.search(rb"\r?\n\r?\n", start)
    if end is None and len(start) >= LONGEST_HEADER:
        raise InputError("its header is damaged (it has no end)")
    text = start if end is None else start[: end.start()]

    fields: dict[str, str] = {}
    for line in text.decode("utf-8", errors="replace").splitlines()[1:]:
        name, found, value = line.partition(":")
        # ``key:=value`` is a text of the user's, not a field.
        if found and not line.startswith("#") and not value.startswith("="):
            fields[name.strip().lower()] = value.strip()
    for name in ("sizes", "spacings", "space directions", "space origin"):
        if name != "spacings" or not re.search(r"nan", fields.get(name, ""), re.IGNORECASE):
            numbers(fields.get(name, ""), name)
    return fields, len(start) if end is None else end.end()


def _orientation(fields: dict[str, str]) -> list[str]:
    space = fields.get("space", "").lower()
    patient = re.sub(r"(-time|t)$", "", space) in _PATIENT_SPACES
    if space and not patient and space not in _OTHER_SPACES:
        raise InputError(
            f"its space is {space!r}, which is not one that can be read: save it as "
            "left-posterior-superior, right-anterior-superior or left-anterior-superior"
        )
    notes = []
    if not patient or "space directions" not in fields:
        notes.append(NO_ORIENTATION)
    if "space directions" not in fields and "spacings" not in fields:
        notes.append(NO_SPACING)
    return notes


def _unit(fields: dict[str, str]) -> tuple[float, str]:
    """Return the unit of the three axes of space in mm, with the note that it was turned."""
    texts = _QUOTED.findall(fields.get("space units", "")) or _QUOTED.findall(
        fields.get("units", "")
    )
    units = [text for text in texts if text.strip() and text.strip().lower() not in ("s", "ms")]
    known = [in_mm(unit) for unit in units]
    if len({mm for mm, _ in known}) > 1:
        raise InputError("its axes have different units of length: save it in mm")
    return known[0] if known else (1.0, "")


def _data_file(path: Path, name: str) -> Path:
    if name.upper().startswith("LIST") or "%" in name:
        raise InputError("its voxels are spread over several files: save it as one .nrrd")
    return check_data_file(path, name)


def _length(fields: dict[str, str], found: int) -> tuple[str, ...]:
    """Compare the length of raw voxels; compressed ones are checked when they are unpacked."""
    size = _TYPE_BYTES.get(fields.get("type", "").lower())
    skipped = any(key in fields for key in ("byte skip", "byteskip", "line skip", "lineskip"))
    if fields.get("encoding", "").lower() != "raw" or size is None or skipped:
        return ()
    wanted = size
    for count in numbers(fields.get("sizes", ""), "sizes"):
        wanted *= int(count)
    return check_length(found, wanted)
