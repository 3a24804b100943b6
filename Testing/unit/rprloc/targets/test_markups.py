from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rprloc.errors import InputError, OutputError
from rprloc.geometry import Box, Frame, Points
from rprloc.targets.loading import read_target_file
from rprloc.targets.markups import (
    SCHEMA,
    BoxMark,
    PointMark,
    read_markups,
    read_markups_file,
    unique,
    write_fiducial,
    write_roi,
)

POSITIONS = hnp.arrays(np.float64, (3, 3), elements=st.floats(-1e4, 1e4))
REUSED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def save(path: Path, *markups: Any, schema: str = SCHEMA) -> Path:
    path.write_text(json.dumps({"@schema": schema, "markups": list(markups)}))
    return path


def fiducials(*points: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": list(points), **more}


def roi(**more: Any) -> dict[str, Any]:
    return {"type": "ROI", "roiType": "Box", "center": [10, 20, 30], "size": [2, 4, 6], **more}


def positions(path: Path) -> dict[str, list[float]]:
    return {
        m.name: m.position.xyz[0].tolist() for m in read_markups(path) if isinstance(m, PointMark)
    }


def test_every_point_is_named_by_its_label(tmp_path: Path) -> None:
    points = [
        {"label": "Dens", "position": [1, 2, 3]},
        {"label": "", "position": [4, 5, 6]},
        {"position": [7, 8, 9], "positionStatus": "defined", "visibility": False},
        {"label": "Dens", "position": [0, 0, 0]},
    ]
    path = save(tmp_path / "F.mrk.json", fiducials(*points))
    assert positions(path) == {
        "Dens": [1, 2, 3],
        "F-2": [4, 5, 6],
        "F-3": [7, 8, 9],
        "Dens-2": [0, 0, 0],
    }


@pytest.mark.parametrize("status", ["undefined", "preview", "missing"])
def test_points_that_are_not_placed_are_left_out(tmp_path: Path, status: str) -> None:
    hidden = {"label": "A", "positionStatus": status, "position": [0, 0, 0]}
    no_position = {"label": "B", "positionStatus": status}
    path = save(
        tmp_path / "F.mrk.json",
        fiducials(hidden, no_position, {"label": "C", "position": [1, 1, 1]}),
    )
    assert list(positions(path)) == ["C"]


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("LPS", [1, 2, 3]),
        ("RAS", [-1, -2, 3]),
        ("1", [1, 2, 3]),
        ("0", [-1, -2, 3]),
        (0, [-1, -2, 3]),
    ],
)
def test_coordinate_systems(tmp_path: Path, system: Any, expected: list[float]) -> None:
    path = save(
        tmp_path / "F.mrk.json",
        fiducials({"label": "A", "position": [1, 2, 3]}, coordinateSystem=system),
    )
    assert positions(path) == {"A": expected}


def test_several_markups_in_one_file(tmp_path: Path) -> None:
    path = save(
        tmp_path / "mixed.mrk.json",
        fiducials({"label": "A", "position": [1, 2, 3]}),
        {"type": "Line", "controlPoints": [{"label": "L", "position": [0, 0, 0]}]},
        roi(name="Liver"),
        roi(),
        roi(),
        schema=SCHEMA.replace("1.0.3", "1.0.0"),
    )
    assert [mark.name for mark in read_markups(path)] == ["A", "Liver", "mixed", "mixed-2"]


def test_turned_roi_becomes_the_box_around_it(tmp_path: Path) -> None:
    c, s = np.cos(np.pi / 4), np.sin(np.pi / 4)
    path = save(tmp_path / "R.mrk.json", roi(orientation=[c, -s, 0, s, c, 0, 0, 0, 1]))
    (mark,) = read_markups(path)
    assert isinstance(mark, BoxMark)
    np.testing.assert_allclose(mark.box.center, [10, 20, 30])
    np.testing.assert_allclose(mark.box.size, [6 * c, 6 * c, 6])


