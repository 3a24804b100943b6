"""The cases of the body data: their CTs, landmarks and organ boxes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rprbench.core.cohort import ORGANS as HEAD_AND_NECK_ORGANS
from rprbench.core.cohort import Cohort
from rprloc.geometry import Box, Frame, Points
from rprloc.image.volume import Volume, read_volume
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.target import (
    Target,
    target_from_box,
    target_from_mask,
    target_from_point,
)

Region = Literal["head and neck", "thorax", "abdomen and pelvis"]
#: Organs whose boxes are scored, where the data has contours of them.
ORGANS = (
    *("lung_left", "lung_right", "heart", "liver", "spleen", "kidney_left", "kidney_right"),
    *("urinary_bladder", "pancreas"),
)
HEAD_AND_NECK = (
    *("dens_tip", "hyoid_body", "eye_globe_right", "eye_globe_left", "mental_protuberance"),
    *("condyle_right", "condyle_left"),
)
THORAX = (
    *("carina", "jugular_notch", "aortic_arch_top", "lung_apex_right", "lung_apex_left"),
    *("xiphoid_tip", "costophrenic_angle_right", "costophrenic_angle_left"),
    *("humeral_head_right", "humeral_head_left"),
)
#: A contour of fewer voxels is no organ.
_LEAST_VOXELS = 50


def region_of(target: str) -> Region:
    """The part of the body a landmark belongs to."""
    if target in HEAD_AND_NECK:
        return "head and neck"
    return "thorax" if target in THORAX else "abdomen and pelvis"


@dataclass(frozen=True, eq=False)
class Case:
    """One CT and what is known of it.

    Attributes:
        name: of the case. image: its file.
        find_targets: landmarks and complete organs by name, LPS mm; slow.
    """

    name: str
    image: Path
    find_targets: Callable[[], dict[str, Target]]

    def read(self) -> Volume:
        """The CT; raises InputError."""
        return read_volume(self.image)

    @cached_property
    def targets(self) -> dict[str, Target]:
        """Landmarks and complete organs by name, LPS mm."""
        return self.find_targets()


@dataclass(frozen=True, eq=False)
class _Entry:
    """What ``splits.json`` says of a case, and the folder that it speaks of."""

    name: str
    folder: Path
    data: dict[str, Any]

    def targets(self) -> dict[str, Target]:
        marks = self.data.get("landmarks", {})
        found = landmark_targets({name: mark["lps"] for name, mark in marks.items()})
        for name, b in self.data.get("boxes", {}).items():
            if b.get("complete", True) and name in ORGANS:
                box = Box(np.array(b["lower"], float), np.array(b["upper"], float), Frame.LPS)
                found[name] = target_from_box(name, box)
        return {**self._contoured(), **found}

    def _contoured(self) -> dict[str, Target]:
        """Organs of the complete contours that came with the data."""
        trunk = self.folder.parent / "trunk"
        labels = self.data.get("labels")
        if labels:
            ids = {n: i for n, i in labels["ids"].items() if labels["complete"].get(n)}
            return _organs(self.folder / labels["file"], ids)
        if (trunk / f"{self.name}.lungs.nii.gz").exists():
            ids = {"lung_right": 1, "lung_left": 2}
            return _organs(trunk / f"{self.name}.lungs.nii.gz", ids)
        if (trunk / f"{self.name}.labels.json").exists():
            named = json.loads((trunk / f"{self.name}.labels.json").read_text(encoding="utf-8"))
            return _organs(trunk / f"{self.name}.labels.nii.gz", named)
        return {}


def landmark_targets(lps: Mapping[str, Sequence[float]]) -> dict[str, Target]:
    """Landmarks by name, of their places x, y, z LPS mm."""
    return {
        name: target_from_point(name, Points(np.array([place], dtype=float), Frame.LPS))
        for name, place in lps.items()
    }


def _organs(path: Path, ids: dict[str, int]) -> dict[str, Target]:
    """The organs of a label map that its ends do not cut."""
    labels = read_label_map(path)
    found = {}
    for name, number in ids.items():
        if name not in ORGANS:
            continue
        mask = labels.mask(number)
        slices = np.flatnonzero(mask.any(axis=(1, 2)))
        if mask.sum() < _LEAST_VOXELS or slices[0] == 0 or slices[-1] == len(mask) - 1:
            continue
        found[name] = target_from_mask(name, mask, labels.geometry)
    return found


def read_cases(folder: Path, split: str) -> list[Case]:
    """The cases of a split that have targets; raises OSError, ValueError or KeyError."""
    data = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
    entries = [_Entry(name, folder, data["cases"][name]) for name in data["splits"][split]]
    cases = [Case(e.name, (folder / e.data["image"]).resolve(), e.targets) for e in entries]
    return [case for case in cases if case.targets]


def head_and_neck_cases(folder: Path, split: str) -> list[Case]:
    """The patients of the head-and-neck data that have all four organs; raises InputError."""
    cohort = Cohort(folder)
    names = [n for n in cohort.names(split) if len(cohort.complete(n)) == len(HEAD_AND_NECK_ORGANS)]
    return [
        Case(name, folder / split / f"{name}.nii.gz", partial(_organs_of, cohort, name))
        for name in names
    ]


def _organs_of(cohort: Cohort, name: str) -> dict[str, Target]:
    return cohort.patient(name).organs
