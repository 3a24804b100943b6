"""Voxels of NIfTI files, read strictly.

ITK silently fills truncated files with 0 and turns NaN into 0.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

SUFFIXES = (".nii", ".nii.gz")

_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_FIELDS: tuple[tuple[str, str, int, int], ...] = (
    ("dim", "8i2", 40, 16),
    ("datatype", "i2", 70, 12),
    ("pixdim", "8f4", 76, 104),
    ("vox_offset", "f4", 108, 168),
    ("slope", "f4", 112, 176),
    ("intercept", "f4", 116, 184),
    ("sform_code", "i2", 254, 348),
    ("srow", "12f4", 280, 400),
)
_WIDE = {"8i2": "8i8", "8f4": "8f8", "f4": "f8", "12f4": "12f8"}


def read_voxels(path: Path) -> npt.NDArray[Any]:
    """Return the voxels (k, j, i) of a single-file NIfTI-1 or -2.

    They are scaled by slope and intercept if these are set.

    Raises InputError if the file is truncated or damaged, not one scalar 3D volume, or has a
    spacing of 0.
    """
    data = _content(path)
    header, dtype = _header(data, path)
    shape = [int(n) for n in header["dim"][1 : int(header["dim"][0]) + 1]]
    if min(shape, default=0) < 1 or len(shape) < 3 or max([1, *shape[3:]]) > 1:
        raise InputError(
            f"{path}: expected one 3D volume, but this is {len(shape)}D "
            f"({' x '.join(map(str, shape))})"
        )

    count, offset = int(np.prod(shape)), int(header["vox_offset"])
    if len(data) < offset + count * dtype.itemsize:
        raise InputError(
            f"{path}: the file is truncated ({len(data)} bytes instead of "
            f"{offset + count * dtype.itemsize})"
        )

    array = np.frombuffer(data, dtype, count, offset).reshape(shape[2::-1])
    slope, intercept = float(header["slope"]), float(header["intercept"])
    if slope == 0 or not np.isfinite([slope, intercept]).all() or (slope, intercept) == (1.0, 0.0):
        return array.astype(dtype.newbyteorder("="), copy=False)
    scaled: npt.NDArray[Any] = array.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return scaled


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the file is truncated or damaged; copy it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _header(data: bytes, path: Path) -> tuple[dict[str, Any], np.dtype[Any]]:
    for size, wide in ((348, False), (540, True)):
        for order in "<>":
            if len(data) >= size and np.frombuffer(data, order + "i4", 1)[0] == size:
                header = _parsed(data, order, wide)
                _check_spacing(header, path)
                kind = _TYPES.get(int(header["datatype"]))
                if kind is None:
                    raise InputError(
                        f"{path}: expected one number per voxel, but this is a colour or complex "
                        "image"
                    )
                return header, np.dtype(order + kind)
    raise InputError(f"{path}: is not a NIfTI file, or is truncated")


def _parsed(data: bytes, order: str, wide: bool) -> dict[str, Any]:
    header: dict[str, Any] = {}
    for name, kind, narrow_at, wide_at in _FIELDS:
        if wide:
            kind = "i4" if name == "sform_code" else _WIDE.get(kind, kind)
            kind = "i8" if name == "vox_offset" else kind
        count = int(kind[:-2] or 1)

        values = np.frombuffer(data, order + kind[-2:], count, wide_at if wide else narrow_at)
        header[name] = values if count > 1 else values[0]
    return header


def _check_spacing(header: dict[str, Any], path: Path) -> None:
    spacing = np.abs(header["pixdim"][1:4].astype(np.float64))
    if header["sform_code"] > 0:
        spacing = np.minimum(
            spacing, np.linalg.norm(header["srow"].astype(np.float64).reshape(3, 4)[:, :3], axis=0)
        )

    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise InputError(
            f"{path}: voxel spacing must be above 0 mm, but is "
            f"{' x '.join(f'{s:g}' for s in spacing)}"
        )
