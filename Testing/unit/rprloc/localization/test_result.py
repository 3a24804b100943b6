from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rprloc.errors import InputError, OutputError
from rprloc.geometry import Frame, Points
from rprloc.localization.result import CSV_HEADER, Result, format_table, write_csv, write_markups
from rprloc.targets.markups import BoxMark, PointMark, read_markups


def box(target: str = "Liver", query: str = "ct1", **more: Any) -> Result:
    values: dict[str, Any] = {
        "status": "ok",
        "center": [1, 2, -3.456],
        "size": [10, 20, 30],
        "spread_mm": 4.2,
    }
    return Result(query, target, "box", **{**values, **more})


def landmark(target: str = "Dens", query: str = "ct1", **more: Any) -> Result:
    values: dict[str, Any] = {"status": "ok", "center": [1, 2, 3], "cycle_mm": 0.5}
    return Result(query, target, "landmark", **{**values, **more})


def lost(target: str = "Spleen", query: str = "ct1", **more: Any) -> Result:
    return Result(query, target, "box", **{"status": "outside", "reason": "ends below it", **more})


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_csv_columns_and_numbers(tmp_path: Path) -> None:
    told = landmark(radius90_mm=7.5, model="han-ct")
    write_csv(tmp_path / "r.csv", [box(), told, lost(reason='no "such",\nthing')])
    text = (tmp_path / "r.csv").read_text()
    header = (
        "query,target,kind,status,cx,cy,cz,sx,sy,sz,spread_mm,cycle_mm,reason,radius90_mm,model"
    )
    assert text.splitlines()[0] == header == ",".join(CSV_HEADER)
    assert text.splitlines()[1] == "ct1,Liver,box,ok,1.00,2.00,-3.46,10.00,20.00,30.00,4.20,,,,"
    assert text.splitlines()[2] == "ct1,Dens,landmark,ok,1.00,2.00,3.00,,,,,0.50,,7.50,han-ct"
    row = read_rows(tmp_path / "r.csv")[2]
    assert row["status"] == "outside"
    assert row["cx"] == ""
    assert row["reason"] == 'no "such", thing'


def test_csv_survives_odd_names_and_minus_zero(tmp_path: Path) -> None:
    write_csv(tmp_path / "r.csv", [landmark('a,"b"', center=[-0.001, 0, 0]), landmark("肝")])
    rows = read_rows(tmp_path / "r.csv")
    assert rows[0]["target"] == 'a,"b"'
    assert rows[0]["cx"] == "0.00"
    assert rows[1]["target"] == "肝"


def test_markups_of_every_found_target(tmp_path: Path) -> None:
    unsure = box("Heart", status="low-confidence", reason="votes scatter", cycle_mm=9.0)
    written = write_markups(tmp_path, [box(), landmark(), lost(), unsure, box(query="ct2")])
    names = ["ct1/Liver", "ct1/Dens", "ct1/Heart", "ct2/Liver"]
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        f"{name}.mrk.json" for name in names
    ]
    assert sorted(tmp_path.rglob("*.mrk.json")) == sorted(written)
    (liver,), (dens,) = read_markups(written[0]), read_markups(written[1])
    assert isinstance(liver, BoxMark)
    assert isinstance(dens, PointMark)
    np.testing.assert_allclose(liver.box.lower, [-4, -8, -18.456])
    np.testing.assert_allclose(dens.position.xyz, [[1, 2, 3]])
    assert (
        "low-confidence, spread 4.2 mm, cycle error 9.0 mm, votes scatter" in written[2].read_text()
    )


def test_names_cannot_leave_the_folder_or_collide(tmp_path: Path) -> None:
    odd = [
        box("../x", "../../q"),
        box("a/b", "../../q"),
        box("a:b", "../../q"),
        box("CON", "nul"),
        box("A/B", "../../q"),
    ]
    written = write_markups(tmp_path / "out", odd)
    assert len(set(written)) == 5
    assert all(path.is_file() for path in written)
    assert {path.parent.parent for path in written} == {tmp_path / "out"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_target_that_is_gone_takes_its_old_file_along(tmp_path: Path) -> None:
    (old,) = write_markups(tmp_path, [box()])
    assert write_markups(tmp_path, [lost("Liver")]) == []
    assert not old.exists()


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "ct1").write_text("a file where the query's folder should be")
    with pytest.raises(OutputError):
        write_markups(tmp_path, [box()])
    with pytest.raises(OutputError):
        write_csv(tmp_path / "absent" / "r.csv", [box()])


def test_table_lines_up_and_leaves_out_empty_columns() -> None:
    text = format_table([box(), landmark("A very long landmark name"), lost()])
    lines = text.splitlines()
    assert len(lines) == 5
    assert lines[0].index("status") == lines[2].index("ok") == lines[4].index("outside")
    assert "ends below it" in lines[4]
    assert "10.0 x  20.0 x  30.0" in lines[2]
    assert "reason" not in format_table([box()])
    assert "size" not in format_table([landmark()])
    assert format_table([]) == ""


def test_result_checks_its_numbers() -> None:
    with pytest.raises(InputError, match="no position"):
        box(center=None)
    with pytest.raises(InputError, match="no position"):
        box(size=None)
    with pytest.raises(InputError):
        box(center=[np.nan, 0, 0])
    with pytest.raises(InputError, match="spread_mm"):
        box(spread_mm=float("nan"))


def test_result_box_and_frames() -> None:
    result = box(points=Points(np.ones((6, 3)), Frame.RAS))
    assert result.box is not None
    assert result.points is not None
    assert result.found
    np.testing.assert_allclose(result.box.size, [10, 20, 30])
    np.testing.assert_array_equal(result.points.xyz[0], [-1, -1, 1])
    assert landmark().box is None
    assert lost().box is None
    assert not lost().found
