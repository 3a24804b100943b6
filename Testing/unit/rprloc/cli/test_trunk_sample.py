"""``rprloc locate`` on the synthetic trunk, whose region the bundled model has not learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.command_line import rows_of
from support.paths import BUNDLED_TEMPLATES, TRUNK_SAMPLE

from rprloc.cli.main import main
from rprloc.targets.markups import PointMark, read_markups, write_landmarks

LIBRARY = BUNDLED_TEMPLATES / "body-ct-organs.json"
# The errors were 2.4 mm (carina) and 0.6 mm (kidney).
TOLERANCE_MM = 6.0
LIBRARY_TOLERANCE_MM = 12.0
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
    rows = {row["target"]: row for row in rows_of(tmp_path / "out")}
    assert sorted(rows) == sorted(MARKED) and rows["Carina"]["status"] == "ok"
    for name, row in rows.items():
        assert row["status"] in ("ok", "low-confidence"), row["reason"]
        assert distance(row, places("query")[name]) < TOLERANCE_MM, name


def test_the_bundled_template_finds_landmarks_of_the_trunk_without_a_click(tmp_path: Path) -> None:
    given = ["--template", LIBRARY, "--out", tmp_path / "out", "--device", "cpu"]
    assert main(["locate", *map(str, given), str(TRUNK_SAMPLE / "query.nii.gz")]) in (0, 1)
    rows = {row["target"]: row for row in rows_of(tmp_path / "out")}
    assert {row["model"] for row in rows.values()} == {"body-ct"}
    assert rows["carina"]["status"] == "ok"
    assert distance(rows["carina"], places("query")["Carina"]) < LIBRARY_TOLERANCE_MM
    # The sample ends above the pelvis, and shows no head.
    absent = [rows[n]["status"] for n in ("femoral_head_left", "eye_globe_left", "dens_tip")]
    assert "ok" not in absent


def distance(row: dict[str, str], place: np.ndarray) -> float:
    """From the centre of a row to a place, mm."""
    found = np.array([float(row[column]) for column in ("cx", "cy", "cz")])
    return float(np.linalg.norm(found - place))
