"""The cases of the benchmark.

Patients with their complete organs, and which of them are references and queries.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rprloc.errors import InputError
from rprloc.image.volume import Volume, read_volume
from rprloc.targets.labelmap import LabelMap, read_label_map
from rprloc.targets.loading import targets_from_label_map
from rprloc.targets.target import Target

ORGANS = ("Brainstem", "Mandible", "LeftParotid", "RightParotid")
TITLES = {
    "Brainstem": "Brain stem",
    "Mandible": "Mandible",
    "LeftParotid": "L parotid",
    "RightParotid": "R parotid",
}


@dataclass(frozen=True, eq=False)
class Patient:
    """A CT, its labels (None if it has none), and those organs of ORGANS that are complete in it.

    organs: name -> box target (LPS mm) made from the mask. ids: name -> value in ``labels``.
    """

    name: str
    volume: Volume
    labels: LabelMap | None
    organs: dict[str, Target]
    ids: dict[str, int]


class Cohort:
    """A folder in the layout of the head-and-neck data: train/, val/, test/ and splits.json.

    Reads every case once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.splits: dict[str, Any] = json.loads(
                (folder / "splits.json").read_text(encoding="utf-8")
            )
        except (OSError, ValueError) as error:
            raise InputError(
                f"{folder}: no readable splits.json in it; --data needs train/, val/, test/"
            ) from error
        self._read: dict[str, Patient] = {}

    def names(self, split: str) -> list[str]:
        """Cases of a split, in its order."""
        return list(self.splits["splits"][split])

    def complete(self, name: str) -> list[str]:
        """Those of ORGANS that are complete in a case."""
        complete = self.splits["cases"].get(name, {}).get("complete_organs", [])
        return [organ for organ in ORGANS if organ in complete]

    def references(self) -> list[str]:
        """Cases of ``val`` that have all ORGANS complete."""
        return [name for name in self.names("val") if len(self.complete(name)) == len(ORGANS)]

    def patient(self, name: str) -> Patient:
        """A case of any split."""
        if name not in self._read:
            self._read[name] = self._load(name, self.split_of(name))
        return self._read[name]

    def split_of(self, name: str) -> str:
        """The split that a case belongs to; raises InputError if none."""
        for split, names in self.splits["splits"].items():
            if name in names:
                return str(split)
        raise InputError(f"{name}: no such case in {self.folder / 'splits.json'}")

    def _load(self, name: str, split: str) -> Patient:
        volume = read_volume(self.folder / split / f"{name}.nii.gz")
        ids = {organ: int(self.splits["label_ids"][organ]) for organ in self.complete(name)}
        if not ids:
            return Patient(name, volume, None, {}, {})
        labels = read_label_map(self.folder / split / f"{name}.labels.nii.gz")
        organs = {t.name: t for t in targets_from_label_map(labels, ids, skip_absent=True)}
        return Patient(name, volume, labels, organs, ids)
