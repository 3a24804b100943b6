"""Headers of NIfTI-1, NIfTI-2 and Analyze 7.5 files: what they say, and whether it can be true.

ITK takes vox_offset, origins and numbers that are not finite as they come, and its choice between
two orientations is silent; so the header is judged here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..geometry import FloatArray, Geometry
from .units import in_mm

Kind = Literal["nifti", "pair", "analyze"]

#: The longest header, that of NIfTI-2.
LONGEST_HEADER: Final = 540
#: Libraries count voxels with 32 bits.
_MOST_VOXELS = 2**31 - 1
#: Two sizes of a voxel that differ by more than this share contradict each other.
_SAME_SPACING = 0.01
#: Two positions of the volume that differ by less are one.
_SAME_PLACE_MM = 1.0
#: An axis may lean this much (sine) before it counts as sheared.
_STRAIGHT = 1e-3
#: Scanner anatomical coordinates (NIFTI_XFORM_SCANNER_ANAT).
_SCANNER = 1
#: The highest code that the standard knows (NIFTI_XFORM_TEMPLATE_OTHER).
_MOST_CODE = 5
_SPATIAL_BITS = 0x07
_UNITS: dict[int, str] = {0: "", 1: "m", 2: "mm", 3: "um"}
_TYPES: dict[int, str] = {
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
_NARROW: dict[str, tuple[str, int]] = {
    "dim": ("8i2", 40),
    "datatype": ("i2", 70),
    "bitpix": ("i2", 72),
    "pixdim": ("8f4", 76),
    "vox_offset": ("f4", 108),
    "slope": ("f4", 112),
    "intercept": ("f4", 116),
    "units": ("u1", 123),
    "qform_code": ("i2", 252),
    "sform_code": ("i2", 254),
    "quatern": ("3f4", 256),
    "qoffset": ("3f4", 268),
    "srow": ("12f4", 280),
    "magic": ("4u1", 344),
}
_WIDE: dict[str, tuple[str, int]] = {
    "magic": ("4u1", 4),
    "datatype": ("i2", 12),
    "bitpix": ("i2", 14),
    "dim": ("8i8", 16),
    "pixdim": ("8f8", 104),
    "vox_offset": ("i8", 168),
    "slope": ("f8", 176),
    "intercept": ("f8", 184),
    "qform_code": ("i4", 344),
    "sform_code": ("i4", 348),
    "quatern": ("3f8", 352),
    "qoffset": ("3f8", 376),
    "srow": ("12f8", 400),
    "units": ("i4", 500),
}
_LAYOUTS = ((348, 352, _NARROW), (540, 544, _WIDE))
_MAGIC: dict[bytes, Kind] = {b"n+1": "nifti", b"n+2": "nifti", b"ni1": "pair", b"ni2": "pair"}
#: From RAS, the frame of NIfTI, to LPS.
_TO_LPS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What a header says, checked.

    Attributes:
        size: voxels along i, j, k.
        dtype: of the stored numbers.
        offset: byte at which the voxels begin, in the .nii or in the .img.
        scaling: slope and intercept; None where the stored numbers are the values.
        spacing: mm along i, j, k.
        geometry: the lattice, LPS mm.
        notes: what the header does not tell, or tells twice.
    """

    size: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    scaling: tuple[float, float] | None
    spacing: tuple[float, float, float]
    geometry: Geometry
    notes: tuple[str, ...]


def parse_header(data: bytes, *, single_file: bool) -> NiftiHeader:
    """Read and judge a header.

    Args:
        data: the first bytes of the .nii or .hdr.
        single_file: the voxels follow in the same file (.nii); only then the magic is required,
            because an .hdr without one is Analyze 7.5.

    Raises:
        InputError: no such header, contradictions in it, or not one scalar 3D volume.
    """
    fields, kind, voxels_at = _fields(data, single_file)
    size = _size(fields)
    dtype = _dtype(fields)

    offset = _whole(fields["vox_offset"], "vox_offset")
    if kind == "nifti":
        # Writers leave 0 or the header's length; voxels cannot begin inside of the header.
        offset = max(offset, voxels_at)

    spacing, unit_note = _spacing(fields)
    notes = [unit_note] if unit_note else []
    geometry, placed = _geometry(fields, kind, size, spacing)
    scaling, scaled = _scaling(fields, kind)
    notes += [*placed, *scaled]
    i, j, k = (float(s) for s in geometry.spacing)
    return NiftiHeader(size, dtype, offset, scaling, (i, j, k), geometry, tuple(notes))


