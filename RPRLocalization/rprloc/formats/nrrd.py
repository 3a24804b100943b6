"""NRRD files (.nrrd, .nhdr, .seg.nrrd), read strictly; see ``text_header`` for the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import InputError
from ..geometry import FloatArray, Geometry
from .raw import RawImage
from .text_header import (
    LONGEST_HEADER,
    NO_ORIENTATION,
    NO_SPACING,
    damaged,
    data_file,
    decoded,
    numbers,
    read_from,
    read_start,
    sizes,
)
from .units import in_mm

SUFFIXES: Final = (".nrrd", ".nhdr")

#: Signs of x, y, z that turn a space into LPS.
_TO_LPS = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1.0, -1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1.0, -1.0, 1.0)),
}
_OTHER_SPACES = ("scanner-xyz", "3d-right-handed", "3d-left-handed")
_ENCODINGS = {
    "raw": "raw",
    **dict.fromkeys(("gzip", "gz"), "gzip"),
    **dict.fromkeys(("bzip2", "bz2"), "bzip2"),
    **dict.fromkeys(("ascii", "text", "txt"), "ascii"),
}
_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(
        ("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"
    ),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("signed long long", "signed long long int"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "uint64", "uint64_t"), "u8"),
    **dict.fromkeys(("unsigned long long int",), "u8"),
    "float": "f4",
    "double": "f8",
}
_ALIASES = {
    "datafile": "data file",
    "spaceunits": "space units",
    "spaceorigin": "space origin",
    "spacedirections": "space directions",
    "byteskip": "byte skip",
    "lineskip": "line skip",
    "spacedimension": "space dimension",
}
_QUOTED = re.compile(r'"([^"]*)"')
_VECTOR = re.compile(r"none|\([^)]*\)", re.IGNORECASE)
_ESCAPES = {"\\n": "\n", "\\\\": "\\"}


@dataclass(frozen=True, eq=False)
class NrrdHeader:
    """What a header says, checked.

    Attributes:
        size: voxels along i, j, k. parts: numbers per voxel. parts_axis: which axis of the file
            holds them (0 is the fastest), None without.
        dtype, encoding: of the stored numbers.
        data, offset: the file that holds them, and the byte at which they begin.
        geometry: the lattice, LPS mm.
        texts: ``key:=value`` pairs.
        notes: what the header does not tell, or tells in other units.
    """

    size: tuple[int, int, int]
    parts: int
    parts_axis: int | None
    dtype: np.dtype[Any]
    encoding: str
    data: Path
    offset: int
    geometry: Geometry
    texts: dict[str, str]
    notes: tuple[str, ...]


def read_nrrd(path: Path) -> RawImage:
    """Read an NRRD file; the array is (k, j, i), or (k, j, i, part) for several numbers per voxel.

    Raises InputError, whose text begins with the path, if it is truncated, damaged or not 3D.
    """
    try:
        header = parse(path)
        shape = list(header.size[::-1])
        if header.parts_axis is not None:
            # The file's axes run from the fastest, those of the array from the slowest.
            shape.insert(3 - header.parts_axis, header.parts)
        data = read_from(header.data, header.offset)
        flat, notes = decoded(data, header.encoding, header.dtype, int(np.prod(shape)))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error

    array = flat.reshape(shape)
    if header.parts_axis is not None:
        array = np.moveaxis(array, 3 - header.parts_axis, -1)
        array = array[..., 0] if header.parts == 1 else array
    return RawImage(array, header.geometry, header.texts, (*header.notes, *notes))


def read_header(path: Path) -> NrrdHeader:
    """Read and judge the header alone; raises InputError, whose text begins with the path."""
    try:
        return parse(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse(path: Path) -> NrrdHeader:
    """As ``read_header``, the path not in the error's text."""
    fields, texts, offset = _lines(read_start(path))
    dtype = _dtype(fields)
    encoding = _ENCODINGS.get(fields.get("encoding", "").lower())
    if encoding is None:
        raise InputError(f"its encoding {fields.get('encoding', '')!r} is not known: save it again")

    counts = sizes(fields.get("sizes", ""), "sizes")
    if fields.get("dimension") != str(len(counts)):
        raise damaged("its dimension and its sizes disagree")
    axes = _vectors(fields, len(counts))
    spatial, parts_axis = _spatial_axes(fields, axes, counts)
    size = (counts[spatial[0]], counts[spatial[1]], counts[spatial[2]])

    mm, unit_note = _unit(fields)
    geometry, notes = _geometry(fields, [axes[n] for n in spatial], spatial, size, mm)
    notes += [unit_note] if unit_note else []

    data = path
    if "data file" in fields:
        data, offset = data_file(path, fields["data file"]), 0
    offset += _skipped(fields, data, offset, encoding, dtype.itemsize * int(np.prod(counts)))
    parts = 1 if parts_axis is None else counts[parts_axis]
    return NrrdHeader(
        *(size, parts, parts_axis, dtype, encoding),
        *(data, offset, geometry, texts, tuple(notes)),
    )


