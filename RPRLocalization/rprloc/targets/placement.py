"""Do the targets lie where they can: in the CT, in the patient, and on the CT that they name?

One judgement for every way in (command line, worker, check of a training): a target is used, used
with a note, or left out with the reason; one that cannot be used costs itself only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..geometry import FloatArray, Geometry, Points
from ..image.body import body_mask
from ..image.hounsfield import BODY_HU
from ..image.resampling import IsotropicVolume, to_grid
from ..image.volume import Volume
from .target import Kind, Target

#: The body is sought at this spacing: a landmark on the skin may lie a voxel off it.
_BODY_MM = 4.0
#: So far from all tissue a landmark is still one of the skin, of a marker on it, or of a nostril.
_ON_SKIN_MM = 8.0
#: Farther than this from all tissue a landmark marks nothing.
_IN_AIR_MM = 20.0
#: A box of which less than this share shows tissue or lies in the body is drawn elsewhere.
_LEAST_IN_BODY, _MOSTLY_IN_BODY = 0.05, 0.5
#: Half a voxel of the CT: label maps whose corners differ by less share its lattice.
_SAME_LATTICE = 0.5
#: A label map fits better if the HU inside of its organs vary less than this share.
_BETTER_FIT = 0.85
#: A wall nearer than this to the end of the CT, in its voxels, is cut by it.
_CUT_VOXELS = 0.75


@dataclass(frozen=True)
class LeftOut:
    """A target that cannot be used, and why, in one line."""

    name: str
    kind: Kind
    reason: str


@dataclass(frozen=True, eq=False)
class UsableTargets:
    """Targets that can be learned (their notes complete), and those that cannot."""

    targets: list[Target]
    left_out: tuple[LeftOut, ...]


def usable_targets(targets: Sequence[Target], volume: Volume) -> UsableTargets:
    """Judge targets against the CT that they were marked on.

    Raises:
        InputError: no target can be used, or a label map has the CT's voxels but lies elsewhere.
    """
    shared = _lattice_notes(targets, volume)
    patient = Patient.of(volume)
    used: list[Target] = []
    left_out: list[LeftOut] = []
    for target in targets:
        reason = outside_reason(target, volume.geometry) or patient.air_reason(target)
        if reason:
            left_out.append(LeftOut(target.name, target.kind, reason))
            continue
        notes = [*target.notes, *shared, *patient.notes(target), *_cut(target, volume.geometry)]
        used.append(replace(target, notes=tuple(notes)))
    if not used:
        more = f" (and {len(left_out) - 1} more)" if len(left_out) > 1 else ""
        raise InputError(f"target {left_out[0].name!r} {left_out[0].reason}{more}")
    return UsableTargets(used, tuple(left_out))


def check_inside(targets: Sequence[Target], geometry: Geometry) -> None:
    """Raise InputError, naming the first target that does not lie in the volume of ``geometry``."""
    for target in targets:
        reason = outside_reason(target, geometry)
        if reason:
            raise InputError(f"target {target.name!r} {reason}")


def outside_reason(target: Target, geometry: Geometry) -> str:
    """Say why a target does not lie in the volume of ``geometry``; empty if it does.

    Landmarks must be inside; the six points of a box may be up to one voxel outside (a label map
    may have another lattice than the CT).
    """
    margin = 0.0 if target.kind == "landmark" else float(np.max(np.asarray(geometry.spacing)))
    inside = geometry.contains(target.points, margin)
    if inside.all():
        return ""
    if target.kind == "box" and inside.any():
        return (
            "reaches beyond the reference CT: make its box smaller, or use a CT that shows it whole"
        )
    turned = Points(target.points.xyz * np.array([-1.0, -1.0, 1.0]))
    if geometry.contains(turned, margin).all():
        return (
            "lies outside the reference CT, but inside it with x and y negated: its file seems to "
            "hold RAS where it says LPS, or the other way round"
        )
    return (
        "lies outside the reference CT: check that both belong to the same patient and coordinate "
        "system"
    )


def lattice_conflict(labels: Geometry, image: Geometry) -> str:
    """Compare the lattice of a label map with that of its CT.

    Returns:
        A note, if both have the same number of voxels in the same space but in another order; empty
        if their lattices agree, or the label map has one of its own.

    Raises:
        InputError: they have the same number of voxels, but the label map lies elsewhere.
    """
    if labels.size != image.size:
        return ""
    corners = _corners(labels)
    away = np.linalg.norm(corners - _corners(image), axis=1).max()
    if away <= _SAME_LATTICE * image.spacing.max():
        return ""

    size = " x ".join(map(str, image.size))
    bounds = np.abs(labels.bounds().corners().xyz - image.bounds().corners().xyz).max()
    if bounds <= _SAME_LATTICE * image.spacing.max():
        return (
            f"the label map has the CT's {size} voxels in another order (its header turns or flips "
            f"them; voxels of the same number lie up to {away:.0f} mm apart): unless it was stored "
            "so on purpose, sides are exchanged"
        )
    raise InputError(
        f"the label map has the CT's {size} voxels but lies elsewhere, up to {away:.0f} mm off "
        f"({_differences(labels, image)}): save it again with the CT's geometry, or does it belong "
        "to another CT?"
    )


def _differences(labels: Geometry, image: Geometry) -> str:
    """Say in which of origin, spacing and direction two lattices differ."""
    parts = []
    shift = float(np.linalg.norm(labels.origin - image.origin))
    if shift > _SAME_LATTICE * image.spacing.min():
        parts.append(f"origin {shift:.0f} mm apart")
    if not np.allclose(labels.spacing, image.spacing, rtol=1e-2):
        found, wanted = (" x ".join(f"{s:g}" for s in g.spacing) for g in (labels, image))
        parts.append(f"voxels of {found} instead of {wanted} mm")
    if not np.allclose(labels.direction, image.direction, atol=1e-2):
        parts.append("other directions of its axes")
    return ", ".join(parts)


def _lattice_notes(targets: Sequence[Target], volume: Volume) -> tuple[str, ...]:
    """Return the notes of ``lattice_conflict`` for the label maps that targets come from.

    Raises InputError for a label map that fits the CT by the numbers of its voxels, and not where
    its header puts it.
    """
    lattices: list[Geometry] = []
    for target in targets:
        if target.lattice is not None and target.lattice not in lattices:
            lattices.append(target.lattice)
    notes = []
    for lattice in lattices:
        note = lattice_conflict(lattice, volume.geometry)
        if not note:
            continue
        notes.append(note)
        drawn = [target for target in targets if target.lattice == lattice]
        declared, by_index = _roughness(drawn, volume, None), _roughness(drawn, volume, lattice)
        if by_index < _BETTER_FIT * declared:
            raise InputError(
                "the label map fits the CT voxel by voxel, but its header turns or flips it: save "
                "it again with the CT's geometry"
            )
    return tuple(dict.fromkeys(notes))


def _roughness(targets: Sequence[Target], volume: Volume, by_index_of: Geometry | None) -> float:
    """Return how much the HU inside of targets vary (standard deviation, mean over the targets).

    An organ is of one tissue, so it is low where label map and CT fit. The voxels are those at the
    points' places, or those of the same number as in the lattice ``by_index_of``.
    """
    spreads = []
    for target in targets:
        points = target.points if target.inside is None else target.inside
        index = (by_index_of or volume.geometry).lps_to_index(points)
        ijk = np.clip(np.rint(index).astype(int), 0, np.array(volume.geometry.size) - 1)
        spreads.append(float(volume.array[ijk[:, 2], ijk[:, 1], ijk[:, 0]].std()))
    return float(np.mean(spreads))


def _corners(geometry: Geometry) -> FloatArray:
    """Return the centres of the eight outermost voxels (8, 3), LPS mm, in the order of indices."""
    last = np.array(geometry.size) - 1
    pick = np.array([[(n >> axis) & 1 for axis in range(3)] for n in range(8)])
    return geometry.index_to_lps(pick * last).xyz


def _cut(target: Target, geometry: Geometry) -> tuple[str, ...]:
    """Return a note if a wall of a box lies at the end of the CT."""
    if target.kind == "landmark":
        return ()
    index = geometry.lps_to_index(target.points)
    ends = np.array(geometry.size) - 0.5
    at_end = (index < -0.5 + _CUT_VOXELS) | (index > ends - _CUT_VOXELS)
    # A wall belongs to the axis of the CT that it faces most.
    axes = np.abs(geometry.direction).argmax(axis=1)
    if not any(at_end[row, axes[row % 3]] for row in range(len(index))):
        return ()
    return ("it is cut by the end of the scan, and its box ends there",)


@dataclass(frozen=True, eq=False)
class Patient:
    """Where the patient is in a CT: the body and all other tissue, on a grid of 4 mm."""

    grid: IsotropicVolume
    body: np.ndarray
    tissue: np.ndarray

    @classmethod
    def of(cls, volume: Volume) -> Patient:
        """Find the body, as it is found before the networks see the CT."""
        grid = to_grid(volume, _BODY_MM, body_only=False)
        body = body_mask(grid.hu, (_BODY_MM,) * 3)
        return cls(grid, body, body | (grid.hu > BODY_HU))

    def air_reason(self, target: Target) -> str:
        """Say why a target marks nothing because it lies in air; empty if it marks something."""
        if target.kind == "landmark":
            if self._distance(target, self.tissue) <= _IN_AIR_MM:
                return ""
        elif self._share(target) >= _LEAST_IN_BODY:
            return ""
        away = self._distance(target, self.body)
        return f"lies in air, {away:.0f} mm from the body: is it marked on this CT?"

    def notes(self, target: Target) -> tuple[str, ...]:
        """Return a note for a target that lies partly in air."""
        if target.kind == "landmark":
            away = self._distance(target, self.tissue)
            return (f"it lies in air, {away:.0f} mm from the skin",) if away > _ON_SKIN_MM else ()
        share = self._share(target)
        if share >= _MOSTLY_IN_BODY:
            return ()
        return (f"only {100 * share:.0f} % of it lie in the body",)

    def _share(self, target: Target) -> float:
        """Return the share of a box's inside that lies in the body, or in other tissue."""
        points = target.points if target.inside is None else target.inside
        index = np.rint(self.grid.lps_to_zyx(points.xyz)).astype(int)
        index = np.clip(index, 0, np.array(self.tissue.shape) - 1)
        return float(self.tissue[index[:, 0], index[:, 1], index[:, 2]].mean())

    def _distance(self, target: Target, mask: np.ndarray) -> float:
        """Return the distance of a target's centre from the nearest voxel of a mask, mm."""
        voxels = np.argwhere(mask)
        if not len(voxels):
            return float("inf")
        centre = self.grid.lps_to_zyx(target.points.xyz.mean(axis=0)[None])
        gap = np.maximum(np.abs(voxels - centre) - 0.5, 0.0)
        return float(np.sqrt(np.square(gap).sum(axis=1).min()) * self.grid.spacing)