def _fields(data: bytes, single_file: bool) -> tuple[dict[str, Any], Kind, int]:
    """Return the fields, the kind of the file and where its voxels may begin at the earliest."""
    for length, voxels_at, layout in _LAYOUTS:
        for order in "<>":
            if len(data) < length or np.frombuffer(data, order + "i4", 1)[0] != length:
                continue
            fields = {name: _field(data, order, *place) for name, place in layout.items()}
            fields["order"] = order
            kind = _MAGIC.get(bytes(fields["magic"][:3]), "analyze")
            if single_file and kind != "nifti":
                raise InputError("its header is damaged (the mark of a NIfTI file is missing)")
            return fields, kind, voxels_at
    raise InputError("is not a NIfTI file, or is truncated")


def _field(data: bytes, order: str, kind: str, at: int) -> Any:
    count = int(kind[:-2] or 1)
    values = np.frombuffer(data, order + kind[-2:], count, at)
    return values if count > 1 else values[0]


def _size(fields: dict[str, Any]) -> tuple[int, int, int]:
    count = int(fields["dim"][0])
    if not 1 <= count <= 7:
        raise InputError(f"its header is damaged ({count} dimensions)")
    shape = [int(n) for n in fields["dim"][1 : count + 1]]
    if min(shape) < 1 or len(shape) < 3 or max([1, *shape[3:]]) > 1:
        text = " x ".join(map(str, shape))
        raise InputError(f"expected one 3D volume, but this is {len(shape)}D ({text})")
    if np.prod([float(n) for n in shape]) > _MOST_VOXELS:
        raise InputError("its header is damaged, or the volume is too large to be read")
    return shape[0], shape[1], shape[2]


def _dtype(fields: dict[str, Any]) -> np.dtype[Any]:
    kind = _TYPES.get(int(fields["datatype"]))
    if kind is None:
        raise InputError("expected one number per voxel, but this is a colour or complex image")
    dtype: np.dtype[Any] = np.dtype(fields["order"] + kind)
    if int(fields["bitpix"]) not in (0, 8 * dtype.itemsize):
        raise InputError(
            f"its header is damaged (voxels of {int(fields['bitpix'])} bits and of type {dtype})"
        )
    return dtype


def _whole(value: Any, name: str) -> int:
    number = float(value)
    if not np.isfinite(number) or number < 0 or number != round(number) or number > 2**62:
        raise InputError(f"its header is damaged ({name} is {number:g})")
    return int(number)


def _finite(values: npt.ArrayLike, name: str) -> FloatArray:
    # Some patterns of bits that are no number make numpy warn when it widens them.
    with np.errstate(invalid="ignore"):
        numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise InputError(f"its header is damaged ({name} holds NaN or infinite numbers)")
    return numbers


def _spacing(fields: dict[str, Any]) -> tuple[FloatArray, str]:
    """Return mm along i, j, k by ``pixdim``, and a note if the header's unit was another."""
    spacing = np.abs(_finite(fields["pixdim"][1:4], "pixdim"))
    if (spacing <= 0).any():
        text = " x ".join(f"{s:g}" for s in spacing)
        raise InputError(f"voxel spacing must be above 0 mm, but is {text}")

    unit = _UNITS.get(int(fields["units"]) & _SPATIAL_BITS)
    if unit is None:
        raise InputError("its header is damaged (an unknown unit of length)")
    factor, note = in_mm(unit)
    fields["factor"] = factor
    return spacing * factor, note


# As for DICOM: no scanner and no converter needs more.
_LARGEST_SCALING = 1e6


def _scaling(fields: dict[str, Any], kind: Kind) -> tuple[tuple[float, float] | None, list[str]]:
    slope, intercept = float(fields["slope"]), float(fields["intercept"])
    if kind == "analyze" or slope == 0 or (slope, intercept) == (1.0, 0.0):
        return None, []
    if not np.isfinite([slope, intercept]).all():
        return None, ["the file's scaling of its values is not a number and was not applied"]
    if max(abs(slope), abs(intercept)) > _LARGEST_SCALING:
        raise InputError(
            f"the values cannot become HU: the header scales them by {slope:g} and adds "
            f"{intercept:g}"
        )
    return (slope, intercept), []