def test_orientation_is_row_major(tmp_path: Path) -> None:
    around_x, around_z = np.deg2rad(30), np.deg2rad(50)
    a = [
        [1, 0, 0],
        [0, np.cos(around_x), -np.sin(around_x)],
        [0, np.sin(around_x), np.cos(around_x)],
    ]
    b = [
        [np.cos(around_z), -np.sin(around_z), 0],
        [np.sin(around_z), np.cos(around_z), 0],
        [0, 0, 1],
    ]
    axes = np.array(a) @ np.array(b)
    path = save(tmp_path / "R.mrk.json", roi(orientation=axes.ravel().tolist()))
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = [10, 20, 30] + signs * [1, 2, 3] @ axes.T
    (mark,) = read_markups(path)
    assert isinstance(mark, BoxMark)
    np.testing.assert_allclose(mark.box.lower, corners.min(axis=0))
    np.testing.assert_allclose(mark.box.upper, corners.max(axis=0))


@REUSED_FOLDER
@given(POSITIONS)
def test_written_points_come_back(tmp_path: Path, xyz: np.ndarray) -> None:
    path = tmp_path / "P.mrk.json"
    write_fiducial(path, "P", Points(xyz, Frame.LPS), "found")
    assert list(positions(path)) == ["P-1", "P-2", "P-3"]
    np.testing.assert_array_equal(list(positions(path).values()), xyz)
    write_fiducial(path, "P", Points(xyz[:1], Frame.LPS).to(Frame.RAS), "found")
    np.testing.assert_array_equal(positions(path)["P"], xyz[0])


@REUSED_FOLDER
@given(POSITIONS)
def test_written_box_comes_back(tmp_path: Path, xyz: np.ndarray) -> None:
    box = Box(xyz.min(axis=0) - 1, xyz.max(axis=0) + 1)
    write_roi(tmp_path / "b.mrk.json", "Left parotid", box.to(Frame.RAS))
    (mark,) = read_markups(tmp_path / "b.mrk.json")
    assert isinstance(mark, BoxMark)
    assert mark.name == "Left parotid"
    np.testing.assert_allclose(mark.box.lower, box.lower, atol=1e-9)
    np.testing.assert_allclose(mark.box.upper, box.upper, atol=1e-9)


def test_written_file_has_what_slicer_reads(tmp_path: Path) -> None:
    write_roi(tmp_path / "b.mrk.json", "Liver", Box([0, 0, 0], [2, 4, 6]), "ok")
    content = json.loads((tmp_path / "b.mrk.json").read_text())
    (markup,) = content["markups"]
    assert content["@schema"].endswith("markups-schema-v1.0.3.json#")
    assert markup["type"] == "ROI"
    assert markup["roiType"] == "Box"
    assert markup["coordinateSystem"] == "LPS"
    assert markup["center"] == [1, 2, 3]
    assert markup["size"] == [2, 4, 6]
    assert markup["insideOut"] is False
    (point,) = markup["controlPoints"]
    keys = {
        "id",
        "label",
        "position",
        "orientation",
        "selected",
        "locked",
        "visibility",
        "positionStatus",
    }
    assert keys <= set(point)
    assert point["positionStatus"] == "defined"
    assert point["position"] == [1, 2, 3]


