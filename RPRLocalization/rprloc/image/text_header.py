"""What the text headers of NRRD and MetaImage files declare, before ITK reads their voxels.

ITK reads these formats, but takes 1 mm and the axes L, P, S where a file tells nothing, passes over
units, follows any path to a data file, and some of its errors name no cause.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import InputError

#: Headers end before this many bytes; those of large segmentations take some 100 kB.
LONGEST_HEADER: Final = 4_000_000
NO_ORIENTATION: Final = (
    "the file does not tell how the patient lies: its axes were taken as towards left, back and "
    "head, so left and right may be exchanged"
)
NO_SPACING: Final = "the file does not tell the size of its voxels: 1 mm was taken"
LONGER: Final = "the file is longer than its header says: what follows was not read"


@dataclass(frozen=True)
class Declared:
    """What a text header declares beyond what ITK hands over.

    Attributes:
        mm: length of the file's unit in mm, by which ITK's lattice is multiplied.
        notes: what the user should know.
    """

    mm: float = 1.0
    notes: tuple[str, ...] = ()


def read_start(path: Path) -> bytes:
    """Return the first bytes of a file; raises InputError if they cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(LONGEST_HEADER)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from error


def check_data_file(header: Path, name: str) -> Path:
    """Return the path of the data file that a header names.

    Raises:
        InputError: it lies outside of the header's folder (a header that someone sent could name
            any file of this computer), or is missing.
    """
    if Path(name).is_absolute() or re.match(r"[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        raise InputError(
            f"its data file {name!r} is not in the header's folder: put both into one folder and "
            "name the data file without a path"
        )
    data = header.parent / name
    if not data.is_file():
        raise InputError(f"its data file {name!r} is missing")
    return data


def check_length(found: int, wanted: int) -> tuple[str, ...]:
    """Compare the bytes of uncompressed voxels with what the header wants.

    Returns the note on a longer file; raises InputError for a truncated one.
    """
    if found < wanted:
        raise InputError(f"the file is truncated ({found} bytes of voxels instead of {wanted})")
    return (LONGER,) if found > wanted else ()


def numbers(text: str, what: str) -> list[float]:
    """Return the numbers in ``text``, which commas, brackets and blanks part.

    Raises InputError for other words, NaN and infinite numbers.
    """
    found = []
    for part in re.split(r"[\s,()]+", text.strip()):
        if not part or part.lower() == "none":
            continue
        try:
            value = float(part)
        except ValueError as error:
            raise InputError(f"its header is damaged ({what}: {part[:20]!r})") from error
        if not math.isfinite(value):
            raise InputError(f"its header is damaged ({what} holds NaN or infinite numbers)")
        found.append(value)
    return found
