"""NIfTI and Analyze files, read strictly.

ITK silently fills truncated files with 0, turns NaN into 0, and knows no gzip below a .nii name.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ..errors import InputError
from .nifti_header import LONGEST_HEADER, NiftiHeader, parse_header
from .raw import RawImage

SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img")
_PAIR = (".hdr", ".img")


def read_header(path: Path) -> NiftiHeader:
    """Read and judge the header alone.

    Raises InputError, whose text begins with the path.
    """
    pair = path.suffix.lower() in _PAIR
    with _named(path), _opened(_partner(path, ".hdr") if pair else path) as stream:
        return parse_header(stream.read(LONGEST_HEADER), single_file=not pair)


def read_nifti(path: Path) -> RawImage:
    """Read a .nii (gzipped or not, whatever its name says), or the pair of an .hdr and an .img.

    The voxels are scaled by slope and intercept if these are set. Raises InputError, whose text
    begins with the path, if the file is truncated or damaged, or not one scalar 3D volume.
    """
    header = read_header(path)
    pair = path.suffix.lower() in _PAIR
    with _named(path), _opened(_partner(path, ".img") if pair else path) as stream:
        wanted = header.offset + int(np.prod(header.size)) * header.dtype.itemsize
        data = stream.read(wanted)
        if len(data) < wanted:
            raise InputError(f"the file is truncated ({len(data)} bytes instead of {wanted})")
        # Reading to the end also makes gzip compare its checksum.
        longer = bool(stream.read(1))

    array = np.frombuffer(data, header.dtype, offset=header.offset).reshape(header.size[::-1])
    if header.scaling is not None:
        slope, intercept = (np.float32(n) for n in header.scaling)
        # What single precision cannot hold becomes infinite, and is refused as such.
        with np.errstate(over="ignore"):
            array = array.astype(np.float32) * slope + intercept
    notes = header.notes
    if longer:
        notes = (*notes, "the file is longer than its header says: what follows was not read")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return RawImage(native, header.geometry, notes=notes)


def _partner(path: Path, suffix: str) -> Path:
    """Return the other file of a pair, in the case of letters that it has."""
    for candidate in (path.with_suffix(suffix), path.with_suffix(suffix.upper())):
        if candidate.exists():
            return candidate
    raise InputError(f"its partner {path.with_suffix(suffix).name} is missing beside it")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with open(path, "rb") as plain:
        zipped = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        if not zipped:
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as stream:
            yield cast(BinaryIO, stream)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of reading and judging as one line that begins with the path."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the file is truncated or damaged; copy it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
