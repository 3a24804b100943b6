"""DICOM segmentations and RT structures as targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dicom_objects import ball, circle, segmentation, structures
from support.samples import LABEL_IDS, phantom_geometry, phantom_labels

from rprloc.errors import InputError
from rprloc.formats.dicom_files import LABEL_MAP
from rprloc.targets.dicom_targets import read_dicom_targets
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.loading import read_target_file
from rprloc.targets.target import Target, target_from_mask

pydicom = pytest.importorskip("pydicom", reason="pydicom reads and writes these files")

AT = phantom_geometry()


def test_segments_come_out_as_from_a_label_map(tmp_path: Path) -> None:
    file = read_target_file(segmentation(tmp_path / "seg.dcm", LABEL_IDS))
    assert file.notes == ()
    for target in file.targets:
        expected = target_from_mask("x", phantom_labels(AT) == LABEL_IDS[target.name], AT)
        assert target.box is not None
        assert expected.box is not None
        np.testing.assert_allclose(target.box.lower, expected.box.lower, atol=1e-6)
        np.testing.assert_allclose(target.box.upper, expected.box.upper, atol=1e-6)


def changed(path: Path, edit: Callable[[Any], Any]) -> Path:
    data = pydicom.dcmread(path)
    edit(data)
    data.save_as(path)
    return path


def boxes(path: Path) -> dict[str, list[float]]:
    return {t.name: [*t.box.lower, *t.box.upper] for t in read_target_file(path).targets if t.box}


def measures(data: Any) -> Any:
    return data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]


def of_frame(frame: Any) -> Any:
    return frame.SegmentIdentificationSequence[0]


def thick_slices(data: Any) -> None:
    """Slices may overlap: their thickness is not their distance."""
    del measures(data).SpacingBetweenSlices
    measures(data).SliceThickness = 10


def as_bytes(data: Any, scale: int) -> np.ndarray:
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    shape = (int(data.NumberOfFrames), int(data.Rows), int(data.Columns))
    bits = np.unpackbits(np.frombuffer(data.PixelData, np.uint8), bitorder="little")
    return bits[: np.prod(shape)].reshape(shape) * np.uint8(scale)


def fractional(data: Any) -> None:
    pixels = as_bytes(data, 180)
    data.SegmentationType, data.MaximumFractionalValue = "FRACTIONAL", 200
    data.PixelData = np.where(pixels == 0, np.uint8(90), pixels).tobytes()


def as_label_map(data: Any) -> None:
    """The frames of a plane as one, whose values are the numbers of the segments."""
    pixels = as_bytes(data, 1)
    planes: dict[float, Any] = {}
    for frame, mask in zip(data.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        z = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        number = of_frame(frame).ReferencedSegmentNumber
        del frame.SegmentIdentificationSequence
        held = planes.setdefault(z, (frame, np.zeros_like(mask)))[1]
        held[mask > 0] = number
    data.SegmentationType, data.NumberOfFrames = "LABELMAP", len(planes)
    data.PerFrameFunctionalGroupsSequence = [frame for frame, _ in planes.values()]
    data.PixelData = np.stack([mask for _, mask in planes.values()]).tobytes()
    data.PixelData += b"\0" * (len(data.PixelData) % 2)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = LABEL_MAP


@pytest.mark.parametrize("edit", [thick_slices, fractional, as_label_map])
def test_segmentations_of_other_kinds_give_the_same_boxes(
    tmp_path: Path, edit: Callable[[Any], Any]
) -> None:
    path = segmentation(tmp_path / "seg.dcm", LABEL_IDS)
    expected = boxes(path)
    found = boxes(changed(path, edit))
    assert found.keys() == expected.keys()
    for name, walls in expected.items():
        np.testing.assert_allclose(found[name], walls, atol=1e-6)


def test_segments_share_layers_unless_they_overlap(tmp_path: Path) -> None:
    path = segmentation(tmp_path / "seg.dcm", LABEL_IDS)
    labels = read_dicom_targets(path).labels
    assert labels is not None
    assert len(labels.layers) == 1

    twice = next(iter(LABEL_IDS.values()))
    overlapping = {**LABEL_IDS, "Again": twice}
    labels = read_dicom_targets(segmentation(path, overlapping)).labels
    assert labels is not None
    assert len(labels.layers) == 2
    assert labels.mask("Again").sum() == (phantom_labels(AT) == twice).sum()


def test_an_empty_segment_is_told(tmp_path: Path) -> None:
    file = read_target_file(segmentation(tmp_path / "seg.dcm", {**LABEL_IDS, "None": 99}))
    assert file.notes == ("left out: None (empty)",)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"), "no frame"),
        (
            lambda d: delattr(d.SharedFunctionalGroupsSequence[0], "PlaneOrientationSequence"),
            "do not say where they lie",
        ),
        (lambda d: setattr(d, "PixelData", d.PixelData[:20]), "truncated"),
        (lambda d: d.update({"Rows": 65535, "Columns": 65535}), "truncated"),
    ],
)
def test_segmentations_that_cannot_be_used_are_refused(
    tmp_path: Path, edit: Callable[[Any], Any], words: str
) -> None:
    path = changed(segmentation(tmp_path / "seg.dcm", LABEL_IDS), edit)
    with pytest.raises(InputError, match=words):
        read_target_file(path)


def test_damage_never_ends_with_a_traceback(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = (
        segmentation(tmp_path / "seg.dcm", LABEL_IDS),
        structures(tmp_path / "rs.dcm", {"Bulb": ball(10.0)}),
    )
    refused = 0
    for path in files:
        whole = path.read_bytes()
        for _ in range(150):
            data = bytearray(whole)
            at = int(rng.integers(132, min(len(data), 4000)))
            if rng.random() < 0.5:
                data[at] = int(rng.integers(256))
            else:
                del data[at : at + int(rng.integers(1, 30))]
            path.write_bytes(data)
            try:
                read_target_file(path)
            except InputError:
                refused += 1
    assert refused > 100


def one(path: Path) -> Target:
    (target,) = read_target_file(path).targets
    return target


def test_contours_are_filled(tmp_path: Path) -> None:
    target = one(structures(tmp_path / "rs.dcm", {"Bulb": ball(30.0)}))
    assert target.name == "Bulb"
    assert target.box is not None
    np.testing.assert_allclose(target.box.center, [10, -20, 100], atol=0.6)
    np.testing.assert_allclose(target.box.size, [60, 60, 60], atol=1.6)


def test_a_contour_inside_another_is_a_hole(tmp_path: Path) -> None:
    ring = [("CLOSED_PLANAR", circle(r, z)) for z in (0.0, 3.0) for r in (30.0, 15.0)]
    target = one(structures(tmp_path / "rs.dcm", {"Ring": ring}))
    assert target.inside is not None
    radius = np.linalg.norm(target.inside.xyz[:, :2] - [10, -20], axis=1)
    assert radius.min() > 13.5


def test_points_are_landmarks_and_empty_structures_are_told(tmp_path: Path) -> None:
    contours = {
        "Bulb": ball(20.0),
        "Iso": [("POINT", np.array([[1.0, 2.0, 3.0]]))],
        "Line": [("OPEN_PLANAR", circle(5.0, 0.0))],
    }
    file = read_target_file(structures(tmp_path / "rs.dcm", contours))
    assert [(t.name, t.kind) for t in file.targets] == [("Bulb", "box"), ("Iso", "landmark")]
    np.testing.assert_allclose(file.targets[1].points.xyz, [[1, 2, 3]])
    assert file.notes == ("left out: Line (without closed contours)",)


def test_structures_of_one_name_stay_two(tmp_path: Path) -> None:
    path = structures(tmp_path / "rs.dcm", {"A": ball(20.0), "B": ball(9.0)})

    def rename(data: Any) -> None:
        data.StructureSetROISequence[1].ROIName = "A"

    sizes = [t.box.size[0] for t in read_target_file(changed(path, rename)).targets if t.box]
    np.testing.assert_allclose(sizes, [40, 18], atol=1.6)


def test_contours_that_are_not_filled_are_told(tmp_path: Path) -> None:
    upright = circle(5.0, 0.0)[:, [0, 2, 1]]
    contours = {
        "Bulb": [*ball(20.0), ("OPEN_PLANAR", circle(5.0, 0.0))],
        "Upright": [("CLOSED_PLANAR", upright)],
    }
    file = read_target_file(structures(tmp_path / "rs.dcm", contours))
    assert [t.name for t in file.targets] == ["Bulb"]
    (note,) = file.notes
    assert "Bulb (open contours: 1)" in note
    assert "Upright (contours that lie in no axial plane: 1)" in note


def test_contours_in_uneven_planes_are_told(tmp_path: Path) -> None:
    uneven = [("CLOSED_PLANAR", circle(20.0, z)) for z in (0.0, 3.0, 6.0, 10.4, 13.4)]
    (note,) = read_target_file(structures(tmp_path / "rs.dcm", {"Bulb": uneven})).notes
    assert "uneven planes and were moved by up to 1.4 mm" in note


def test_files_without_anything_or_damaged_say_so(tmp_path: Path) -> None:
    path = structures(tmp_path / "rs.dcm", {"Line": [("OPEN_PLANAR", circle(5.0, 0.0))]})
    with pytest.raises(InputError, match="no closed contour"):
        read_target_file(path)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match=r"rs\.dcm"):
        read_target_file(path)
    with pytest.raises(InputError, match="a label map is needed"):
        read_label_map(segmentation(tmp_path / "seg.dcm", LABEL_IDS))


@pytest.mark.parametrize("kind", ["seg", "rs"])
def test_without_pydicom_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / f"{kind}.dcm"
    if kind == "seg":
        segmentation(path, LABEL_IDS)
    else:
        structures(path, {"Bulb": ball(10.0)})
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(InputError, match=r"needs pydicom: pip install 'rprloc\[dicom\]'.*Slicer"):
        read_target_file(path)
