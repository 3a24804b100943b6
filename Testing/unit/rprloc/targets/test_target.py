from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from rprloc.errors import InputError
from rprloc.geometry import Box, Geometry, Points
from rprloc.targets.extreme_points import face_centres, spread_over
from rprloc.targets.label_ids import read_label_ids
from rprloc.targets.labelmap import LabelMap
from rprloc.targets.loading import (
    load_targets,
    read_target_file,
    targets_from_label_map,
    targets_from_markups,
)
from rprloc.targets.markups import write_fiducial, write_roi
from rprloc.targets.placement import check_inside
from rprloc.targets.target import Target, target_from_box, target_from_mask, target_from_point

ORDERS = [
    (p, f)
    for p in itertools.permutations(range(3))
    for f in itertools.product((False, True), repeat=3)
]


def geometry(
    size: tuple[int, int, int],
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0),
    direction: np.ndarray | None = None,
) -> Geometry:
    return Geometry(
        size,
        np.array(spacing),
        np.array([-7.0, 11.0, 5.0]),
        np.eye(3) if direction is None else direction,
    )


def turned(degrees: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix


def stored_otherwise(
    mask: np.ndarray, geo: Geometry, order: tuple[int, ...], flips: tuple[bool, ...]
) -> tuple[np.ndarray, Geometry]:
    """The same physical mask with its axes permuted and some of them reversed."""
    matrix = geo.ijk_to_lps[:, [*order, 3]].copy()
    array = mask.transpose([2 - order[2 - axis] for axis in range(3)])
    size = tuple(geo.size[axis] for axis in order)
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, 2 - axis)
            matrix[:3, 3] += matrix[:3, axis] * (size[axis] - 1)
            matrix[:3, axis] *= -1
    return np.ascontiguousarray(array), Geometry.from_matrix(matrix, (size[0], size[1], size[2]))


def blob(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[0:14, 0:12, 0:10]
    mask = ((z - 7) / 5) ** 2 + ((y - 6) / 4) ** 2 + ((x - 5) / 3) ** 2 < 1
    return mask & (rng.random(mask.shape) < 0.9)


def same(a: Target, b: Target) -> None:
    assert a.box is not None
    assert b.box is not None
    assert a.inside is not None
    assert b.inside is not None
    np.testing.assert_allclose(a.box.lower, b.box.lower, atol=1e-9)
    np.testing.assert_allclose(a.box.upper, b.box.upper, atol=1e-9)
    np.testing.assert_allclose(a.points.xyz, b.points.xyz, atol=1e-9)
    np.testing.assert_allclose(a.inside.xyz, b.inside.xyz, atol=1e-9)


def test_one_voxel() -> None:
    mask = np.zeros((5, 4, 3), dtype=bool)
    mask[2, 1, 0] = True
    target = target_from_mask("v", mask, geometry((3, 4, 5), (2.0, 3.0, 4.0)))
    assert target.box is not None
    assert target.inside is not None
    np.testing.assert_allclose(target.box.center, [-7, 14, 13])
    np.testing.assert_allclose(target.box.size, [2, 3, 4])
    np.testing.assert_allclose(target.points.xyz[:3], [[-8, 14, 13], [-7, 12.5, 13], [-7, 14, 11]])
    np.testing.assert_allclose(target.points.xyz[3:], [[-6, 14, 13], [-7, 15.5, 13], [-7, 14, 15]])
    np.testing.assert_allclose(target.inside.xyz, [[-7, 14, 13]])
    assert target.kind == "box"
    assert target.source == "mask"


def test_an_extreme_point_lies_on_the_organ_where_two_parts_touch_a_wall() -> None:
    """Both condyles of a mandible reach the same slice.

    The median of their voxels would lie between them.
    """
    mask = np.zeros((6, 8, 20), dtype=bool)
    mask[0, 2:5, 2:18] = True
    mask[0:6, 2:5, 2:4] = True
    mask[0:6, 2:5, 16:18] = True
    target = target_from_mask("jaw", mask, Geometry((20, 8, 6), np.ones(3), np.zeros(3), np.eye(3)))
    x = target.points.xyz[5, 0]
    assert x in (2.0, 3.0, 16.0, 17.0)


def test_extreme_points_are_the_middle_voxels_of_what_touches_the_wall() -> None:
    mask = np.zeros((5, 7, 9), dtype=bool)
    mask[2, 3, 1:8] = True
    mask[2, 2:6, 7] = True
    mask[1:5, 5, 7] = True
    target = target_from_mask("L", mask, Geometry((9, 7, 5), np.ones(3), np.zeros(3), np.eye(3)))
    expected = [[0.5, 3, 2], [7, 1.5, 2], [7, 5, 0.5], [7.5, 5, 2], [7, 5.5, 2.5], [7, 5, 4.5]]
    np.testing.assert_allclose(
        target.points.xyz, expected, atol=0.5
    )  # the median, or the voxel beside it
    walls = [target.points.xyz[n, n % 3] for n in range(6)]
    np.testing.assert_allclose(walls, [expected[n][n % 3] for n in range(6)])


def test_a_stray_tip_does_not_move_the_middle_of_a_wall() -> None:
    mask = np.zeros((4, 30, 30), dtype=bool)
    mask[0:3, 8:13, 8:13] = True
    mask[2, 10, 13:25] = True
    target = target_from_mask("m", mask, Geometry((30, 30, 4), np.ones(3), np.zeros(3), np.eye(3)))
    assert target.points.xyz[2, :2] == pytest.approx([10, 10])


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_storage_order_does_not_matter(order: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    mask = blob()
    geo = geometry((10, 12, 14), (1.3, 2.1, 3.7), turned((11.0, -23.0, 37.0)))
    same(
        target_from_mask("b", mask, geo),
        target_from_mask("b", *stored_otherwise(mask, geo, order, flips)),
    )


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.4, 6.0)] * 3),
    st.integers(0, 50),
    st.sampled_from(ORDERS),
)
def test_box_holds_the_physical_voxels(
    degrees: tuple[float, float, float],
    spacing: tuple[float, float, float],
    seed: int,
    storage: tuple[tuple[int, ...], tuple[bool, ...]],
) -> None:
    mask, geo = stored_otherwise(
        blob(seed), geometry((10, 12, 14), spacing, turned(degrees)), *storage
    )
    target = target_from_mask("b", mask, geo)
    ijk = np.argwhere(mask)[:, ::-1]
    shifts = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
    corners = geo.index_to_lps((ijk[:, None] + shifts).reshape(-1, 3)).xyz
    assert target.box is not None
    assert target.inside is not None
    np.testing.assert_allclose(target.box.lower, corners.min(axis=0), atol=1e-9)
    np.testing.assert_allclose(target.box.upper, corners.max(axis=0), atol=1e-9)
    walls = np.concatenate([target.box.lower, target.box.upper])
    np.testing.assert_array_equal(target.points.xyz[range(6), [0, 1, 2, 0, 1, 2]], walls)
    assert (target.points.xyz >= target.box.lower).all()
    assert (target.points.xyz <= target.box.upper).all()
    voxels = np.rint(geo.lps_to_index(target.inside)).astype(int)
    assert mask[tuple(voxels[:, ::-1].T)].all()


