"""DICOM segmentations and RT structures as targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.samples import LABEL_IDS, phantom_geometry, phantom_labels

from rprloc.errors import InputError
from rprloc.formats.dicom_files import RT_STRUCTURES, SEGMENTATION
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.loading import read_target_file
from rprloc.targets.target import Target, target_from_mask

pydicom = pytest.importorskip("pydicom", reason="pydicom reads and writes these files")

AT = phantom_geometry()
AXES = [1, 0, 0, 0, 1, 0]


def dataset(sop_class: str, modality: str) -> Any:
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, "1.2.3.4"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data = pydicom.Dataset()
    data.file_meta, data.SOPClassUID, data.SOPInstanceUID = meta, sop_class, "1.2.3.4"
    data.Modality = modality
    return data


def segmentation(path: Path, names: dict[str, int]) -> Path:
    """A SEG that has frames only where a segment is, in a shuffled order."""
    labels = phantom_labels(AT)
    data = dataset(SEGMENTATION, "SEG")
    shared, measures, axes = (pydicom.Dataset() for _ in range(3))
    measures.PixelSpacing, measures.SpacingBetweenSlices = [6, 6], 6
    axes.ImageOrientationPatient = AXES
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [axes]
    listed, frames = [], []
    for number, (name, value) in enumerate(names.items(), start=1):
        segment = pydicom.Dataset()
        segment.SegmentNumber, segment.SegmentLabel = number, name
        listed.append(segment)
        for k in np.flatnonzero((labels == value).any((1, 2))):
            frame, place, which = (pydicom.Dataset() for _ in range(3))
            place.ImagePositionPatient = AT.index_to_lps([[0, 0, k]]).xyz[0].tolist()
            which.ReferencedSegmentNumber = number
            frame.PlanePositionSequence = [place]
            frame.SegmentIdentificationSequence = [which]
            frames.append((frame, labels[k] == value))
    order = np.random.default_rng(0).permutation(len(frames))
    data.SegmentSequence, data.SharedFunctionalGroupsSequence = listed, [shared]
    data.PerFrameFunctionalGroupsSequence = [frames[n][0] for n in order]
    bits = np.concatenate([frames[n][1].ravel() for n in order])
    packed = np.packbits(bits, bitorder="little").tobytes()
    data.Rows, data.Columns, data.NumberOfFrames = AT.size[1], AT.size[0], len(frames)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 1
    data.HighBit = data.PixelRepresentation = 0
    data.PixelData = packed + b"\0" * (len(packed) % 2)
    data.save_as(path, enforce_file_format=True)
    return path


def structures(path: Path, contours: dict[str, list[tuple[str, np.ndarray]]]) -> Path:
    data = dataset(RT_STRUCTURES, "RTSTRUCT")
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, listed) in enumerate(contours.items(), start=1):
        roi, drawn = pydicom.Dataset(), pydicom.Dataset()
        roi.ROINumber, roi.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for kind, xyz in listed:
            contour = pydicom.Dataset()
            contour.ContourGeometricType = kind
            contour.ContourData = [float(f"{n:.4f}") for n in xyz.ravel()]
            contour.NumberOfContourPoints = len(xyz)
            drawn.ContourSequence.append(contour)
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
    data.save_as(path, enforce_file_format=True)
    return path


def circle(radius: float, z: float, centre: tuple[float, float] = (10.0, -20.0)) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
    return np.column_stack([x, y, np.full_like(x, z)])


def ball(radius: float) -> list[tuple[str, np.ndarray]]:
    heights = np.arange(-radius + 1.5, radius, 3.0)
    return [("CLOSED_PLANAR", circle(np.sqrt(radius**2 - z * z), 100 + z)) for z in heights]


def test_segments_come_out_as_from_a_label_map(tmp_path: Path) -> None:
    file = read_target_file(segmentation(tmp_path / "seg.dcm", LABEL_IDS))
    assert file.notes == ()
    for target in file.targets:
        expected = target_from_mask("x", phantom_labels(AT) == LABEL_IDS[target.name], AT)
        assert target.box is not None
        assert expected.box is not None
        np.testing.assert_allclose(target.box.lower, expected.box.lower, atol=1e-6)
        np.testing.assert_allclose(target.box.upper, expected.box.upper, atol=1e-6)


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
    with pytest.raises(InputError, match=r"needs pydicom: pip install.*Slicer"):
        read_target_file(path)
