"""The scan of a folder: every kind of file, why one is left out, and whose it is."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.phantoms import body_volume, dicom, written

from rprloc.errors import InputError
from rprloc.geometry import Geometry
from rprloc.image.volume import Volume
from rprtrain.data.dataset import TrainingVolume, load_volumes, split_held_out
from rprtrain.data.scan import ScanRow, body_extent, scan_folder
from rprtrain.data.sources import ImageSource, find_sources

FRAME = Geometry(
    (40, 30, 30), np.array([9.0, 9.0, 10.0]), np.array([-180.0, -130.0, -20.0]), np.eye(3)
)


def ct(scale: float = 1.0) -> Volume:
    return body_volume(FRAME, scale=scale)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One of everything."""
    root = tmp_path / "cts"
    (root / "deep" / "er").mkdir(parents=True)
    written(root / "a.nii.gz", ct().array, FRAME)
    written(root / "a copy.nrrd", ct().array, FRAME)
    written(root / "deep" / "er" / "b.mha", ct(0.9).array, FRAME)
    written(root / "a_label.nii.gz", (ct().array > 0).astype(np.uint8), FRAME)
    written(root / "mask.nii.gz", (ct().array > 0).astype(np.uint8), FRAME)
    written(
        root / "thin.nii.gz",
        ct(0.8).array[:4],
        Geometry((40, 30, 4), FRAME.spacing, FRAME.origin, FRAME.direction),
    )
    close = Geometry(FRAME.size, np.array([9.0, 9.0, 1.0]), FRAME.origin, FRAME.direction)
    written(root / "short.nii.gz", ct(0.7).array, close)
    (root / "broken.nii.gz").write_bytes(b"not an image")
    (root / "notes.txt").write_text("no image")
    time = written(root / "time.nii", ct(0.6).array, FRAME)
    data = bytearray(time.read_bytes())
    data[40:50] = struct.pack("<5h", 4, 40, 30, 15, 2)
    time.write_bytes(data)
    sitk.WriteImage(sitk.Image([30, 30], sitk.sitkInt16), str(root / "flat.mha"))
    return root


def reasons(rows: list[ScanRow]) -> dict[str, str]:
    return {Path(row.path).name: row.reason for row in rows if not row.used}