def test_inside_points_are_many_different_and_spread() -> None:
    mask = np.ones((20, 20, 20), dtype=bool)
    target = target_from_mask("cube", mask, geometry((20, 20, 20)))
    assert target.inside is not None
    xyz = target.inside.xyz
    assert xyz.shape == (200, 3)
    gaps = np.linalg.norm(xyz[:, None] - xyz[None], axis=2) + np.eye(200) * 1e9
    assert gaps.min() >= 2.0
    voxels = geometry((20, 20, 20)).index_to_lps(np.argwhere(mask)).xyz
    assert np.linalg.norm(voxels[:, None] - xyz[None], axis=2).min(axis=1).max() <= 3.5


@pytest.mark.parametrize(
    ("order", "flips"), [((2, 0, 1), (True, False, True)), ((1, 0, 2), (True, True, True))]
)
def test_large_masks_are_thinned_the_same_way_in_any_storage_order(
    order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    z, y, x = np.mgrid[0:70, 0:61, 0:50]
    mask = ((z - 35) / 34) ** 2 + ((y - 30) / 30) ** 2 + ((x - 24) / 24) ** 2 < 1
    geo = geometry((50, 61, 70), (0.9, 1.1, 1.5), turned((11.0, -23.0, 37.0)))
    same(
        target_from_mask("m", mask, geo),
        target_from_mask("m", *stored_otherwise(mask, geo, order, flips)),
    )


def test_thin_sheet_of_a_large_mask_keeps_its_points() -> None:
    z, y, x = np.mgrid[0:60, 0:300, 0:300]
    mask = z == 30 + ((x + y) % 2)
    assert len(spread_over(mask, geometry((300, 300, 60)), 200)) == 200


def test_empty_mask() -> None:
    with pytest.raises(InputError, match="'e' has no voxels"):
        target_from_mask("e", np.zeros((2, 2, 2), dtype=bool), geometry((2, 2, 2)))


def test_drawn_box() -> None:
    box = Box([0, 10, 20], [4, 20, 50])
    target = target_from_box("roi", box)
    assert target.inside is not None
    np.testing.assert_array_equal(target.points.xyz, face_centres(box))
    assert (target.inside.xyz > box.lower).all()
    assert (target.inside.xyz < box.upper).all()
    assert target.source == "roi"
    assert len(target.inside) == 27


def test_target_refuses_a_wrong_number_of_points() -> None:
    with pytest.raises(InputError, match="needs 1 points"):
        Target("t", "landmark", Points(np.zeros((2, 3))), None, None, "fiducial")
    with pytest.raises(InputError, match="a landmark has none"):
        Target(
            "t", "landmark", Points(np.zeros((1, 3))), Box([0, 0, 0], [1, 1, 1]), None, "fiducial"
        )


def label_map(names: dict[str, int] | None = None) -> LabelMap:
    array = np.zeros((6, 6, 6), dtype=np.uint8)
    array[1, 1, 1] = 7
    array[2:4, 2:4, 2:4] = 3
    return LabelMap(array, geometry((6, 6, 6)), names or {})


def test_ids_choose_labels_in_their_order() -> None:
    targets = targets_from_label_map(label_map(), {"Mandible": 7, "Liver": 3})
    assert [t.name for t in targets] == ["Mandible", "Liver"]
    assert targets[1].box is not None
    np.testing.assert_allclose(targets[1].box.size, [2, 2, 2])


def test_without_ids_every_label_or_segment_is_a_target() -> None:
    assert [t.name for t in targets_from_label_map(label_map())] == ["label_3", "label_7"]
    named = targets_from_label_map(label_map({"Left  lung": 7, "Heart": 3}))
    assert [t.name for t in named] == ["Left lung", "Heart"]


def test_empty_segment_is_left_out_with_a_note(tmp_path: Path) -> None:
    labels = label_map({"Empty": 5, "Heart": 3})
    assert [t.name for t in targets_from_label_map(labels)] == ["Heart"]

    image = sitk.GetImageFromArray(labels.array)
    for number, (name, value) in enumerate(labels.names.items()):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(value))
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    file = read_target_file(tmp_path / "a.seg.nrrd")
    assert [t.name for t in file.targets] == ["Heart"]
    assert "left out: 'Empty' (empty)" in file.notes


