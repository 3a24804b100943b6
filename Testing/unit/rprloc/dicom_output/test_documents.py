"""DICOM reports and structure sets: valid, read back by others, and by us to the same numbers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.phantoms import ORDERS, body_volume, stored

from rprloc.dicom_output.codes import code_of
from rprloc.dicom_output.source_series import SourceSeries, read_source
from rprloc.dicom_output.writing import RTSTRUCT_NAME, SR_NAME, write_documents
from rprloc.errors import InputError
from rprloc.geometry import Box, Geometry
from rprloc.image.volume import Volume, read_volume
from rprloc.localization.result import Result
from rprloc.targets.loading import load_targets, read_target_file

pydicom = pytest.importorskip("pydicom", reason="extra 'dicom' is not installed")
hd = pytest.importorskip("highdicom", reason="extra 'dicom' is not installed")
import cohort_trees  # noqa: E402

AT = Geometry((16, 14, 12), np.array([9.0, 9.0, 12.0]), np.array([-60.0, 20.0, 5.0]), np.eye(3))
MODEL = {"name": "tiny", "version": "1.2"}
BOXES = {
    "LeftParotid": Box([-20.123, 30.456, 20.1], [5.5, 61.25, 77.77]),
    "my organ \u00e9": Box([0.0, 40.0, 30.0], [10.0, 50.0, 31.5]),
    "low": Box([-30.0, 25.0, 60.0], [-11.0, 48.0, 90.3]),
    "beyond the scan": Box([-30.0, 25.0, 100.0], [-11.0, 48.0, 190.3]),
}
POINT = np.array([1.25, 44.0, 50.5])


@pytest.fixture(scope="module")
def ct() -> Volume:
    return body_volume(AT, at=AT.bounds().center - [0, 0, 40], scale=0.25)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, ct: Volume) -> SourceSeries:
    folder = cohort_trees.write_ct(tmp_path_factory.mktemp("dicom") / "ct", ct, "P1")
    return read_source(folder, "", ct.geometry)


def results() -> list[Result]:
    found = [
        Result(
            "q", name, "box", "low-confidence" if name == "low" else "ok", "", box.center, box.size
        )
        for name, box in BOXES.items()
    ]
    numbers: dict[str, Any] = {"spread_mm": 2.5, "cycle_mm": 3.25}
    return [
        *found,
        Result("q", "Vertex", "landmark", "ok", "", POINT, None, **numbers),
        Result("q", "gone", "box", "outside", "not there", POINT, np.full(3, 9.0)),
        Result("q", "Liver", "box", "failed", "why"),
    ]


def written(folder: Path, source: SourceSeries) -> tuple[Path, Path]:
    files = write_documents(folder, source, results(), MODEL, report=True, structures=True)
    assert files == [folder / SR_NAME, folder / RTSTRUCT_NAME]
    return files[0], files[1]


def assert_read_back(path: Path) -> None:
    """The boxes and the point of the results, and nothing else, within 0.1 mm."""
    targets = {target.name: target for target in load_targets(path)}
    assert sorted(targets) == sorted([*BOXES, "Vertex"])
    for name, box in BOXES.items():
        found = targets[name].box
        assert found is not None
        np.testing.assert_allclose([found.lower, found.upper], [box.lower, box.upper], atol=0.1)
    np.testing.assert_allclose(targets["Vertex"].points.xyz[0], POINT, atol=0.1)


def test_both_documents_hold_the_same_numbers(tmp_path: Path, source: SourceSeries) -> None:
    for file in written(tmp_path, source):
        assert_read_back(file)


def test_the_report_says_what_how_and_how_sure(tmp_path: Path, source: SourceSeries) -> None:
    report = hd.sr.srread(written(tmp_path, source)[0])
    first = source.first
    assert report.StudyInstanceUID == first.StudyInstanceUID
    assert report.PatientID == first.PatientID
    boxes = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in boxes] == list(BOXES)
    parotid = boxes[0]
    assert parotid.finding_type.meaning == "Parotid gland"
    assert parotid.finding_sites[0].laterality.meaning == "Left"
    surface = parotid.roi
    assert surface.frame_of_reference_uid == first.FrameOfReferenceUID
    assert len(surface.graphic_data) == 6
    assert boxes[1].finding_type.scheme_designator == "99RPRLOC"

    (point,) = report.content.get_planar_roi_measurement_groups()
    values = {one.name.value: (one.value, one.unit.value) for one in point.get_measurements()}
    assert values == {"spread": (2.5, "mm"), "cycle": (3.25, "mm")}
    every = [*boxes, point, *report.content.get_image_measurement_groups()]
    statuses = {
        group.tracking_identifier: evaluation.value.value
        for group in every
        for evaluation in group.get_qualitative_evaluations()
        if evaluation.name.value == "status"
    }
    assert statuses == {result.target: result.status for result in results()}
    text = str(report)
    assert "model tiny 1.2" in text


def test_the_structures_lie_on_the_slices(tmp_path: Path, source: SourceSeries) -> None:
    data = pydicom.dcmread(written(tmp_path, source)[1])
    slices = {one.SOPInstanceUID: one.ImagePositionPatient[2] for one in source.slices}
    contours = [c for roi in data.ROIContourSequence for c in roi.ContourSequence]
    closed = [c for c in contours if c.ContourGeometricType == "CLOSED_PLANAR"]
    assert len(closed) > len(BOXES)
    for contour in closed:
        heights = set(contour.ContourData[2::3])
        on = slices[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        assert heights == {on}
    labels = [one.ROIObservationLabel for one in data.RTROIObservationsSequence]
    assert labels == ["ok", "ok", "low-confidence", "ok", "ok"]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
def test_the_standard_s_checker_finds_no_error(tmp_path: Path, source: SourceSeries) -> None:
    for file in written(tmp_path, source):
        done = subprocess.run(["dciodvfy", file], capture_output=True, check=False)
        told = (done.stdout + done.stderr).decode(errors="replace").splitlines()
        assert not [line for line in told if line.startswith("Error")], told
        # What it warns of are the codes of our own scheme, which it cannot know.
        others = [line for line in told if line.startswith("Warning") and "99RPRLOC" not in line]
        assert not others


@pytest.mark.parametrize("order", [1, 9, 17, 25, 33, 41])
def test_slices_of_any_direction_carry_the_same_boxes(
    tmp_path: Path, ct: Volume, order: int
) -> None:
    axes, flips = ORDERS[order]
    turned = stored(ct, axes, flips)
    if np.linalg.det(turned.geometry.direction) < 0:
        turned = stored(ct, axes, (not flips[0], *flips[1:]))
    folder = cohort_trees.write_ct(tmp_path / "ct", turned, "P2")
    read = read_volume(folder)
    for file in written(tmp_path / "out", read_source(folder, "", read.geometry)):
        assert_read_back(file)


def test_contours_that_were_changed_count_and_not_their_description(
    tmp_path: Path, source: SourceSeries
) -> None:
    path = written(tmp_path, source)[1]
    data = pydicom.dcmread(path)
    for contour in data.ROIContourSequence[0].ContourSequence:
        contour.ContourData[3] = contour.ContourData[6] = float(contour.ContourData[3]) + 20
    data.save_as(path)
    box = load_targets(path)[-1].box or load_targets(path)[0].box
    found = {t.name: t.box for t in load_targets(path)}["LeftParotid"]
    assert box is not None and found is not None
    assert found.upper[0] > BOXES["LeftParotid"].upper[0] + 15


def test_a_series_that_cannot_be_referred_to_is_refused(tmp_path: Path, ct: Volume) -> None:
    folder = cohort_trees.write_ct(tmp_path / "ct", ct, "P3")
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        del data.FrameOfReferenceUID
        data.save_as(file)
    with pytest.raises(InputError, match="FrameOfReferenceUID is missing"):
        read_source(folder, "", ct.geometry)


def test_a_damaged_report_is_refused_in_one_line(tmp_path: Path, source: SourceSeries) -> None:
    path = written(tmp_path, source)[0]
    whole = path.read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    data = pydicom.dcmread(path)
    data.ContentSequence = []
    data.save_as(tmp_path / "empty.dcm")
    for name in ("cut.dcm", "empty.dcm"):
        with pytest.raises(InputError) as caught:
            read_target_file(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "meaning", "side"),
    [
        ("Brainstem", "Brain Stem", ""),
        ("Parotid_L", "Parotid gland", "Left"),
        ("RightParotid", "Parotid gland", "Right"),
        ("right kidney", "Kidney", "Right"),
        ("Lungs", "Lung", ""),
        ("Oesophagus", "Esophagus", ""),
        ("tumour", "tumour", ""),
        ("Left Right Eye", "Left Right Eye", ""),
        ("x" * 99, "x" * 64, ""),
    ],
)
def test_names_have_codes_where_there_are_some(name: str, meaning: str, side: str) -> None:
    found = code_of(name)
    assert found.code.meaning == meaning
    assert (found.side.meaning if found.side else "") == side
    assert found.known == (found.code.scheme_designator == "SCT")
