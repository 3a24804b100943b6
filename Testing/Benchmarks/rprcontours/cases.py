"""Cases of the head-and-neck data with the masks of their complete organs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rprloc.geometry import Geometry
from rprloc.image.volume import Volume, read_volume
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.target import Target, target_from_mask

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Case:
    """A CT, and masks (k, j, i) and targets of the organs that are complete in it."""

    name: str
    volume: Volume
    geometry: Geometry
    masks: Mapping[str, Mask]
    targets: Mapping[str, Target]


def read_case(folder: Path, split: str, name: str) -> Case:
    """Read a case of ``folder`` (with splits.json); raises InputError, OSError, KeyError."""
    splits = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
    labels = read_label_map(folder / split / f"{name}.labels.nii.gz")
    organs = splits["cases"][name]["complete_organs"]
    masks = {
        o: labels.mask(int(splits["label_ids"][o])) for o in splits["label_ids"] if o in organs
    }
    targets = {o: target_from_mask(o, mask, labels.geometry) for o, mask in masks.items()}
    volume = read_volume(folder / split / f"{name}.nii.gz")
    return Case(name, volume, labels.geometry, masks, targets)