def _lines(start: bytes) -> tuple[dict[str, str], dict[str, str], int]:
    """Return the fields (lower-case names), the texts, and the length of the header in bytes."""
    if not re.match(rb"NRRD\d{4}", start):
        raise InputError("is not an NRRD file, or is damaged")
    end = re.search(rb"\r?\n\r?\n", start)
    if end is None and len(start) >= LONGEST_HEADER:
        raise damaged("it has no end")

    fields: dict[str, str] = {}
    texts: dict[str, str] = {}
    text = start if end is None else start[: end.start()]
    for line in text.decode("utf-8", errors="replace").splitlines()[1:]:
        if line.startswith("#"):
            continue
        if ":=" in line:
            key, _, value = line.partition(":=")
            texts[key.strip()] = re.sub(r"\\n|\\\\", lambda m: _ESCAPES[m.group()], value)
            continue
        name, found, value = line.partition(":")
        name = _ALIASES.get(name.strip().lower(), name.strip().lower())
        if not found or name in fields:
            raise damaged(f"the line {line[:30]!r}")
        fields[name] = value.strip()
    return fields, texts, len(start) if end is None else end.end()


def _dtype(fields: dict[str, str]) -> np.dtype[Any]:
    kind = _TYPES.get(fields.get("type", "").lower())
    if kind is None:
        raise InputError(f"voxels of type {fields.get('type', '')!r} cannot be read")
    order = {"little": "<", "big": ">"}.get(fields.get("endian", "").lower(), "")
    if not order and kind[1] != "1" and fields.get("encoding", "").lower() not in ("ascii", "txt"):
        raise damaged("it does not tell the order of bytes")
    dtype: np.dtype[Any] = np.dtype((order or "<") + kind)
    return dtype


def _vectors(fields: dict[str, str], count: int) -> list[list[float] | None]:
    """Return the direction of every axis of the file; None where it has none."""
    if "space directions" not in fields:
        return [None] * count
    found = _VECTOR.findall(fields["space directions"])
    if len(found) != count:
        raise damaged("space directions")
    return [None if v.lower() == "none" else numbers(v, "space directions") for v in found]


def _spatial_axes(
    fields: dict[str, str], axes: list[list[float] | None], counts: list[int]
) -> tuple[list[int], int | None]:
    """Return which axes of the file are i, j, k, and which one holds the parts of a voxel."""
    if "space directions" in fields:
        spatial = [n for n, axis in enumerate(axes) if axis is not None]
    else:
        kinds = fields.get("kinds", "").lower().split()
        other = [n for n, kind in enumerate(kinds) if kind not in ("domain", "space", "???")]
        spatial = [n for n in range(len(counts)) if n not in other]
        if len(spatial) == 4:
            spatial = [n for n in spatial if n != (3 if counts[3] == 1 else 0)]
    rest = [n for n in range(len(counts)) if n not in spatial]
    if len(spatial) != 3 or len(rest) > 1:
        text = " x ".join(map(str, counts))
        raise InputError(f"expected one 3D volume, but this is {len(counts)}D ({text})")
    return spatial, rest[0] if rest else None


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


def _geometry(
    fields: dict[str, str],
    axes: list[list[float] | None],
    spatial: list[int],
    size: tuple[int, int, int],
    mm: float,
) -> tuple[Geometry, list[str]]:
    """Return the lattice, with notes on what the header does not tell."""
    signs, notes = _space(fields), []
    if signs is None or None in axes:
        notes.append(NO_ORIENTATION)
    if None in axes:
        spacing, told = _spacings(fields, spatial)
        notes += [] if told else [NO_SPACING]
        return Geometry(size, spacing * mm, np.zeros(3), np.eye(3)), notes

    if any(axis is None or len(axis) != 3 for axis in axes):
        raise damaged("space directions")
    origin = numbers(fields.get("space origin", "(0,0,0)"), "space origin")
    if len(origin) != 3:
        raise damaged("space origin")
    to_lps = np.array(signs or (1.0, 1.0, 1.0)) * mm
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(axes, dtype=np.float64).T * to_lps[:, None]
    matrix[:3, 3] = np.array(origin) * to_lps
    return Geometry.from_matrix(matrix, size), notes


def _space(fields: dict[str, str]) -> tuple[float, float, float] | None:
    """Return the signs that turn the header's space into LPS; None if it is not the patient's."""
    space = re.sub(r"-time$", "", fields.get("space", "").lower())
    if not space or space in _OTHER_SPACES:
        return None
    if space not in _TO_LPS:
        raise InputError(
            f"its space is {space!r}, which is not one that can be read: save it as "
            "left-posterior-superior, right-anterior-superior or left-anterior-superior"
        )
    return _TO_LPS[space]


def _spacings(fields: dict[str, str], spatial: list[int]) -> tuple[FloatArray, bool]:
    """Return the voxels' sizes by the field ``spacings``, and whether it tells them."""
    if "spacings" not in fields:
        return np.ones(3), False
    words = fields["spacings"].split()
    if len(words) <= max(spatial):
        raise damaged("spacings")
    found = numbers(" ".join(words[n] for n in spatial), "spacings")
    return np.abs(np.array(found)), True


def _skipped(fields: dict[str, str], data: Path, offset: int, encoding: str, wanted: int) -> int:
    """Return how many bytes before the voxels are to be passed over."""
    lines, count = (numbers(fields.get(name, "0"), name) for name in ("line skip", "byte skip"))
    if len(lines) != 1 or len(count) != 1 or lines[0] < 0 or count[0] < -1:
        raise damaged("line skip or byte skip")
    if count[0] == -1:
        # The voxels are the last bytes of the file.
        return max(0, data.stat().st_size - wanted - offset) if encoding == "raw" else 0
    passed = 0
    if lines[0]:
        start = read_from(data, offset)[:LONGEST_HEADER]
        passed = sum(len(line) for line in start.split(b"\n")[: int(lines[0])]) + int(lines[0])
    return passed + int(count[0])
