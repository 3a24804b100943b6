"""What a MetaImage header declares: spacing, orientation, unit, data file and length."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ..errors import InputError
from .text_header import (
    NO_ORIENTATION,
    NO_SPACING,
    Declared,
    check_data_file,
    check_length,
    numbers,
    read_start,
)
from .units import in_mm

SUFFIXES: Final = (".mha", ".mhd")

_SPACING = ("elementspacing", "elementsize")
_DIRECTION = ("transformmatrix", "rotation", "orientation")
_PLACE = (*_SPACING, *_DIRECTION, "offset", "position", "origin", "dimsize")
_LAST = "elementdatafile"
_TYPE_BYTES = {
    **dict.fromkeys(("met_char", "met_uchar"), 1),
    **dict.fromkeys(("met_short", "met_ushort"), 2),
    **dict.fromkeys(("met_int", "met_uint", "met_float"), 4),
    **dict.fromkeys(("met_long_long", "met_ulong_long", "met_double"), 8),
}


def declared_by_metaimage(path: Path) -> Declared:
    """Read and judge the header of an .mha or .mhd.

    Raises InputError (without the path) for a damaged header, a unit that is not known, a truncated
    file, or a data file elsewhere.
    """
    fields, header_length = _fields(read_start(path))
    for name in _PLACE:
        numbers(fields.get(name, ""), name)

    notes = []
    if not any(name in fields for name in _SPACING):
        notes.append(NO_SPACING)
    if not any(name in fields for name in _DIRECTION):
        notes.append(NO_ORIENTATION)
    mm, unit_note = in_mm(fields.get("distanceunits", "").replace("?", ""))
    notes += [unit_note] if unit_note else []

    data, name = path, fields[_LAST]
    if name.upper() != "LOCAL":
        if name.upper().startswith("LIST") or "%" in name:
            raise InputError("its voxels are spread over several files: save it as one .mha")
        data, header_length = check_data_file(path, name), 0
    notes += _length(fields, data.stat().st_size - header_length)
    return Declared(mm, tuple(notes))


def _fields(start: bytes) -> tuple[dict[str, str], int]:
    """Return the fields by their lower-case names, and the length of the header in bytes."""
    fields: dict[str, str] = {}
    at = 0
    for line in start.splitlines(keepends=True):
        at += len(line)
        name, found, value = line.decode("utf-8", errors="replace").partition("=")
        if not found:
            break
        fields[name.strip().lower()] = value.strip()
        if name.strip().lower() == _LAST:
            return fields, at
    raise InputError("is not a MetaImage file, or its header is damaged")


def _length(fields: dict[str, str], found: int) -> tuple[str, ...]:
    """Compare the length of raw voxels; compressed ones are checked when they are unpacked."""
    size = _TYPE_BYTES.get(fields.get("elementtype", "").lower())
    compressed = fields.get("compresseddata", "").lower() in ("true", "1")
    if compressed or size is None or "headersize" in fields or _is_text(fields):
        return ()
    wanted = size * _channels(fields)
    for count in numbers(fields.get("dimsize", ""), "DimSize"):
        wanted *= int(count)
    return check_length(found, wanted)


def _channels(fields: dict[str, str]) -> int:
    text = fields.get("elementnumberofchannels", "1")
    return int(text) if re.fullmatch(r"\d{1,4}", text) else 1


def _is_text(fields: dict[str, str]) -> bool:
    return fields.get("binarydata", "true").lower() in ("false", "0")
