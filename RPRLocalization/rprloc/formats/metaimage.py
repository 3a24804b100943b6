"""MetaImage files (.mha, .mhd), read strictly; see ``text_header`` for the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import InputError
from ..geometry import Geometry
from .raw import RawImage
from .text_header import (
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

SUFFIXES: Final = (".mha", ".mhd")

_SPACING = ("elementspacing", "elementsize")
_DIRECTION = ("transformmatrix", "rotation", "orientation")
_ORIGIN = ("offset", "position", "origin")
_LAST = "elementdatafile"
_TYPES = {
    **{"met_char": "i1", "met_uchar": "u1", "met_short": "i2", "met_ushort": "u2"},
    **{"met_int": "i4", "met_uint": "u4", "met_long_long": "i8", "met_ulong_long": "u8"},
    **{"met_float": "f4", "met_double": "f8"},
}
#: Rounded directions are still a rotation.
_STRAIGHT = 1e-3
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")


@dataclass(frozen=True, eq=False)
class MetaHeader:
    """What a header says, checked.

    Attributes:
        size: voxels along i, j, k. parts: numbers per voxel.
        dtype, encoding: of the stored numbers.
        data, offset: the file that holds them, and the byte at which they begin; -1: they are its
            last bytes.
        geometry: the lattice, LPS mm.
        texts: the header's fields, by their names in lower case.
        notes: what the header does not tell, or tells in other units.
    """

    size: tuple[int, int, int]
    parts: int
    dtype: np.dtype[Any]
    encoding: str
    data: Path
    offset: int
    geometry: Geometry
    texts: dict[str, str]
    notes: tuple[str, ...]


def read_metaimage(path: Path) -> RawImage:
    """Read a MetaImage; the array is (k, j, i), or (k, j, i, part) for several numbers per voxel.

    Raises InputError, whose text begins with the path, if it is truncated, damaged or not 3D.
    """
    header = read_header(path)
    shape = [*header.size[::-1], *[header.parts] * (header.parts > 1)]
    count = int(np.prod(shape))
    try:
        at = header.offset
        if at < 0:
            at = max(0, header.data.stat().st_size - count * header.dtype.itemsize)
        flat, notes = decoded(read_from(header.data, at), header.encoding, header.dtype, count)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return RawImage(flat.reshape(shape), header.geometry, header.texts, (*header.notes, *notes))


def read_header(path: Path) -> MetaHeader:
    """Read and judge the header alone; raises InputError, whose text begins with the path."""
    try:
        return _parse(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _parse(path: Path) -> MetaHeader:
    fields, offset = _fields(read_start(path))
    size = _size(fields)
    geometry, notes = _geometry(fields, size)

    data = path
    if fields[_LAST].upper() != "LOCAL":
        data, offset = data_file(path, fields[_LAST]), 0
    skipped = numbers(fields.get("headersize", "0"), "HeaderSize")
    if len(skipped) != 1 or skipped[0] < -1 or skipped[0] != round(skipped[0]):
        raise damaged("HeaderSize")
    offset = -1 if skipped[0] == -1 else offset + int(skipped[0])

    (parts,) = sizes(fields.get("elementnumberofchannels", "1"), "ElementNumberOfChannels")[:1]
    encoding = "raw"
    if _is_set(fields, "compresseddata"):
        encoding = "zlib"
    elif not _is_set(fields, "binarydata", default=True):
        encoding = "ascii"
    return MetaHeader(
        *(size, parts, _dtype(fields, encoding), encoding, data, offset),
        *(geometry, fields, tuple(notes)),
    )


def _fields(start: bytes) -> tuple[dict[str, str], int]:
    """Return the fields by their lower-case names, and the length of the header in bytes."""
    fields: dict[str, str] = {}
    at = 0
    for line in start.split(b"\n"):
        at += len(line) + 1
        name, found, value = line.decode("utf-8", errors="replace").partition("=")
        name = name.strip().lower()
        if not found and not name:
            continue
        if not found or not re.fullmatch(r"[\w .\[\]-]+", name) or name in fields:
            break
        fields[name] = value.strip()
        if name == _LAST:
            return fields, at
    raise InputError("is not a MetaImage file, or its header is damaged")


def _size(fields: dict[str, str]) -> tuple[int, int, int]:
    counts = sizes(fields.get("dimsize", ""), "DimSize")
    if fields.get("ndims") != str(len(counts)):
        raise damaged("NDims and DimSize disagree")
    if len(counts) < 3 or any(n > 1 for n in counts[3:]):
        text = " x ".join(map(str, counts))
        raise InputError(f"expected one 3D volume, but this is {len(counts)}D ({text})")
    return counts[0], counts[1], counts[2]


def _dtype(fields: dict[str, str], encoding: str) -> np.dtype[Any]:
    kind = _TYPES.get(fields.get("elementtype", "").lower())
    if kind is None:
        raise InputError(f"voxels of type {fields.get('elementtype', '')!r} cannot be read")
    big = _is_set(fields, "binarydatabyteordermsb") or _is_set(fields, "elementbyteordermsb")
    dtype: np.dtype[Any] = np.dtype((">" if big and encoding != "ascii" else "<") + kind)
    return dtype


def _is_set(fields: dict[str, str], name: str, default: bool = False) -> bool:
    text = fields.get(name, str(default)).lower()
    if text not in _TRUE + _FALSE:
        raise damaged(f"{name}: {text[:20]!r}")
    return text in _TRUE


def _geometry(fields: dict[str, str], size: tuple[int, int, int]) -> tuple[Geometry, list[str]]:
    """Return the lattice, with notes on what the header does not tell."""
    many = int(fields["ndims"])
    spacing, axes, origin = (_told(fields, names) for names in (_SPACING, _DIRECTION, _ORIGIN))
    notes = [] if spacing else [NO_SPACING]
    notes += [] if axes else [NO_ORIENTATION]
    for values, count in ((spacing, many), (axes, many * many), (origin, many)):
        if values and len(values) != count:
            raise damaged("the lengths of its spacing, matrix and offset")

    mm, unit_note = in_mm(fields.get("distanceunits", "").replace("?", ""))
    notes += [unit_note] if unit_note else []
    matrix = np.eye(4)
    # The rows of the matrix are the directions of the axes.
    directions = np.array(axes or np.eye(many).ravel()).reshape(many, many)[:3, :3].T
    matrix[:3, :3] = directions * np.array(spacing[:3] or [1.0] * 3) * mm
    matrix[:3, 3] = np.array(origin[:3] or [0.0] * 3) * mm
    if spacing and min(spacing[:3]) <= 0:
        text = " x ".join(f"{s:g}" for s in spacing[:3])
        raise InputError(f"voxel spacing must be above 0 mm, but is {text}")
    if np.abs(directions.T @ directions - np.eye(3)).max() > _STRAIGHT:
        raise damaged("its TransformMatrix is no rotation")
    return Geometry.from_matrix(matrix, size), notes


def _told(fields: dict[str, str], names: tuple[str, ...]) -> list[float]:
    """Return the numbers of the first of these fields that is there; [] without one."""
    name = next((name for name in names if name in fields), None)
    return [] if name is None else numbers(fields[name], name)
