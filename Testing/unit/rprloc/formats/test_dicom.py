"""DICOM folders and files as they come: which one is the CT, and do its slices make a volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.phantoms import body_volume, dicom

from rprloc.errors import InputError
from rprloc.formats.dicom_series import list_series
from rprloc.formats.discovery import is_dicom_file, sop_class_of, walk
from rprloc.geometry import Geometry
from rprloc.image.volume import Volume, read_volume

pydicom = pytest.importorskip("pydicom", reason="pydicom writes the files of these tests")

AT = Geometry((16, 14, 12), np.array([9.0, 9.0, 12.0]), np.array([-60.0, 20.0, 5.0]), np.eye(3))
CT_CLASS, SEGMENTATION = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4"
ENHANCED_CLASS = "1.2.840.10008.5.1.4.1.1.2.1"
Edit = Callable[[Any, int], Any]


@pytest.fixture(scope="module")
def ct() -> Volume:
    return body_volume(AT, at=AT.bounds().center - [0, 0, 40], scale=0.25)


@pytest.fixture
def folder(tmp_path: Path, ct: Volume) -> Path:
    return dicom(tmp_path / "series", ct)


def edited(folder: Path, edit: Edit, pattern: str = "*.dcm") -> Path:
    """Change the data set of each file; the number of its slice is handed over."""
    for path in sorted(folder.glob(pattern)):
        data = pydicom.dcmread(path)
        edit(data, int(data.InstanceNumber))
        data.save_as(path)
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def same(volume: Volume, ct: Volume) -> bool:
    return np.array_equal(volume.array, ct.array) and np.allclose(
        volume.geometry.ijk_to_lps, ct.geometry.ijk_to_lps, atol=1e-3
    )


def test_a_whole_series_has_nothing_to_note(folder: Path, ct: Volume) -> None:
    volume = read_volume(folder)
    assert same(volume, ct)
    assert volume.notes == ()


def without(tag: str, *only: int) -> Edit:
    def edit(data: Any, number: int) -> None:
        if not only or number in only:
            delattr(data, tag)

    return edit


def having(tag: str, value: Any, *only: int) -> Edit:
    def edit(data: Any, number: int) -> None:
        if not only or number in only:
            setattr(data, tag, value)

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (without("ImagePositionPatient"), "the slices do not say where they lie"),
        (without("ImagePositionPatient", 5), "1 of the slices do not say where they lie"),
        (without("ImageOrientationPatient"), "do not say how they are turned"),
        (without("PixelSpacing"), "do not give their pixel spacing"),
        (having("PixelSpacing", ["0", "0"]), "pixel spacing of 0 mm or less"),
        (having("PixelSpacing", ["-9", "9"]), "pixel spacing of 0 mm or less"),
        (having("PixelSpacing", ["4", "4"], 9, 10, 11, 12), "differ in their pixel spacing"),
        (having("ImagePositionPatient", ["0", "0", "0"]), "all slices lie at one place"),
        (having("ImageOrientationPatient", ["0", "1", "0", "0", "0", "1"], 3), "not parallel"),
        (having("Modality", "MR"), "modality MR"),
    ],
)
def test_slices_that_make_no_volume_are_refused(folder: Path, edit: Edit, words: str) -> None:
    assert words in refusal(edited(folder, edit))


def test_a_missing_slice_is_counted(tmp_path: Path, ct: Volume) -> None:
    text = refusal(dicom(tmp_path / "gap", ct, skip=5))
    assert "1 steps are not of 12 mm, the first of 24 mm after slice 5" in text


def test_two_phases_under_one_series_are_counted(folder: Path, ct: Volume, tmp_path: Path) -> None:
    for path in dicom(tmp_path / "again", ct).iterdir():
        path.rename(folder / f"b{path.name}")
    assert "12 positions occur twice" in refusal(folder)


def test_a_slice_cut_short_is_refused(folder: Path) -> None:
    path = sorted(folder.iterdir())[4]
    path.write_bytes(path.read_bytes()[:-100])
    assert f"1 DICOM file cannot be read ({path.name})" in refusal(folder)


def test_pixel_data_shorter_than_the_slice_is_refused(folder: Path) -> None:
    def half(data: Any, number: int) -> None:
        if number == 5:
            data.PixelData = data.PixelData[: len(data.PixelData) // 2]

    assert "truncated" in refusal(edited(folder, half))


def test_a_damaged_last_file_is_told(folder: Path) -> None:
    last = next(p for p in folder.iterdir() if pydicom.dcmread(p).InstanceNumber == 12)
    last.write_bytes(last.read_bytes()[:300])
    (note,) = read_volume(folder).notes
    assert f"1 DICOM file cannot be read ({last.name})" in note


def test_slices_of_another_rescale_are_told(folder: Path) -> None:
    (note,) = read_volume(edited(folder, having("RescaleIntercept", "-1020", 3))).notes
    assert "differ in how their values are stored" in note


def test_a_localizer_is_left_out(folder: Path, ct: Volume) -> None:
    path = sorted(folder.iterdir())[0]
    scout = pydicom.dcmread(path)
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]
    scout.SOPInstanceUID = "1.2.3.4.99"
    scout.save_as(folder / "scout.dcm")
    volume = read_volume(folder)
    assert same(volume, ct)
    assert volume.notes == ("1 localizer was left out of the DICOM series",)


def test_of_ct_and_pet_the_ct_is_read(folder: Path, ct: Volume, tmp_path: Path) -> None:
    pet = edited(dicom(tmp_path / "pet", ct, uid="1.2.9"), having("Modality", "PT"))
    more = edited(dicom(tmp_path / "more", ct, uid="1.2.9"), having("Modality", "PT"))
    for source, prefix in ((pet, "p"), (more, "q")):
        for path in source.iterdir():
            path.rename(folder / f"{prefix}{path.name}")
    volume = read_volume(folder)
    assert same(volume, ct)
    assert "2 DICOM series" in volume.notes[0]
    assert "PT of 24 slices" in volume.notes[0]
    assert {header.modality for header in list_series(folder)} == {"CT", "PT"}


def test_slices_with_a_series_each_are_read_together(folder: Path, ct: Volume) -> None:
    edited(folder, lambda data, n: setattr(data, "SeriesInstanceUID", f"1.2.7.{n}"))
    volume = read_volume(folder)
    assert same(volume, ct)
    assert "every one of the 12 files is a DICOM series of its own" in volume.notes[0]
    (header,) = list_series(folder)
    assert header.size == AT.size


def test_a_folder_above_names_the_one_below(tmp_path: Path, ct: Volume) -> None:
    dicom(tmp_path / "cd" / "DICOM" / "SE1", ct)
    (tmp_path / "cd" / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(20))
    below = Path("DICOM") / "SE1"
    assert f"its subfolder {below} does: give that" in refusal(tmp_path / "cd")
    found = [c.path for c in walk(tmp_path / "cd") if c.is_dicom]
    assert found == [tmp_path / "cd" / below]


def test_a_dicomdir_under_another_name_is_none(folder: Path) -> None:
    path = sorted(folder.iterdir())[0]
    data = pydicom.dcmread(path)
    assert is_dicom_file(path.rename(folder / "slice"))
    assert sop_class_of(folder / "slice") == str(data.file_meta.MediaStorageSOPClassUID)
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    data.save_as(folder / "list")
    assert not is_dicom_file(folder / "list")


def test_a_folder_of_image_files_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"")
    assert "give its image files themselves (a.nii.gz" in refusal(tmp_path)


def enhanced(path: Path, folder: Path, order: list[int]) -> Path:
    """The series of a folder as one enhanced CT, its frames in this order."""
    slices = sorted((pydicom.dcmread(p) for p in folder.iterdir()), key=lambda d: d.InstanceNumber)
    data = slices[0]
    frames = []
    for n in order:
        frame, place = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = slices[n].ImagePositionPatient
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    shared, measures, axes, value = (pydicom.Dataset() for _ in range(4))
    measures.PixelSpacing, axes.ImageOrientationPatient = (
        data.PixelSpacing,
        data.ImageOrientationPatient,
    )
    value.RescaleSlope, value.RescaleIntercept = data.RescaleSlope, data.RescaleIntercept
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [axes]
    shared.PixelValueTransformationSequence = [value]
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = frames
    pixels = b"".join(slices[n].PixelData for n in order)
    data.PixelData, data.NumberOfFrames = pixels, len(order)
    for tag in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(data, tag)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = ENHANCED_CLASS
    path.parent.mkdir(exist_ok=True)
    data.save_as(path)
    return path


@pytest.mark.parametrize("seed", [None, 1])
def test_frames_are_sorted_by_their_positions(
    folder: Path, ct: Volume, tmp_path: Path, seed: int | None
) -> None:
    order = list(range(12))
    if seed is not None:
        order = [int(n) for n in np.random.default_rng(seed).permutation(12)]
    path = enhanced(tmp_path / "enhanced" / "a.dcm", folder, order)
    assert same(read_volume(path), ct)
    assert same(read_volume(path.parent), ct)


def test_frames_with_a_gap_are_refused(folder: Path, tmp_path: Path) -> None:
    order = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert "missing" in refusal(enhanced(tmp_path / "enhanced" / "a.dcm", folder, order))


def test_frames_without_pydicom_say_what_to_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = enhanced(tmp_path / "enhanced" / "a.dcm", folder, list(range(12)))
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    assert "needs pydicom" in refusal(path)


def test_what_is_no_ct_is_called_by_its_name(folder: Path) -> None:
    path = sorted(folder.iterdir())[0]
    data = pydicom.dcmread(path)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = SEGMENTATION
    data.save_as(path)
    assert "is a DICOM segmentation, but a CT is needed" in refusal(path)


@pytest.mark.parametrize("syntax", ["RLELossless", "DeflatedExplicitVRLittleEndian", "Implicit"])
def test_other_transfer_syntaxes_are_read(folder: Path, ct: Volume, syntax: str) -> None:
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        if syntax == "RLELossless":
            data.compress(pydicom.uid.RLELossless)
            data.save_as(path)
        elif syntax == "Implicit":
            data.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            data.save_as(path, implicit_vr=True, little_endian=True)
        else:
            data.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
            data.save_as(path)
    volume = read_volume(folder)
    assert same(volume, ct)
    assert volume.notes == ()


@pytest.mark.parametrize("undefined", [False, True])
def test_nested_sequences_and_private_tags_are_no_damage(
    folder: Path, ct: Volume, undefined: bool
) -> None:
    def add(data: Any, number: int) -> None:
        inner, outer = pydicom.Dataset(), pydicom.Dataset()
        inner.ReferencedSOPInstanceUID = "1.2"
        outer.CodeMeaning, outer.ReferencedSOPSequence = "x", [inner]
        data.ProcedureCodeSequence = [outer]
        data["ProcedureCodeSequence"].is_undefined_length = undefined
        outer.is_undefined_length_sequence_item = undefined
        data.add_new(0x00090010, "LO", "SOMEBODY")
        data.add_new(0x00091001, "UN", b"abcd")

    volume = read_volume(edited(folder, add))
    assert same(volume, ct)
    assert volume.notes == ()
