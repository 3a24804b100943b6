"""Points, boxes and voxel lattices that know their frame: LPS mm unless said otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

FloatArray = npt.NDArray[np.float64]

ORTHONORMAL_TOLERANCE = 1e-3
_FLIP = np.array([-1.0, -1.0, 1.0])


class Frame(str, Enum):
    """Patient frame: LPS (x left, y back, z up) or RAS (x right, y front, z up)."""

    LPS = "LPS"
    RAS = "RAS"


def _sealed(values: Any, what: str, shape: tuple[int, ...]) -> FloatArray:
    """Return a read-only float64 copy of ``values``; ``-1`` in ``shape`` stands for any length."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what}: expected numbers of shape {shape}, but got something else"
        ) from error

    fits = array.ndim == len(shape) and all(
        n in (-1, m) for n, m in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise InputError(f"{what}: expected numbers of shape {shape}, but got shape {array.shape}")

    if not np.isfinite(array).all():
        raise InputError(f"{what}: NaN or infinite numbers cannot be used")

    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Points:
    """Positions of shape (n, 3), columns x, y, z in mm, in the frame ``frame``.

    Raises InputError for another shape, NaN or infinite coordinates.
    """

    xyz: FloatArray
    frame: Frame = Frame.LPS

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyz", _sealed(self.xyz, "Points", (-1, 3)))
        object.__setattr__(self, "frame", Frame(self.frame))

    def to(self, frame: Frame) -> Points:
        """Return the same positions in ``frame``."""
        return self if frame is self.frame else Points(self.xyz * _FLIP, Frame(frame))

    def __len__(self) -> int:
        return int(self.xyz.shape[0])

    def __getitem__(self, key: int | slice | npt.NDArray[Any] | list[int]) -> Points:
        """Select points by index, slice, index array or mask; always a Points of shape (m, 3)."""
        return Points(self.xyz[key].reshape(-1, 3), self.frame)

    def __iter__(self) -> Iterator[Points]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Points):
            return NotImplemented
        return self.frame is other.frame and np.array_equal(self.xyz, other.xyz)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Box:
    """Axis-aligned box in mm.

    Corners ``lower`` <= ``upper``, each (3,) x, y, z in the frame ``frame``.

    Raises InputError if a lower wall lies above its upper one, or a number is not finite.
    """

    lower: FloatArray
    upper: FloatArray
    frame: Frame = Frame.LPS

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", _sealed(self.lower, "Box lower corner", (3,)))
        object.__setattr__(self, "upper", _sealed(self.upper, "Box upper corner", (3,)))
        object.__setattr__(self, "frame", Frame(self.frame))
        if (self.lower > self.upper).any():
            raise InputError("Box: a lower wall lies above the upper one")

    @staticmethod
    def from_points(points: Points) -> Box:
        """Return the smallest box that holds all ``points``, in their frame."""
        if len(points) == 0:
            raise InputError("Box: cannot be made from no points")
        return Box(points.xyz.min(axis=0), points.xyz.max(axis=0), points.frame)

    @staticmethod
    def from_center_size(
        center: npt.ArrayLike, size: npt.ArrayLike, frame: Frame = Frame.LPS
    ) -> Box:
        """Return the box around ``center`` (3,) with side lengths ``size`` (3,) >= 0, in mm."""
        middle, half = _sealed(center, "Box center", (3,)), _sealed(size, "Box size", (3,)) / 2
        if (half < 0).any():
            raise InputError("Box: a side length is negative")
        return Box(middle - half, middle + half, frame)

    @property
    def center(self) -> FloatArray:
        """Centre (3,) in mm."""
        return (self.lower + self.upper) / 2

    @property
    def size(self) -> FloatArray:
        """Side lengths (3,) in mm."""
        return self.upper - self.lower

    @property
    def volume(self) -> float:
        """Volume in cubic millimetres."""
        return float(np.prod(self.size))

    def to(self, frame: Frame) -> Box:
        """Return the same box in ``frame``."""
        return self if frame is self.frame else Box.from_points(self.corners().to(frame))

    def corners(self) -> Points:
        """Return the eight corners, x changing fastest."""
        pick = np.array([[(n >> axis) & 1 for axis in range(3)] for n in range(8)])
        return Points(np.where(pick == 0, self.lower, self.upper), self.frame)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Box):
            return NotImplemented
        same = np.array_equal(self.lower, other.lower) and np.array_equal(self.upper, other.upper)
        return self.frame is other.frame and same

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Geometry:
    """Lattice of a volume in the patient, LPS mm.

    size: voxels along i, j, k. spacing: (3,) mm along i, j, k. origin: (3,) LPS of voxel (0, 0,
        0)'s centre.
    direction: (3, 3), columns are the unit vectors of i, j, k in LPS (left-handed ones are
    allowed). Raises InputError for spacing <= 0, a direction that is not orthonormal within 1e-3,
    or an empty size.
    """

    size: tuple[int, int, int]
    spacing: FloatArray
    origin: FloatArray
    direction: FloatArray

    def __post_init__(self) -> None:
        size = tuple(int(n) for n in self.size)
        if len(size) != 3 or min(size) < 1:
            raise InputError(f"Geometry: expected three sizes of at least 1 voxel, but got {size}")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "spacing", _sealed(self.spacing, "Voxel spacing", (3,)))
        object.__setattr__(self, "origin", _sealed(self.origin, "Volume origin", (3,)))
        object.__setattr__(self, "direction", _sealed(self.direction, "Volume direction", (3, 3)))

        if (self.spacing <= 0).any():
            raise InputError(f"voxel spacing must be above 0 mm, but is {_listed(self.spacing)}")

        gram = self.direction.T @ self.direction
        if np.abs(gram - np.eye(3)).max() > ORTHONORMAL_TOLERANCE:
            raise InputError(
                "the volume's axes are sheared or not of unit length: resample it to a straight "
                "lattice"
            )

    @staticmethod
    def from_matrix(ijk_to_lps: npt.ArrayLike, size: tuple[int, int, int]) -> Geometry:
        """Make it from a 4x4 matrix (voxel index i, j, k -> LPS mm) and the size (i, j, k).

        Raises InputError if the matrix is sheared, singular, perspective or not finite.
        """
        matrix = _sealed(ijk_to_lps, "IJK to LPS matrix", (4, 4))
        if not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
            raise InputError("IJK to LPS matrix: the last row must be 0 0 0 1")

        spacing: FloatArray = np.sqrt((matrix[:3, :3] ** 2).sum(axis=0))
        if (spacing <= 0).any():
            raise InputError(f"voxel spacing must be above 0 mm, but is {_listed(spacing)}")
        return Geometry(size, spacing, matrix[:3, 3], matrix[:3, :3] / spacing)

    @property
    def ijk_to_lps(self) -> FloatArray:
        """4x4 matrix from voxel index (i, j, k, 1) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * self.spacing
        matrix[:3, 3] = self.origin
        return matrix

    def index_to_lps(self, ijk: npt.ArrayLike) -> Points:
        """Map voxel indices (n, 3), i, j, k, possibly fractional, to LPS points."""
        index = _sealed(ijk, "Voxel indices", (-1, 3))
        return Points(index @ (self.direction * self.spacing).T + self.origin)

    def lps_to_index(self, points: Points) -> FloatArray:
        """Map points of any frame to fractional voxel indices (n, 3), i, j, k."""
        offset = points.to(Frame.LPS).xyz - self.origin
        return np.asarray(
            np.linalg.solve(self.direction * self.spacing, offset.T).T, dtype=np.float64
        )

    def bounds(self) -> Box:
        """Return the LPS box around the eight outer corners (voxel edges) of the volume.

        The volume may be oblique.
        """
        outer = Box(np.full(3, -0.5), np.array(self.size) - 0.5)
        return Box.from_points(self.index_to_lps(outer.corners().xyz))

    def contains(self, points: Points, margin_mm: float = 0.0) -> npt.NDArray[np.bool_]:
        """Tell (n,) which points lie in the volume's own box, enlarged by ``margin_mm``."""
        index = self.lps_to_index(points)
        margin = margin_mm / self.spacing + 1e-6

        inside = (index >= -0.5 - margin) & (index <= np.array(self.size) - 0.5 + margin)
        return np.asarray(inside.all(axis=1))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Geometry):
            return NotImplemented
        return self.size == other.size and np.array_equal(self.ijk_to_lps, other.ijk_to_lps)

    __hash__ = None  # type: ignore[assignment]


def _listed(values: FloatArray) -> str:
    return " x ".join(f"{value:g}" for value in values)