POINT = '{"type": "Fiducial", "controlPoints": [{"label": "A", "position": [1, 2, %s]}]}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ("{\x00}", "not a JSON file"),
        ("[]", "not a Slicer markups file"),
        ('{"markups": []}', "not a Slicer markups file"),
        ('{"@schema": "markups-schema-v2.0.0.json#", "markups": []}', "not a Slicer markups file"),
        (f'{{"@schema": "{SCHEMA}"}}', "no list 'markups'"),
        (f'{{"@schema": "{SCHEMA}", "markups": [3]}}', "not an object"),
        (f'{{"@schema": "{SCHEMA}", "markups": [{POINT % "NaN"}]}}', "holds NaN"),
        (f'{{"@schema": "{SCHEMA}", "markups": [{POINT % "-Infinity"}]}}', "holds -Infinity"),
        (f'{{"@schema": "{SCHEMA}", "markups": [{POINT % "1e999"}]}}', "not finite"),
        (f'{{"@schema": "{SCHEMA}", "markups": [{POINT % ("1" + "0" * 400)}]}}', "not finite"),
        (f'{{"@schema": "{SCHEMA}", "markups": [{POINT % "true"}]}}', "not 3 numbers"),
        (f'{{"@schema": "{SCHEMA}", "markups": [{POINT % "1, 4"}]}}', "not 3 numbers"),
    ],
)
def test_bad_files_give_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.mrk.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_markups(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("markup", "message"),
    [
        (fiducials({"label": "A"}), "not 3 numbers"),
        (fiducials(7), "not an object"),  # type: ignore[arg-type]
        (fiducials(coordinateSystem="XYZ"), "only LPS and RAS"),
        (fiducials(coordinateUnits="um"), "millimetres"),
        (fiducials(controlPoints={}), "not a list"),
        (roi(size=[1, 0, 1]), "no extent"),
        (roi(size=[1, -2, 1]), "no extent"),
        (roi(center=None), "not 3 numbers"),
        (roi(orientation=[0] * 9), "not a rotation"),
        (roi(orientation=[1, 0, 0]), "not 9 numbers"),
    ],
)
def test_bad_markups_give_one_line(tmp_path: Path, markup: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_markups(save(tmp_path / "bad.mrk.json", markup))


def test_labels_on_several_lines_become_one_line(tmp_path: Path) -> None:
    path = save(
        tmp_path / "F.mrk.json", fiducials({"label": " a\n\tb\x07 ", "position": [0, 0, 0]})
    )
    assert list(positions(path)) == ["a b"]


def test_missing_file_and_binary_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_markups(tmp_path / "absent.mrk.json")
    (tmp_path / "b.mrk.json").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="not a JSON file"):
        read_markups(tmp_path / "b.mrk.json")


def test_unwritable_place(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_roi(tmp_path / "absent" / "b.mrk.json", "b", Box([0, 0, 0], [1, 1, 1]))


@given(st.lists(st.sampled_from(["A", "A-2", "A-3", "B"]), max_size=12))
def test_unique_names_keep_the_first(names: list[str]) -> None:
    answer = unique(names)
    assert len(set(answer)) == len(names)
    for name in set(names):
        assert answer[names.index(name)] == name


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    points = [
        {"label": "A", "position": [1.0, 2.0, 3.0], "positionStatus": "defined"},
        {"label": "B", "position": [1.0, 2.0, 3.0], "positionStatus": "preview"},
        {"label": "C", "position": [1.0, 2.0, 3.0], "positionStatus": "undefined"},
    ]
    fiducials = {"type": "Fiducial", "name": "F", "controlPoints": points}
    line = {"type": "Line", "name": "L", "controlPoints": points}
    roi = {"type": "ROI", "name": "R", "controlPoints": []}
    content = {"@schema": "markups-schema-v1.0.3.json#", "markups": [fiducials, line, roi]}
    path = tmp_path / "mixed.mrk.json"
    path.write_text(json.dumps(content), encoding="utf-8")

    file = read_markups_file(path)
    assert [mark.name for mark in file.marks] == ["A"]
    words = "points B, C, R (not placed), line L (only points and boxes are targets)"
    assert file.left_out == words
    assert read_target_file(path).notes == (f"left out: {words}",)


def test_nothing_placed_says_which_points_and_how_to_place_them(tmp_path: Path) -> None:
    points = [
        {"label": f"P{n}", "position": [1, 2, 3], "positionStatus": "preview"} for n in (1, 2)
    ]
    markup = {"type": "Fiducial", "controlPoints": points}
    content = {"@schema": "markups-schema-v1.0.3.json#", "markups": [markup]}
    path = tmp_path / "preview.mrk.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"points P1, P2 .not placed.*click each in a slice view"):
        read_target_file(path)