def _geometry(
    fields: dict[str, Any], kind: Kind, size: tuple[int, int, int], spacing: FloatArray
) -> tuple[Geometry, list[str]]:
    """Return the lattice by sform or qform, chosen as ITK (and so Slicer) chooses."""
    sform = _sform(fields, spacing) if kind != "analyze" and fields["sform_code"] > 0 else None
    qform = _qform(fields, spacing) if kind != "analyze" and fields["qform_code"] > 0 else None

    codes = [int(fields[name]) for name in ("sform_code", "qform_code")]
    if kind != "analyze" and any(not 0 <= code <= _MOST_CODE for code in codes):
        raise InputError("its header is damaged (an unknown code of sform or qform)")
    if sform is None and qform is None:
        what = "Analyze file" if kind == "analyze" else "NIfTI file (sform and qform are 0)"
        note = (
            f"this {what} does not tell how the patient lies: its axes were taken as towards left, "
            "back and head, so left and right may be exchanged"
        )
        return Geometry(size, spacing, np.zeros(3), np.eye(3)), [note]

    prefers_sform = qform is None or int(fields["sform_code"]) == _SCANNER
    chosen = sform if sform is not None and prefers_sform and _is_straight(sform) else qform
    if chosen is None:
        raise InputError(
            "the volume's axes are sheared or not of unit length: resample it to a straight lattice"
        )

    notes = []
    if sform is not None and qform is not None:
        away = _distance(sform, qform, size)
        if away > _SAME_PLACE_MM:
            used = "sform" if chosen is sform else "qform"
            notes = [
                f"the file tells two positions (sform and qform) up to {away:.0f} mm apart: "
                f"{used} was used"
            ]
    return _lattice(chosen, size), notes


def _sform(fields: dict[str, Any], spacing: FloatArray) -> FloatArray:
    """Return the affine (3, 4) from voxels to LPS mm; its spacing must be that of ``pixdim``."""
    rows = _finite(fields["srow"], "sform").reshape(3, 4) * fields["factor"]
    lengths = np.linalg.norm(rows[:, :3], axis=0)
    if (lengths <= 0).any():
        text = " x ".join(f"{s:g}" for s in lengths)
        raise InputError(f"voxel spacing must be above 0 mm, but is {text}")
    if fields["qform_code"] <= 0 or int(fields["sform_code"]) == _SCANNER:
        off = int(np.argmax(np.abs(lengths / spacing - 1)))
        if abs(lengths[off] / spacing[off] - 1) > _SAME_SPACING:
            raise InputError(
                f"its header tells two voxel sizes along axis {'ijk'[off]}: {spacing[off]:g} mm "
                f"(pixdim) and {lengths[off]:g} mm (sform): convert the CT again from its source"
            )
    affine: FloatArray = _TO_LPS @ rows
    return affine


def _qform(fields: dict[str, Any], spacing: FloatArray) -> FloatArray:
    """Return the affine (3, 4) from voxels to LPS mm of quaternion, offset and ``pixdim``."""
    b, c, d = _finite(fields["quatern"], "qform")
    offset = _finite(fields["qoffset"], "the qform's offset") * fields["factor"]
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < -_STRAIGHT:
        raise InputError("its header is damaged (the quaternion of its qform is no rotation)")

    a = np.sqrt(max(rest, 0.0))
    if rest < 1e-7:
        b, c, d = np.array([b, c, d]) / np.linalg.norm([b, c, d])
        a = 0.0
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    flip = -1.0 if float(fields["pixdim"][0]) < 0 else 1.0
    axes = rotation * spacing * np.array([1.0, 1.0, flip])
    affine: FloatArray = _TO_LPS @ np.column_stack([axes, offset])
    return affine


def _is_straight(affine: FloatArray) -> bool:
    axes = affine[:, :3] / np.linalg.norm(affine[:, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < _STRAIGHT)


def _distance(one: FloatArray, other: FloatArray, size: tuple[int, int, int]) -> float:
    """Return the largest distance of a corner by the two affines, mm."""
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in size], [1]), -1).reshape(-1, 4)
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())


def _lattice(affine: FloatArray, size: tuple[int, int, int]) -> Geometry:
    spacing = np.linalg.norm(affine[:, :3], axis=0)
    # The nearest rotation: single precision leaves the axes slightly askew.
    left, _, right = np.linalg.svd(affine[:, :3] / spacing)
    return Geometry(size, spacing, affine[:, 3], left @ right)