def test_every_volume_gets_a_verdict(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    rows = scan_folder(folder, lambda done, total, row: told.append((done, total)))
    assert told == [(n + 1, len(rows)) for n in range(len(rows))]
    assert sorted(Path(row.path).name for row in rows if row.used) == ["a copy.nrrd", "b.mha"]
    found = reasons(rows)
    assert "same voxels as a copy" in found["a.nii.gz"]
    assert "label map" in found["a_label.nii.gz"] and "not Hounsfield units" in found["mask.nii.gz"]
    assert found["thin.nii.gz"] == "too few slices (4)"
    assert "30 mm from feet to head" in found["short.nii.gz"]
    assert "but this is 4D" in found["time.nii"] and "but this is 2D" in found["flat.mha"]
    assert found["broken.nii.gz"] and "\n" not in found["broken.nii.gz"]


def test_a_row_tells_size_spacing_values_and_extent(folder: Path) -> None:
    row = next(row for row in scan_folder(folder) if row.name == "b")
    assert (row.size, row.spacing, row.z_mm) == ((40, 30, 30), (9.0, 9.0, 10.0), 300.0)
    assert row.hu[0] < -900 and row.hu[1] > 600
    assert row.body_mm == pytest.approx((270, 170, 270), abs=40)
    again = json.loads(json.dumps(row.to_json()))
    assert again["size"] == [40, 30, 30] and ImageSource.from_json(again) == row.source


def test_a_scan_can_be_stopped(folder: Path) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    assert len(scan_folder(folder, stop=stop)) == 3
    with pytest.raises(InputError, match="no such folder"):
        scan_folder(folder / "none")


def test_dicom_series_are_rows_and_patients_stay_together(tmp_path: Path) -> None:
    short = Volume(
        ct(0.8).array[:5], Geometry((40, 30, 5), FRAME.spacing, FRAME.origin, FRAME.direction), "s"
    )
    dicom(tmp_path / "x" / "s1", ct(), uid="1.1", patient="P1")
    dicom(tmp_path / "x" / "s1", ct(0.9), uid="1.2", patient="P1")
    dicom(tmp_path / "y", ct(0.95), uid="1.3", patient="P2", suffix="")
    dicom(tmp_path / "y", short, uid="1.4", patient="P2")
    dicom(tmp_path / "z", ct(0.85), uid="1.5", modality="MR", patient="P1")
    rows = scan_folder(tmp_path)
    assert [(row.group, row.used) for row in rows] == [
        *[("patient P1", True), ("patient P1", True)],
        *[("patient P2", True), ("patient P2", False), ("patient P1", False)],
    ]
    assert rows[3].reason == "too few slices (5)" and "modality MR" in rows[4].reason
    assert len({row.name for row in rows}) == 5
    second = rows[1].source.read()
    assert np.array_equal(second.array, ct(0.9).array) and second.name == rows[1].name


def test_folders_of_patients_are_groups(tmp_path: Path) -> None:
    places = ["p1/plan.nrrd", "p1/follow/up.nrrd", "p2/plan.nrrd", "p3/ct.nrrd", "lone.nrrd"]
    places += [f"many/c{n}.nrrd" for n in range(9)]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    found = {s.path.relative_to(tmp_path).as_posix(): s for s in find_sources(tmp_path)}
    assert {found[p].group for p in ("p1/plan.nrrd", "p1/follow/up.nrrd")} == {"folder p1"}
    assert (found["p2/plan.nrrd"].group, found["p3/ct.nrrd"].group) == ("folder p2", "folder p3")
    assert (found["lone.nrrd"].group, found["many/c3.nrrd"].group) == ("lone", "c3")
    assert (found["p1/plan.nrrd"].name, found["p2/plan.nrrd"].name) == ("p1_plan", "p2_plan")


@pytest.mark.parametrize("flip", [1, -1])
def test_the_body_is_measured_in_any_orientation(flip: int) -> None:
    direction = np.array([[0.0, 0, flip], [flip, 0, 0], [0, flip, 0]])
    usual = ct()
    array = usual.array.transpose(2, 0, 1)[::flip, ::flip, ::flip]
    size = (array.shape[2], array.shape[1], array.shape[0])
    spacing = FRAME.spacing[[1, 2, 0]]
    turned = Volume(
        np.ascontiguousarray(array), Geometry(size, spacing, FRAME.origin, direction), "turned"
    )
    assert body_extent(turned) == body_extent(usual)


def volume(name: str, group: str = "") -> TrainingVolume:
    return TrainingVolume(name, torch.zeros(2, 2, 2), torch.zeros(1, 3), torch.zeros(3), 4.0, group)


def test_a_patient_is_on_one_side_of_the_split() -> None:
    volumes = [volume(f"v{n}", f"g{n // 3}") for n in range(60)]
    training, held_out = split_held_out(volumes, 0.1)
    assert 6 <= len(held_out) <= 8 and len(training) + len(held_out) == 60
    assert not {v.group for v in training} & {v.group for v in held_out}


def test_cts_of_one_patient_only_are_split_all_the_same() -> None:
    training, held_out = split_held_out([volume(f"v{n}", "one") for n in range(5)])
    assert (len(training), len(held_out)) == (4, 1)


def test_without_groups_the_split_is_the_known_one() -> None:
    held = split_held_out([volume(f"kbp_{n:03d}") for n in range(1, 60)])[1]
    assert [v.name for v in held] == ["kbp_021", "kbp_035", "kbp_047"]
    assert [v.name for v in split_held_out([volume("b"), volume("a")])[1]] == ["b"]


def test_volumes_keep_their_names_and_groups(folder: Path) -> None:
    used = [row.source for row in scan_folder(folder) if row.used]
    loaded = load_volumes(used, 10.0)
    assert [(v.name, v.group) for v in loaded] == [(s.name, s.group) for s in used]
