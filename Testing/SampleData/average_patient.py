"""The average patient: the median CT of many patients, with the mean contours of others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from groupwise import (
    FIRST_ROUND,
    SECOND_ROUND,
    THIRD_ROUND,
    Level,
    Placement,
    correlation,
    frame_of,
    lattice_of,
    median,
    place,
    placed,
    recentred,
    refine,
    unbiased,
)
from registration import Subject, field_of_view, subject_of

from rprloc.image.hounsfield import BODY_HU
from rprloc.image.volume import read_volume

MINIMUM_PATIENTS = 30
SPACING_MM = 3.0
# After the first and the second round; below it, a registration has failed.
LEAST_CORRELATION = (0.65, 0.82)
LEAST_LEVEL = 0.2

Report = Callable[[str], None]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Average:
    """The average patient on a 3 mm lattice, LPS.

    Attributes:
        hu: int16.
        organs: float32 per organ, mean map over its cut level (1 and above is inside).
        slab: z in mm of the first and last slice in which every voxel is a median of at least 30
            patients.
        patients: how many were averaged.
        contours: how many were averaged, per organ.
    """

    hu: sitk.Image
    organs: dict[str, sitk.Image]
    slab: tuple[float, float]
    patients: int
    contours: dict[str, int]


@dataclass(frozen=True, eq=False)
class Member:
    """A patient of the average."""

    path: Path
    subject: Subject
    placement: Placement


def longest(folder: Path, count: int) -> list[Path]:
    """Return the ``count`` CTs of ``folder`` with the longest extent along k, longest first."""
    rows = []
    for path in scans(folder):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        rows.append((-reader.GetSize()[2] * reader.GetSpacing()[2], path.name, path))
    return [row[2] for row in sorted(rows)[:count]]


def scans(folder: Path) -> list[Path]:
    """Return the CTs of ``folder`` (not the label maps), by name."""
    return [
        path for path in sorted(folder.glob("*.nii.gz")) if not path.name.endswith(".labels.nii.gz")
    ]


def scan_of(path: Path) -> sitk.Image:
    """Read a CT as it is stored, without the empty slices above and below the patient."""
    image = sitk.ReadImage(str(path))
    first, last = field_of_view(sitk.GetArrayFromImage(image).astype(np.float32))
    return image[:, :, first : last + 1]


def make_average(
    train: Sequence[Path], val: Path, splits: Path, least: int, report: Report
) -> Average:
    """Bring CTs into one frame and take their median, and the mean contours of others.

    Args:
        train: the CTs to average.
        val: folder of CTs with label maps, whose contours are mapped onto the average.
        splits: the file that says which organs are complete.
        least: patients that a voxel needs (fewer are for trials only).
        report: takes a line on every step.
    """
    first = subject_of(read_volume(train[0]))
    lattice = lattice_of(first.image)
    members = _first_placements(train, first, lattice, report)
    goal = sitk.Resample(
        first.image, lattice, members[0].placement.transform, sitk.sitkLinear, -1000.0
    )
    for levels, agreement in zip((FIRST_ROUND, SECOND_ROUND), LEAST_CORRELATION, strict=True):
        members = _round(frame_of(goal), members, levels, agreement, report)
        goal = _median(members, lattice, max(1, len(members) // 2))[0]
    hu, count = _median(members, _finer(lattice), least)
    slab = covered_slab(count, hu, least)
    report(f"average of {len(members)} patients, {slab[1] - slab[0]:.0f} mm long")
    organs, contours = _mean_organs(
        frame_of(goal), lattice, hu, val, json.loads(splits.read_text("utf-8")), report
    )
    return Average(hu, organs, slab, len(members), contours)


def _first_placements(
    train: Sequence[Path], first: Subject, lattice: sitk.Image, report: Report
) -> list[Member]:
    subjects = [subject_of(read_volume(path)) for path in train]
    placements = []
    for number, subject in enumerate(subjects):
        report(f"affine {number + 1}/{len(subjects)}: {subject.name}")
        placements.append(place(first, lattice, subject))
    rows = zip(train, subjects, unbiased(placements), strict=True)
    return [Member(path, subject, placement) for path, subject, placement in rows]


def _round(
    frame: Subject,
    members: Sequence[Member],
    levels: Sequence[Level],
    agreement: float,
    report: Report,
) -> list[Member]:
    """Refine all, and move the frame to their mean shape; who still disagrees is left out."""
    agreeing = []
    for member in members:
        placement = refine(frame.image, member.subject, member.placement, levels)
        value = correlation(frame.image, member.subject, placement)
        good = value >= agreement
        report(
            f"demons {member.subject.name}: correlation {value:.3f}{'' if good else ', left out'}"
        )
        if good:
            agreeing.append(Member(member.path, member.subject, placement))

    centred = recentred([member.placement for member in agreeing])
    return [
        Member(member.path, member.subject, placement)
        for member, placement in zip(agreeing, centred, strict=True)
    ]


def _median(
    members: Sequence[Member], lattice: sitk.Image, least: int
) -> tuple[sitk.Image, npt.NDArray[np.intp]]:
    stack = [placed(scan_of(member.path), member.placement, lattice) for member in members]
    hu, count = median(np.stack(stack), least)
    image = sitk.GetImageFromArray(hu)
    image.CopyInformation(lattice)
    return image, count


def _finer(lattice: sitk.Image) -> sitk.Image:
    size = [
        round(n * s / SPACING_MM)
        for n, s in zip(lattice.GetSize(), lattice.GetSpacing(), strict=True)
    ]
    return sitk.Resample(
        lattice,
        size,
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
        lattice.GetOrigin(),
        [SPACING_MM] * 3,
        lattice.GetDirection(),
        -1000.0,
    )


def covered_slab(count: npt.NDArray[np.intp], image: sitk.Image, least: int) -> tuple[float, float]:
    """First and last z (mm) of the longest run of slices with ``count`` >= ``least`` everywhere.

    Only the columns (x, y) that hold tissue somewhere count: beside the patient there is nothing to
    average.
    """
    columns = (sitk.GetArrayViewFromImage(image) > BODY_HU).any(axis=0)
    full = np.asarray((count >= least)[:, columns].all(axis=1))
    runs = np.split(np.arange(len(full)), np.flatnonzero(np.diff(full)) + 1)
    best = max((run for run in runs if full[run[0]]), key=len, default=None)
    if best is None:
        raise ValueError(f"no slice was scanned in {least} patients: give more CTs")
    first, mm = image.GetOrigin()[2], image.GetSpacing()[2]
    return first + mm * int(best[0]), first + mm * int(best[-1])


def _mean_organs(
    frame: Subject,
    coarse: sitk.Image,
    fine: sitk.Image,
    val: Path,
    splits: dict[str, Any],
    report: Report,
) -> tuple[dict[str, sitk.Image], dict[str, int]]:
    """Mean maps of the complete organs of the patients in ``val``, over their cut level."""
    maps: dict[str, list[FloatArray]] = {name: [] for name in splits["label_ids"]}
    for path in scans(val):
        name = path.name.removesuffix(".nii.gz")
        subject = subject_of(read_volume(path))
        placement = refine(frame.image, subject, place(frame, coarse, subject), THIRD_ROUND)
        value = correlation(frame.image, subject, placement)
        good = value >= LEAST_CORRELATION[-1]
        report(f"contours of {name}: correlation {value:.3f}{'' if good else ', left out'}")
        if not good:
            continue
        labels = sitk.ReadImage(str(path.with_name(f"{name}.labels.nii.gz")))
        for organ in splits["cases"][name]["complete_organs"]:
            mask = sitk.Cast(labels == splits["label_ids"][organ], sitk.sitkFloat32)
            mapped = sitk.Resample(mask, fine, placement.transform, sitk.sitkLinear, 0.0)
            maps[organ].append(sitk.GetArrayFromImage(mapped))

    contoured = {organ: arrays for organ, arrays in maps.items() if arrays}
    organs = {organ: level_map(np.stack(arrays)) for organ, arrays in contoured.items()}
    images = {organ: sitk.GetImageFromArray(array) for organ, array in organs.items()}
    for image in images.values():
        image.CopyInformation(fine)
    return images, {organ: len(arrays) for organ, arrays in contoured.items()}


def level_map(maps: FloatArray) -> FloatArray:
    """Mean of the maps (n, z, y, x), 0 to 1, over the level at which it keeps their median volume.

    The level is at least LEAST_LEVEL, so an organ that the patients do not share comes out smaller,
    not scattered.
    """
    mean = maps.mean(axis=0)
    voxels = round(float(np.median(maps.sum(axis=(1, 2, 3)))))
    ordered = np.sort(mean, axis=None)[::-1]
    level = max(LEAST_LEVEL, float(ordered[int(np.clip(voxels, 1, ordered.size)) - 1]))
    return np.asarray(mean / level, dtype=np.float32)
