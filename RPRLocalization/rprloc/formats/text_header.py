"""What the readers of formats with a text header share (NRRD, MetaImage).

ITK reads these formats too, but a damaged header can end its process with a segmentation fault, it
fills truncated voxels, takes 1 mm and the axes L, P, S where a file tells nothing, passes over
units, and follows a path to any file of the computer.
"""

from __future__ import annotations

import bz2
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import InputError

#: Headers end before this many bytes; those of large segmentations take some 100 kB.
LONGEST_HEADER: Final = 4_000_000
NO_ORIENTATION: Final = (
    "the file does not tell how the patient lies: its axes were taken as towards left, back and "
    "head, so left and right may be exchanged"
)
NO_SPACING: Final = "the file does not tell the size of its voxels: 1 mm was taken"
LONGER: Final = "the file is longer than its header says: what follows was not read"
#: No length in a header is larger, in whatever unit, and no product of two overflows.
_LARGEST = 1e9
#: Libraries count voxels with 32 bits.
_MOST_NUMBERS = 2**31 - 1


def read_start(path: Path) -> bytes:
    """Return the first bytes of a file; raises InputError if they cannot be read."""
    return _read(path, LONGEST_HEADER)


def read_from(path: Path, at: int) -> bytes:
    """Return what follows the byte ``at``; raises InputError if it cannot be read."""
    return _read(path, -1, at)


def _read(path: Path, count: int, at: int = 0) -> bytes:
    try:
        with open(path, "rb") as stream:
            stream.seek(at)
            return stream.read(count)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from error


def damaged(what: str) -> InputError:
    """The error for a header that cannot be true."""
    return InputError(f"its header is damaged ({what})")


def data_file(header: Path, name: str) -> Path:
    """Return the path of the data file that a header names.

    Raises:
        InputError: it lies outside of the header's folder (a header that someone sent could name
            any file of this computer), is missing, or stands for several files.
    """
    if name.upper().startswith("LIST") or "%" in name:
        raise InputError("its voxels are spread over several files: save it as a single file")
    parts = re.split(r"[/\\]", name)
    if "\0" in name or Path(name).is_absolute() or re.match(r"[A-Za-z]:", name) or ".." in parts:
        raise InputError(
            f"its data file {name!r} is not in the header's folder: put both into one folder and "
            "name the data file without a path"
        )
    data = header.parent / name
    try:
        found = data.is_file()
    except OSError:
        found = False
    if not found:
        raise InputError(f"its data file {name!r} is missing")
    return data


def numbers(text: str, what: str) -> list[float]:
    """Return the numbers in ``text``, which commas, brackets and blanks part.

    Raises InputError for other words, NaN and infinite numbers.
    """
    found = []
    for part in re.split(r"[\s,()]+", text.strip()):
        if not part:
            continue
        try:
            value = float(part)
        except ValueError as error:
            raise damaged(f"{what}: {part[:20]!r}") from error
        if not math.isfinite(value) or abs(value) > _LARGEST:
            raise damaged(f"{what} holds NaN, infinite or impossible numbers")
        found.append(value)
    return found


def sizes(text: str, what: str) -> list[int]:
    """Return numbers of voxels per axis.

    Raises InputError unless they are whole, at least 1, and few enough together to be read.
    """
    found = numbers(text, what)
    if not found or any(n < 1 or n != round(n) for n in found):
        raise damaged(f"{what}: {text[:40]!r}")
    if math.prod(found) > _MOST_NUMBERS:
        raise InputError("its header is damaged, or the volume is too large to be read")
    return [int(n) for n in found]


def decoded(
    data: bytes, encoding: str, dtype: np.dtype[Any], count: int
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Unpack voxels.

    Args:
        data: as stored.
        encoding: ``raw``, ``gzip``, ``zlib``, ``bzip2`` or ``ascii``.
        dtype: of a number.
        count: so many numbers are wanted.

    Returns:
        The numbers (count,) and a note if there are more.

    Raises:
        InputError: there are fewer, or they are damaged.
    """
    if encoding == "ascii":
        return _words(data, dtype, count)
    wanted = count * dtype.itemsize
    if encoding != "raw":
        data = _unpacked(data, encoding, wanted)
    if len(data) < wanted:
        raise InputError(f"the file is truncated ({len(data)} bytes of voxels instead of {wanted})")
    array = np.frombuffer(data, dtype, count)
    longer = (LONGER,) if len(data) > wanted else ()
    return array.astype(dtype.newbyteorder("="), copy=False), longer


def _unpacked(data: bytes, encoding: str, wanted: int) -> bytes:
    """Unpack one byte more than wanted, so that a surplus shows and no bomb fills the memory."""
    try:
        if encoding == "bzip2":
            unpacker = bz2.BZ2Decompressor()
            unpacked = unpacker.decompress(data, wanted + 1)
            complete = unpacker.eof or len(unpacked) > wanted
        else:
            # 32: the head of the stream tells whether it is gzip or zlib.
            stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
            unpacked = stream.decompress(data, wanted + 1)
            complete = stream.eof or len(unpacked) > wanted
    except (zlib.error, OSError, ValueError) as error:
        raise InputError("the file is truncated or damaged; copy it again") from error
    if not complete:
        raise InputError("the file is truncated or damaged; copy it again")
    return unpacked


def _words(
    data: bytes, dtype: np.dtype[Any], count: int
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    words: Sequence[bytes] = data.split(None, count)
    if len(words) < count:
        raise InputError(f"the file is truncated ({len(words)} numbers instead of {count})")
    try:
        values = np.array([float(word) for word in words[:count]])
        array = values.astype(dtype.newbyteorder("="))
    except (ValueError, OverflowError) as error:
        raise InputError("its voxels are not numbers: the file is damaged") from error
    if dtype.kind in "iu" and not np.array_equal(array, values):
        raise damaged(f"numbers that do not fit its type {dtype}")
    return array, (LONGER,) if len(words) > count else ()