def test_layers_that_share_a_value_are_told_apart_by_name() -> None:
    first, second = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    first[1, 1, 1] = second[1:3, 1:3, 1:3] = 1
    labels = LabelMap(
        first, geometry((4, 4, 4)), {"A": 1, "B": 1}, (first, second), {"A": 0, "B": 1}
    )
    sizes = [
        t.box.size[0] for t in targets_from_label_map(labels, {"B": 1, "A": 1}) if t.box is not None
    ]
    assert sizes == [2, 1]


def test_absent_label_is_named_unless_skipped() -> None:
    ids = {"Mandible": 7, "Spleen": 9}
    with pytest.raises(InputError, match=r"'Spleen' \(id 9\)"):
        targets_from_label_map(label_map(), ids)
    assert [t.name for t in targets_from_label_map(label_map(), ids, skip_absent=True)] == [
        "Mandible"
    ]
    with pytest.raises(InputError, match="none of the targets"):
        targets_from_label_map(label_map(), {"Spleen": 9}, skip_absent=True)


def test_markups_become_landmarks_and_boxes(tmp_path: Path) -> None:
    write_fiducial(tmp_path / "p.mrk.json", "tip", Points([[1.0, 2.0, 3.0]]))
    write_roi(tmp_path / "b.mrk.json", "organ", Box([0, 0, 0], [2, 4, 6]))
    (point,) = load_targets(tmp_path / "p.mrk.json")
    (box,) = load_targets(tmp_path / "b.mrk.json", None)
    assert (point.name, point.kind, point.source, point.box) == (
        "tip",
        "landmark",
        "fiducial",
        None,
    )
    assert (box.name, box.kind, box.source) == ("organ", "box", "roi")
    np.testing.assert_array_equal(point.points.xyz, [[1, 2, 3]])


def test_markups_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "line.mrk.json"
    path.write_text('{"@schema": "markups-schema-v1.0.3.json#", "markups": [{"type": "Line"}]}')
    with pytest.raises(InputError, match=r"line line .only points and boxes are targets"):
        targets_from_markups(path)


def test_label_ids_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ids.json"
    path.write_text(json.dumps({"Mandible": 7, " Left  parotid ": 4}))
    assert read_label_ids(path) == {"Mandible": 7, "Left parotid": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON file"),
        ("[1]", "one JSON object"),
        ("{}", "one JSON object"),
        ('[["a", 1]]', "one JSON object"),
        ('{"a": 0}', "whole number above 0"),
        ('{"a": -1}', "whole number above 0"),
        ('{"a": true}', "whole number above 0"),
        ('{"a": 1.5}', "whole number above 0"),
        ('{"a": "1"}', "whole number above 0"),
        ('{"label_ids": {"a": 1}}', "whole number above 0"),
        ('{" ": 1}', "empty name"),
        ('{"a": 1, "b": 1}', "given twice"),
        ('{"a": 1, "a": 2}', "given twice"),
    ],
)
def test_bad_label_ids(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ids.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_label_ids(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_label_ids(tmp_path / "absent.json")


def test_targets_must_lie_in_the_reference() -> None:
    reference = geometry((10, 10, 10), (2.0, 2.0, 2.0))
    lower = reference.bounds().lower
    check_inside([target_from_box("whole", reference.bounds())], reference)
    check_inside([target_from_point("in", Points([lower + 1]))], reference)
    with pytest.raises(InputError, match="'out' lies outside"):
        check_inside([target_from_point("out", Points([lower - 0.5]))], reference)
    with pytest.raises(InputError, match="'large' reaches beyond"):
        check_inside([target_from_box("large", Box(lower - 5, lower + 10))], reference)
    with pytest.raises(InputError, match="'far' lies outside"):
        check_inside([target_from_box("far", Box(lower - 50, lower - 40))], reference)
