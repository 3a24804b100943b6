"""Cases with the masks of their complete organs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rprbody.cases import ORGANS

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


class Data:
    """A folder of CTs with masks: head-and-neck data, or the body data; see its splits.json."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError, ValueError or KeyError."""
        self.folder = folder
        self._splits = json.loads((folder / "splits.json").read_text(encoding="utf-8"))

    def names(self, split: str) -> list[str]:
        """The cases of a split that have masks of complete organs."""
        return [name for name in self._splits["splits"][split] if self.organs(name)]

    def organs(self, name: str) -> dict[str, int]:
        """The complete organs of a case, with their numbers in its label map."""
        entry = self._splits["cases"][name]
        if "complete_organs" in entry:
            ids, complete = self._splits["label_ids"], entry["complete_organs"]
            return {organ: int(ids[organ]) for organ in ids if organ in complete}
        labels = entry.get("labels", {"ids": {}, "complete": {}})
        kept = [o for o in labels["ids"] if o in ORGANS and labels["complete"].get(o)]
        return {organ: int(labels["ids"][organ]) for organ in kept}

    def read(self, split: str, name: str) -> Case:
        """Read a case; raises InputError, OSError, KeyError."""
        entry = self._splits["cases"][name]
        file = entry.get("labels", {}).get("file", f"{split}/{name}.labels.nii.gz")
        labels = read_label_map(self.folder / file)
        masks = {organ: labels.mask(number) for organ, number in self.organs(name).items()}
        targets = {o: target_from_mask(o, mask, labels.geometry) for o, mask in masks.items()}
        volume = read_volume(self.folder / entry.get("image", f"{split}/{name}.nii.gz"))
        return Case(name, volume, labels.geometry, masks, targets)
