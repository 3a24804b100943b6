"""Markups of older Slicer versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rprloc.errors import InputError
from rprloc.targets.loading import read_target_file
from rprloc.targets.markups import BoxMark, PointMark
from rprloc.targets.old_markups import read_old_markups

COLUMNS = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"


def fcsv(path: Path, system: str, *rows: str) -> Path:
    head = f"# Markups fiducial file version = 4.10\n# CoordinateSystem = {system}\n{COLUMNS}"
    path.write_text(head + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(("system", "sign"), [("0", -1), ("RAS", -1), ("1", 1), ("LPS", 1)])
def test_points_are_read_in_either_frame(tmp_path: Path, system: str, sign: int) -> None:
    path = fcsv(
        tmp_path / "a.fcsv",
        system,
        "P_0,49,-105,1186,0,0,0,1,1,1,0,Tip,,",
        'P_1,1,2,3,0,0,0,1,1,1,0,"Chin, left",,',
        "P_2,4,5,6,0,0,0,1,1,1,0,Tip,,,2,0",
    )
    marks = read_old_markups(path).marks
    assert [mark.name for mark in marks] == ["Tip", "Chin, left", "Tip-2"]
    assert isinstance(marks[0], PointMark)
    np.testing.assert_allclose(marks[0].position.xyz, [[sign * 49, sign * -105, 1186]])


def test_points_that_are_not_placed_are_named(tmp_path: Path) -> None:
    path = fcsv(
        tmp_path / "a.fcsv",
        "LPS",
        "1,0,0,0,0,0,0,1,1,1,0,A,,,2,0",
        "2,0,0,0,0,0,0,1,1,1,0,B,,,0,0",
    )
    file = read_target_file(path)
    assert [target.name for target in file.targets] == ["A"]
    assert file.notes == ("left out: point B (not placed)",)


@pytest.mark.parametrize("delimiter", [",", "|"])
def test_an_annotation_roi_is_read(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "box.acsv"
    rows = [["point", "-49", "105", "1186", "1", "1"], ["point", "30", "25", "20", "1", "1"]]
    text = "# Name = R\n# pointColumns = type|x|y|z|sel|vis\n"
    path.write_text(text + "".join(delimiter.join(row) + "\n" for row in rows), encoding="utf-8")
    (mark,) = read_old_markups(path).marks
    assert isinstance(mark, BoxMark)
    assert mark.name == "R"
    np.testing.assert_allclose(mark.box.center, [49, -105, 1186])
    np.testing.assert_allclose(mark.box.size, [60, 50, 40])


def test_an_annotation_point_is_a_landmark(tmp_path: Path) -> None:
    path = tmp_path / "p.acsv"
    path.write_text("# Name = Dens\npoint|1|2|3|1|1\n", encoding="utf-8")
    (mark,) = read_old_markups(path).marks
    assert isinstance(mark, PointMark)
    np.testing.assert_allclose(mark.position.xyz, [[-1, -2, 3]])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.fcsv", "# CoordinateSystem = IJK\n1,0,0,0\n", "only LPS and RAS"),
        ("a.fcsv", COLUMNS + "1,x,0,0,0,0,0,1,1,1,0,A,,\n", "not three numbers"),
        ("a.fcsv", COLUMNS + "1,nan,0,0,0,0,0,1,1,1,0,A,,\n", "finite"),
        ("a.fcsv", COLUMNS, "no placed point"),
        ("a.acsv", "# rulerColor = 1\npoint|0|0|0|1|1\npoint|1|1|1|1|1\n", "a ruler"),
        ("a.acsv", "# Name = R\npoint|0|0|0|1|1\npoint|1|0|1|1|1\n", "no extent"),
        ("a.acsv", "nothing\n", "neither a point nor an ROI"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words) as caught:
        read_target_file(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
