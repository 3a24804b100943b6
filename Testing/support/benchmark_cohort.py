"""A folder of synthetic patients in the layout that the benchmark reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from support.phantoms import centres
from support.samples import phantom_geometry, phantom_hu, write_image

ORGANS = {"Brainstem": 1, "RightParotid": 3, "LeftParotid": 4, "Mandible": 7}
PLACES = {
    "Brainstem": ((0.0, 10.0, 190.0), 22.0),
    "RightParotid": ((-45.0, 5.0, 170.0), 20.0),
    "LeftParotid": ((45.0, 5.0, 170.0), 20.0),
    "Mandible": ((0.0, -45.0, 160.0), 30.0),
}


def write_cohort(folder: Path, val: int = 3, test: int = 2, train: int = 2) -> Path:
    """Write train/, val/, test/ and splits.json.

    The last test patient's mandible is not complete.
    """
    names = {
        split: [f"{split}_{n}" for n in range(count)]
        for split, count in (("train", train), ("val", val), ("test", test))
    }
    cases: dict[str, dict[str, list[str]]] = {}
    for split, members in names.items():
        (folder / split).mkdir(parents=True)
        for n, name in enumerate(members):
            write_patient(folder / split, name, scale=1.0 + 0.03 * n, labelled=split != "train")
            if split != "train":
                cases[name] = {"organs": list(ORGANS), "complete_organs": list(ORGANS)}
    cases[names["test"][-1]]["complete_organs"].remove("Mandible")
    content = {"splits": names, "cases": cases, "label_ids": ORGANS}
    (folder / "splits.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_patient(folder: Path, name: str, scale: float, labelled: bool) -> None:
    """A phantom scaled by ``scale``, and balls in the places of the organs as its labels."""
    geometry = phantom_geometry()
    write_image(folder / f"{name}.nii.gz", phantom_hu(geometry, scale), geometry)
    if not labelled:
        return
    xyz = centres(geometry) / scale
    labels = np.zeros(xyz.shape[:3], dtype=np.uint8)
    for organ, (centre, radius) in PLACES.items():
        labels[((xyz - np.array(centre)) ** 2).sum(-1) < radius**2] = ORGANS[organ]
    write_image(folder / f"{name}.labels.nii.gz", labels, geometry)
