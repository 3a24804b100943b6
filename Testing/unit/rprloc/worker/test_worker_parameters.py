"""Parameters of requests: what is right is read exactly, the rest is refused in one line."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.phantoms import rotation
from support.samples import Sample, phantom_geometry, phantom_hu, phantom_labels

from rprloc.errors import InputError, TemplateError
from rprloc.geometry import Box
from rprloc.image.volume import read_volume
from rprloc.localization.locator import Options
from rprloc.targets.target import target_from_box, target_from_mask
from rprloc.worker.errors import BadRequestError
from rprloc.worker.parameters import options_of, read_array, targets_of, template_of, volume_of

UNIT = np.eye(4).tolist()


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def saved(path: Path, array: Any) -> str:
    np.save(path, array)
    return str(path)


def test_an_array_is_the_volume_of_the_file(sample: Sample, tmp_path: Path) -> None:
    geometry = phantom_geometry()
    path = saved(tmp_path / "a.npy", phantom_hu(geometry).astype(np.float32))
    volume = volume_of(
        {"npy": path, "ijk_to_lps": geometry.ijk_to_lps.tolist(), "name": " my\n CT "}
    )
    assert np.array_equal(volume.array, read_volume(sample.reference).array)
    assert volume.geometry == geometry
    assert volume.name == "my CT"
    os.unlink(path)
    assert volume.array.sum()


def test_an_array_in_fortran_order_is_read_by_its_axes(tmp_path: Path) -> None:
    hu = np.maximum(phantom_hu(phantom_geometry()), -1024)
    data = {"npy": saved(tmp_path / "a.npy", np.asfortranarray(hu)), "ijk_to_lps": UNIT}
    assert np.array_equal(volume_of(data).array, hu)
    assert volume_of(data).name == "a"


def test_a_file_may_get_another_name(sample: Sample) -> None:
    assert volume_of({"path": str(sample.query)}).name == "query"
    assert volume_of({"path": str(sample.query), "name": "patient 2"}).name == "patient 2"


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for number, write in enumerate(
        (lambda f: pickle.dump(Payload(trap), f), lambda f: np.save(f, [Payload(trap)]))
    ):
        path = tmp_path / f"{number}.npy"
        with open(path, "wb") as stream:
            write(stream)
        with pytest.raises(InputError, match="not a whole"):
            read_array(path)
    assert not trap.exists()


def test_a_file_that_is_no_whole_array_is_refused(tmp_path: Path) -> None:
    whole = Path(saved(tmp_path / "a.npy", np.zeros((4, 5, 6), np.int16))).read_bytes()
    archive = tmp_path / "archive.npy"
    with open(archive, "wb") as stream:
        np.savez(stream, a=np.zeros((2, 2, 2)))
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"descr": "<i2", "fortran_order": False, "shape": (99999, 99999, 99999)}
    )
    contents = [
        b"",
        b"text",
        whole[:40],
        whole[:-1],
        whole.replace(b"(4, 5, 6)", b"(4, 5, x)"),
        huge.getvalue(),
    ]
    for content in contents:
        (tmp_path / "bad.npy").write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.npy"):
            read_array(tmp_path / "bad.npy")
    with pytest.raises(InputError, match="archive"):
        read_array(archive)
    with pytest.raises(InputError, match="cannot be read"):
        read_array(tmp_path / "missing.npy")
    with pytest.raises(InputError, match="cannot be read"):
        read_array(tmp_path)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 3)),
        np.zeros((2, 2, 2, 2)),
        np.zeros((0, 2, 2)),
        np.zeros((2, 2, 2), complex),
        np.array("x"),
    ],
)
def test_an_array_of_another_kind_is_refused(tmp_path: Path, array: Any) -> None:
    with pytest.raises(InputError, match="expected one 3D array"):
        read_array(Path(saved(tmp_path / "a.npy", array)))


@pytest.mark.parametrize(
    "data",
    [
        None,
        "ct.nii.gz",
        {},
        {"path": 7},
        {"path": ""},
        {"path": "a\0b"},
        {"npy": "a.npy", "path": "b"},
    ],
)
def test_what_is_no_volume_is_a_bad_request(data: Any) -> None:
    with pytest.raises(BadRequestError):
        volume_of(data)


@pytest.mark.parametrize(
    "matrix",
    [None, 1, UNIT[:3], [[1, 2]] * 8, [["a"] * 4] * 4, [[1e400] * 4] * 4, [[True] * 4] * 4],
)
def test_a_matrix_must_be_16_numbers(tmp_path: Path, matrix: Any) -> None:
    path = saved(tmp_path / "a.npy", phantom_hu(phantom_geometry()))
    with pytest.raises(BadRequestError, match="ijk_to_lps must be 4 x 4 numbers"):
        volume_of({"npy": path, "ijk_to_lps": matrix})


def test_a_sheared_matrix_and_an_mr_image_are_refused(tmp_path: Path) -> None:
    hu = phantom_hu(phantom_geometry())
    sheared = [[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    with pytest.raises(InputError, match="sheared"):
        volume_of({"npy": saved(tmp_path / "a.npy", hu), "ijk_to_lps": sheared})
    with pytest.raises(InputError, match="Hounsfield"):
        volume_of({"npy": saved(tmp_path / "b.npy", np.abs(hu)), "ijk_to_lps": UNIT})


def test_targets_of_every_kind(tmp_path: Path) -> None:
    geometry = phantom_geometry()
    labels = phantom_labels(geometry)
    box = Box(np.array([-10.0, -20.0, 100.0]), np.array([30.0, 20.0, 150.0]))
    path = saved(tmp_path / "mask.npy", labels == 1)
    targets, _ = targets_of(
        [
            {"name": " tip ", "kind": "landmark", "point_lps": [1, 2, 3.5]},
            {
                "name": "box",
                "kind": "box",
                "box_lps": {"lower": [-10, -20, 100], "upper": [30, 20, 150]},
            },
            {"name": "corners", "kind": "box", "corners_lps": box.corners().xyz[::-1].tolist()},
            {
                "name": "head",
                "kind": "segment",
                "mask": {"npy": path, "ijk_to_lps": geometry.ijk_to_lps.tolist()},
            },
        ]
    )
    assert [(t.name, t.kind) for t in targets] == [
        ("tip", "landmark"),
        ("box", "box"),
        ("corners", "box"),
        ("head", "box"),
    ]
    assert targets[0].points.xyz.tolist() == [[1, 2, 3.5]]
    drawn, head = target_from_box("box", box), target_from_mask("head", labels == 1, geometry)
    for target, expected in zip(targets[1:], (drawn, drawn, head), strict=True):
        assert target.box == expected.box
        assert target.points == expected.points
        assert target.inside == expected.inside


def test_a_turned_box_becomes_the_box_around_it() -> None:
    corners = Box(np.full(3, -10.0), np.full(3, 10.0)).corners().xyz @ rotation([0, 0, 45]).T
    ((target,), _) = targets_of([{"name": "a", "kind": "box", "corners_lps": corners.tolist()}])
    assert target.box is not None
    assert np.ptp(corners, axis=0) == pytest.approx(target.box.size)


@pytest.mark.parametrize(
    "target",
    [
        None,
        {},
        {"name": "", "kind": "landmark", "point_lps": [1, 2, 3]},
        {"name": "a", "kind": "landmark"},
        {"name": "a", "kind": "landmark", "point_lps": [1, 2]},
        {"name": "a", "kind": "landmark", "point_lps": [1, 2, None]},
        {"name": "a", "kind": "landmark", "point_lps": [1, 2, float("inf")]},
        {"name": "a", "kind": "sphere", "point_lps": [1, 2, 3]},
        {"name": "a", "kind": "box", "box_lps": [1, 2, 3]},
        {"name": "a", "kind": "box", "box_lps": {"lower": [0, 0, 0]}},
        {"name": "a", "kind": "box", "corners_lps": [[1, 2, 3]] * 7},
        {"name": "a", "kind": "segment", "mask": "mask.npy"},
    ],
)
def test_what_is_no_target_is_a_bad_request(target: Any) -> None:
    with pytest.raises(BadRequestError):
        targets_of([target])


def test_targets_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    point = {"name": "a", "kind": "landmark", "point_lps": [1, 2, 3]}
    with pytest.raises(InputError, match="two targets are called 'a'"):
        targets_of([point, point])
    for corners in (
        {"lower": [1, 1, 1], "upper": [0, 2, 2]},
        {"lower": [0, 0, 0], "upper": [0, 1, 1]},
    ):
        with pytest.raises(InputError, match=r"wall|extent"):
            targets_of([{"name": "a", "kind": "box", "box_lps": corners}])
    for array, message in (
        (np.zeros((2, 2, 2), bool), "no voxels"),
        (np.ones((2, 2, 2)), "whole numbers"),
    ):
        mask = {"npy": saved(tmp_path / "m.npy", array), "ijk_to_lps": UNIT}
        with pytest.raises(InputError, match=message):
            targets_of([{"name": "a", "kind": "segment", "mask": mask}])
    for nothing in ([], {}, None):
        with pytest.raises(BadRequestError, match="'targets'"):
            targets_of(nothing)


def test_options() -> None:
    assert options_of(None) == Options()
    assert options_of({"steps": "coarse2", "runs": 5, "seed": 3}) == Options(
        runs=5, steps="coarse2", seed=3
    )


@pytest.mark.parametrize(
    "options",
    [
        [],
        {"step": "fine"},
        {"steps": "finest"},
        {"runs": 1.5},
        {"runs": True},
        {"runs": -1},
        {"seed": None},
        {"seed": 2**40},
    ],
)
def test_other_options_are_refused(options: Any) -> None:
    with pytest.raises(BadRequestError):
        options_of(options)
    with pytest.raises(InputError):
        options_of({"runs": 0})


def test_what_is_no_template_is_refused(tmp_path: Path) -> None:
    for data in (None, 7, "", []):
        with pytest.raises(BadRequestError):
            template_of(data)
    header = {"schema": "rprloc-template", "schema_version": 1}
    for data in (
        {},
        {"schema": "other"},
        {**header, "schema_version": 2},
        header,
        str(tmp_path / "missing.json"),
    ):
        with pytest.raises(TemplateError):
            template_of(data)
