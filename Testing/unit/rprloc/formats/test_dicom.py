"""DICOM folders and files as they come: which one is the CT, and do its slices make a volume."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dicom_objects import enhanced
from support.phantoms import body_volume, dicom

from rprloc.errors import InputError
from rprloc.formats.dicom_series import list_series
from rprloc.formats.discovery import is_dicom_file, sop_class_of, walk
from rprloc.geometry import Geometry
from rprloc.image.volume import Volume, read_volume

pydicom = pytest.importorskip("pydicom", reason="pydicom writes the files of these tests")

AT = Geometry((16, 14, 12), np.array([9.0, 9.0, 12.0]), np.array([-60.0, 20.0, 5.0]), np.eye(3))
CT_CLASS, SEGMENTATION = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4"
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
        (having("RescaleSlope", "0"), "RescaleSlope is 0"),
        (having("PhotometricInterpretation", "MONOCHROME1"), "stored as MONOCHROME1"),
    ],
)
def test_slices_that_make_no_volume_are_refused(folder: Path, edit: Edit, words: str) -> None:
    assert words in refusal(edited(folder, edit))


def test_a_missing_slice_is_counted(tmp_path: Path, ct: Volume) -> None:
    text = refusal(dicom(tmp_path / "gap", ct, skip=5))
    assert "1 slice is missing in the DICOM series (1 between z = 53 and 77 mm" in text


def test_gaps_are_told_from_uneven_steps(folder: Path, tmp_path: Path, ct: Volume) -> None:
    for path in folder.iterdir():
        if pydicom.dcmread(path).InstanceNumber in (3, 4):
            path.unlink()
    text = refusal(folder)
    assert "2 slices are missing in the DICOM series (2 between z = 17 and 53 mm" in text

    def two_steps(data: Any, number: int) -> None:
        z = 5 + 12 * number if number <= 6 else 77 + 5 * (number - 6)
        data.ImagePositionPatient = ["-60", "20", str(z)]

    text = refusal(edited(dicom(tmp_path / "uneven", ct), two_steps))
    assert "unevenly spaced (5 to 12 mm" in text


def test_two_phases_under_one_series_are_counted(folder: Path, ct: Volume, tmp_path: Path) -> None:
    for path in dicom(tmp_path / "again", ct).iterdir():
        path.rename(folder / f"b{path.name}")
    assert "12 positions occur twice" in refusal(folder)
    for path in dicom(tmp_path / "third", ct).iterdir():
        path.rename(folder / f"c{path.name}")
    edited(folder, lambda data, n: setattr(data, "SeriesDescription", "third"), "c*.dcm")
    assert "12 positions occur up to 3 times" in refusal(folder)


def test_copies_of_files_are_left_out(folder: Path, ct: Volume) -> None:
    for number, path in enumerate(sorted(folder.iterdir())[:2]):
        (folder / f"copy {number}.dcm").write_bytes(path.read_bytes())
    volume = read_volume(folder)
    assert same(volume, ct)
    assert volume.notes == ("2 files are copies of others and were left out of the DICOM series",)


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


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (having("RescaleType", "MGML"), "of the type MGML and not HU"),
        (without("Modality"), "do not say that they are a CT"),
    ],
)
def test_doubts_about_the_values_are_told(folder: Path, ct: Volume, edit: Edit, words: str) -> None:
    edited(folder, having("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"))
    volume = read_volume(edited(folder, edit))
    assert same(volume, ct)
    (note,) = volume.notes
    assert words in note


def test_a_ct_without_rescale_is_taken_as_hu_and_told(folder: Path, ct: Volume) -> None:
    def stored_as_hu(data: Any, number: int) -> None:
        data.PixelData = ct.array[number - 1].astype("<i2").tobytes()
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
        del data.RescaleIntercept

    volume = read_volume(edited(folder, stored_as_hu))
    assert same(volume, ct)
    (note,) = volume.notes
    assert "do not say how their values become HU" in note


def test_voxels_that_look_like_the_tag_of_pixels_are_read(folder: Path, ct: Volume) -> None:
    def edit(data: Any, number: int) -> None:
        pixels = bytearray(data.PixelData)
        pixels[40:44] = b"\xe0\x7f\x10\x00"
        data.PixelData = bytes(pixels)

    assert read_volume(edited(folder, edit)).geometry.size == AT.size


def test_a_private_sequence_of_unknown_kind_is_passed_over(folder: Path, ct: Volume) -> None:
    # Of undefined length, its items implicit, as CP-246 of the standard asks.
    item = struct.pack("<HHI", 0x0019, 0x1001, 4) + b"ABCD"
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + item
    ends = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    private = struct.pack("<HH2sH", 0x0019, 0x0010, b"LO", 4) + b"PRIV"
    private += struct.pack("<HH2sHI", 0x0019, 0x1010, b"UN", 0, 0xFFFFFFFF) + items + ends
    explicit = "1.2.840.10008.1.2.1"
    edited(folder, lambda data, n: setattr(data.file_meta, "TransferSyntaxUID", explicit))
    for path in folder.iterdir():
        data = path.read_bytes()
        at = data.index(struct.pack("<HH2s", 0x0020, 0x000D, b"UI"))
        path.write_bytes(data[:at] + private + data[at:])
    volume = read_volume(folder)
    assert same(volume, ct)
    assert volume.notes == ()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"])
def test_other_encodings_are_read(folder: Path, ct: Volume, syntax: str) -> None:
    edited(folder, lambda data, n: setattr(data.file_meta, "TransferSyntaxUID", syntax))
    assert same(read_volume(folder), ct)


def test_packed_slices_are_read_and_their_size_is_bounded(folder: Path, ct: Volume) -> None:
    edited(folder, lambda data, n: data.compress(pydicom.uid.RLELossless))
    assert same(read_volume(folder), ct)

    def huge(data: Any, number: int) -> None:
        data.Rows = data.Columns = 65535

    assert "too large" in refusal(edited(folder, huge))


def test_a_folder_of_damaged_files_says_so(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:400])
    assert "12 DICOM files cannot be read" in refusal(folder)
    assert list_series(folder) == []


def test_slices_of_two_frames_of_reference_are_told(folder: Path, ct: Volume) -> None:
    def edit(data: Any, number: int) -> None:
        data.FrameOfReferenceUID = f"1.2.8.{number // 7}"

    volume = read_volume(edited(folder, edit))
    assert same(volume, ct)
    assert volume.notes == ("the slices are of 2 frames of reference, though of one DICOM series",)


def test_slices_without_the_mark_are_read_with_the_others(folder: Path, ct: Volume) -> None:
    for path in sorted(folder.iterdir())[:5]:
        data = pydicom.dcmread(path)
        bare = pydicom.Dataset()
        bare.update(data)
        bare.save_as(
            path.with_suffix(""), implicit_vr=True, little_endian=True, enforce_file_format=False
        )
        path.unlink()
    assert same(read_volume(folder), ct)


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


@pytest.mark.parametrize(
    ("tag", "what"), [("StudyInstanceUID", "studies"), ("FrameOfReferenceUID", "frames of ref")]
)
def test_slices_with_a_series_each_of_several_scans_are_refused(
    folder: Path, tag: str, what: str
) -> None:
    def edit(data: Any, number: int) -> None:
        data.SeriesInstanceUID = f"1.2.7.{number}"
        setattr(data, tag, f"1.2.8.{number // 7}")

    assert f"is a DICOM series of its own, and they are of 2 {what}" in refusal(
        edited(folder, edit)
    )
    (header,) = list_series(folder)
    assert header.size == AT.size


def test_series_beside_slices_with_a_series_each_are_listed(folder: Path, ct: Volume) -> None:
    edited(folder, lambda data, n: setattr(data, "SeriesInstanceUID", f"1.2.7.{n}"))
    edited(dicom(folder, ct, uid="1.2.9"), having("Modality", "PT"), "*_1.2.9.dcm")
    assert [(h.uid, h.modality) for h in list_series(folder)] == [("", "CT"), ("1.2.9", "PT")]
    volume = read_volume(folder)
    assert same(volume, ct)
    assert len(volume.notes) == 2


def test_series_of_which_none_is_a_ct_can_be_listed(folder: Path, ct: Volume) -> None:
    edited(dicom(folder, ct, uid="1.2.9"), having("Modality", "PT"), "*_1.2.9.dcm")
    edited(folder, having("Modality", "MR"), "*_1.2.3.4.dcm")
    assert "series are of modalities MR and PT, but a CT is needed" in refusal(folder)
    assert {header.modality for header in list_series(folder)} == {"MR", "PT"}


def test_a_localizer_alone_is_refused(folder: Path) -> None:
    edited(folder, having("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    assert "is a localizer (scout view)" in refusal(folder)


def test_a_folder_above_names_the_one_below(tmp_path: Path, ct: Volume) -> None:
    dicom(tmp_path / "cd" / "DICOM" / "SE1", ct)
    (tmp_path / "cd" / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(20))
    below = Path("DICOM") / "SE1"
    assert f"its subfolder {below} does: give that" in refusal(tmp_path / "cd")
    list_of_files = pydicom.dcmread(next((tmp_path / "cd" / below).iterdir()))
    list_of_files.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    list_of_files.save_as(tmp_path / "cd" / "index.dcm")
    found = [c.path for c in walk(tmp_path / "cd") if c.is_dicom]
    assert found == [tmp_path / "cd" / below]
    dicom(tmp_path / "cd" / "DICOM" / "SE2", ct)
    other = Path("DICOM") / "SE2"
    assert f"its subfolders do ({below}, {other}): give one of them" in refusal(tmp_path / "cd")


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


def changed(path: Path, edit: Callable[[Any], Any]) -> Path:
    data = pydicom.dcmread(path)
    edit(data)
    data.save_as(path)
    return path


def shared(data: Any, name: str) -> Any:
    return getattr(data.SharedFunctionalGroupsSequence[0], name)[0]


def measures(data: Any) -> Any:
    return shared(data, "PixelMeasuresSequence")


def rescale(data: Any) -> Any:
    return shared(data, "PixelValueTransformationSequence")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"), "do not say where they lie"),
        (lambda d: setattr(measures(d), "PixelSpacing", [0, 0]), "0 mm or less"),
        (lambda d: setattr(rescale(d), "RescaleSlope", "0"), "RescaleSlope is 0"),
        (lambda d: setattr(d, "NumberOfFrames", 15), "of 15 frames it describes 12"),
        (lambda d: setattr(d, "PixelData", d.PixelData[:900]), "fewer pixels than it says"),
        (lambda d: setattr(d, "Modality", "MR"), "modality MR"),
        (lambda d: d.update({"Rows": 60000, "Columns": 60000}), "truncated, damaged, or too large"),
    ],
)
def test_frames_that_make_no_volume_are_refused(
    folder: Path, tmp_path: Path, edit: Callable[[Any], Any], words: str
) -> None:
    path = enhanced(tmp_path / "enhanced" / "a.dcm", folder, list(range(12)))
    assert words in refusal(changed(path, edit))


def test_doubts_about_the_values_of_frames_are_told(
    folder: Path, ct: Volume, tmp_path: Path
) -> None:
    path = enhanced(tmp_path / "enhanced" / "a.dcm", folder, list(range(12)))

    def edit(data: Any) -> None:
        rescale(data).RescaleType = "MGML"
        del rescale(data).RescaleSlope

    volume = read_volume(changed(path, edit))
    assert same(volume, ct)
    assert len(volume.notes) == 2


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
