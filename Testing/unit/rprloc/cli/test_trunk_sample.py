"""``rprloc locate`` on the synthetic trunk, whose region the bundled model has not learned from."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from support.paths import TRUNK_SAMPLE

from rprloc.cli.main import main
from rprloc.targets.markups import PointMark, read_markups, write_landmarks

# The errors were 2.4 mm (carina) and 0.6 mm (kidney).
TOLERANCE_MM = 6.0
MARKED = ("Carina", "KidneyLeft")


def places(name: str) -> dict[str, np.ndarray]:
    """Landmarks of a CT of the sample, LPS mm."""
    marks = read_markups(TRUNK_SAMPLE / f"{name}.landmarks.mrk.json")
    return {m.name: m.position.xyz[0] for m in marks if isinstance(m, PointMark)}


def test_places_in_chest_and_abdomen_are_found_from_one_click_each(tmp_path: Path) -> None:
    clicks = tmp_path / "clicks.mrk.json"
    write_landmarks(clicks, "Clicks", {name: places("reference")[name] for name in MARKED})
    given = ["--reference", TRUNK_SAMPLE / "reference.nii.gz", "--targets", clicks]
    given += ["--out", tmp_path / "out", "--device", "cpu", TRUNK_SAMPLE / "query.nii.gz"]
    assert main(["locate", *map(str, given)]) == 0
    with open(tmp_path / "out" / "results.csv", encoding="utf-8", newline="") as stream:
        rows = {row["target"]: row for row in csv.DictReader(stream)}
    assert sorted(rows) == sorted(MARKED) and rows["Carina"]["status"] == "ok"
    for name, row in rows.items():
        found = np.array([float(row[column]) for column in ("cx", "cy", "cz")])
        assert row["status"] in ("ok", "low-confidence"), row["reason"]
        assert np.linalg.norm(found - places("query")[name]) < TOLERANCE_MM, name
