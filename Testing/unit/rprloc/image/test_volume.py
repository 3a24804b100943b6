"""Reading CTs: geometry, HU, and a clear line for everything that cannot be used."""

from __future__ import annotations

import gzip
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.phantoms import OBLIQUE, body_volume, dicom, image_of, written

from rprloc.errors import InputError
from rprloc.formats.reading import stem_of
from rprloc.geometry import Geometry
from rprloc.image.hounsfield import check_ct
from rprloc.image.volume import Volume, read_volume


@pytest.fixture(scope="module")
def ct() -> Volume:
    return body_volume(OBLIQUE, at=OBLIQUE.bounds().center - [0, 0, 40], scale=0.25)


def message(path: Path) -> str:
    """Return the error of reading ``path``: one line that names the file."""
    with pytest.raises(InputError) as caught:
        read_volume(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("left_handed", [False, True])
def test_files_keep_hu_and_geometry(
    tmp_path: Path, ct: Volume, suffix: str, left_handed: bool
) -> None:
    direction = OBLIQUE.direction * ([1, 1, -1] if left_handed else [1, 1, 1])
    geometry = Geometry(OBLIQUE.size, OBLIQUE.spacing, OBLIQUE.origin, direction)
    volume = read_volume(written(tmp_path / f"a case.1{suffix}", ct.array, geometry))
    assert volume.name == "a case.1"
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, ct.array)
    assert volume.geometry.size == geometry.size
    assert np.allclose(volume.geometry.ijk_to_lps, geometry.ijk_to_lps, atol=1e-3)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_voxel_types_give_the_same_hu(tmp_path: Path, ct: Volume, kind: type, suffix: str) -> None:
    volume = read_volume(written(tmp_path / f"ct{suffix}", ct.array.astype(kind)))
    assert np.array_equal(volume.array, ct.array)


def test_hu_are_clipped_and_rounded(ct: Volume) -> None:
    array = ct.array.astype(np.float64) + 0.3
    array[0, 0, :3] = [-3024, 9000, 12.6]
    volume = Volume.from_array(array, OBLIQUE.ijk_to_lps, "x")
    assert volume.array[0, 0, :3].tolist() == [-1024, 3071, 13]
    assert volume.array.max() == 3071
    assert volume.array.min() == -1024


def test_from_sitk_and_from_array_agree(ct: Volume) -> None:
    from_sitk = Volume.from_sitk(image_of(ct.array), "x")
    assert np.array_equal(from_sitk.array, ct.array)
    assert np.allclose(from_sitk.geometry.ijk_to_lps, ct.geometry.ijk_to_lps)
    with pytest.raises(InputError, match="2D"):
        Volume.from_array(ct.array[0], np.eye(4), "x")
    with pytest.raises(InputError, match=r"x: .*above 0"):
        Volume.from_array(ct.array, np.diag([0.0, 0, 0, 1]), "x")
    with pytest.raises(InputError, match="does not fit"):
        Volume(ct.array[1:], OBLIQUE, "x")


def test_a_nifti_scale_is_applied(tmp_path: Path, ct: Volume) -> None:
    path = written(tmp_path / "ct.nii", ((ct.array + 1024) // 2).astype(np.int16))
    data = bytearray(path.read_bytes())
    data[112:120] = struct.pack("<ff", 2.0, -1024.0)
    path.write_bytes(data)
    assert np.array_equal(read_volume(path).array, (ct.array + 1024) // 2 * 2 - 1024)


def test_a_big_endian_nifti_is_read(tmp_path: Path, ct: Volume) -> None:
    path = written(tmp_path / "ct.nii", ct.array)
    data = bytearray(path.read_bytes())
    fields = (
        (0, "i4", 1),
        (40, "i2", 8),
        (56, "f4", 3),
        (68, "i2", 4),
        (76, "f4", 11),
        (120, "i2", 1),
    )
    more = (
        (124, "f4", 4),
        (140, "i4", 2),
        (252, "i2", 2),
        (256, "f4", 18),
        (352, "i2", ct.array.size),
    )
    for start, kind, count in fields + more:
        view = np.frombuffer(data, "<" + kind, count, start)
        view[:] = view.byteswap()
    path.write_bytes(data)
    volume = read_volume(path)
    assert np.array_equal(volume.array, ct.array)
    assert np.allclose(volume.geometry.ijk_to_lps, ct.geometry.ijk_to_lps, atol=1e-3)


def test_a_4d_nifti_of_one_volume_is_read(tmp_path: Path, ct: Volume) -> None:
    path = written(tmp_path / "ct.nii", ct.array)
    data = bytearray(path.read_bytes())
    data[40:42] = struct.pack("<h", 4)
    path.write_bytes(data)
    assert np.array_equal(read_volume(path).array, ct.array)


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("a/b.nii.gz", "b"),
        ("b.x.NII.GZ", "b.x"),
        ("c.seg.nrrd", "c"),
        ("d.v1.mha", "d.v1"),
        ("folder/series", "series"),
        (".nii.gz", ".nii.gz"),
    ],
)
def test_stem(path: str, stem: str) -> None:
    assert stem_of(path) == stem
    assert stem_of(Path(path)) == stem


def test_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:
    assert "no such file" in message(tmp_path / "nothing.nii.gz")
    assert "no DICOM series" in message(tmp_path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("kept", [0.0, 0.4, 0.999])
def test_truncated_files(tmp_path: Path, ct: Volume, suffix: str, kept: float) -> None:
    path = written(tmp_path / f"ct{suffix}", ct.array)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert "truncated" in message(path) or kept == 0


def test_a_damaged_gzip_and_a_file_of_text(tmp_path: Path, ct: Volume) -> None:
    path = written(tmp_path / "ct.nii.gz", ct.array)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert "damaged" in message(path)
    for name in ("text.nii.gz", "text.nrrd", "text.txt"):
        (tmp_path / name).write_text("not an image\n" * 100)
        message(tmp_path / name)


def test_a_header_without_its_data_file(tmp_path: Path, ct: Volume) -> None:
    path = written(tmp_path / "ct.mhd", ct.array)
    next(tmp_path.glob("ct*raw")).unlink()
    assert "missing" in message(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_other_dimensions(tmp_path: Path, ct: Volume, suffix: str) -> None:
    image = image_of(ct.array)
    flat, thin, long, colour = (
        tmp_path / f"{name}{suffix}" for name in ("flat", "thin", "long", "colour")
    )
    sitk.WriteImage(image[:, :, 3], str(flat))
    assert "2D" in message(flat)
    sitk.WriteImage(image[:, :, 3:4], str(thin))
    assert "single slice" in message(thin)
    sitk.WriteImage(sitk.JoinSeries([image, image]), str(long))
    assert "4D" in message(long)
    sitk.WriteImage(sitk.Compose(image, image, image), str(colour))
    assert "3" in message(colour)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity(tmp_path: Path, ct: Volume, suffix: str, value: float) -> None:
    array = ct.array.astype(np.float32)
    array[3, 4, 5] = value
    assert "NaN" in message(written(tmp_path / f"ct{suffix}", array))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_constant_volume(tmp_path: Path, ct: Volume, suffix: str) -> None:
    assert "empty" in message(written(tmp_path / f"ct{suffix}", np.full_like(ct.array, -1000)))


@pytest.mark.parametrize("spacing", [0.0, float("nan")])
@pytest.mark.parametrize("zipped", [False, True])
def test_spacing_zero_in_nifti(tmp_path: Path, ct: Volume, spacing: float, zipped: bool) -> None:
    path = written(tmp_path / "ct.nii", ct.array)
    data = bytearray(path.read_bytes())
    data[84:88] = struct.pack("<f", spacing)
    if zipped:
        path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(bytes(data)) if zipped else data)
    assert "spacing" in message(path)


def test_spacing_zero_in_nrrd_and_mha(tmp_path: Path, ct: Volume) -> None:
    straight = Geometry(OBLIQUE.size, np.array([1.0, 2.0, 3.0]), np.zeros(3), np.eye(3))
    for suffix, old, new in (
        (".nrrd", b"(1,0,0) (0,2,0)", b"(0,0,0) (0,2,0)"),
        (".mha", b"ElementSpacing = 1 2 3", b"ElementSpacing = 0 2 3"),
    ):
        path = written(tmp_path / f"ct{suffix}", ct.array, straight)
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new))
        assert "spacing" in message(path)


def test_sheared_axes(tmp_path: Path, ct: Volume) -> None:
    straight = Geometry(OBLIQUE.size, np.array([1.0, 2.0, 3.0]), np.zeros(3), np.eye(3))
    nrrd = written(tmp_path / "ct.nrrd", ct.array, straight)
    nrrd.write_bytes(nrrd.read_bytes().replace(b"(1,0,0) (0,2,0)", b"(1,0.3,0) (0,2,0)"))
    assert "sheared" in message(nrrd)
    mha = written(tmp_path / "ct.mha", ct.array, straight)
    mha.write_bytes(
        mha.read_bytes().replace(b"TransformMatrix = 1 0 0", b"TransformMatrix = 1 0.3 0")
    )
    assert "sheared" in message(mha)
    nifti = written(tmp_path / "ct.nii", ct.array, straight)
    data = bytearray(nifti.read_bytes())
    data[252:256] = struct.pack("<hh", 0, 1)
    data[280:296] = struct.pack("<4f", -1, 0.5, 0, 0)
    nifti.write_bytes(data)
    assert "sheared" in message(nifti)


def test_spacing_that_cannot_be_in_mm(tmp_path: Path, ct: Volume) -> None:
    metres = Geometry(OBLIQUE.size, np.full(3, 2500.0), np.zeros(3), np.eye(3))
    assert "not in mm" in message(written(tmp_path / "ct.nrrd", ct.array, metres))


def test_what_is_not_a_ct(ct: Volume) -> None:
    hu = ct.array.astype(np.float32)
    rng = np.random.default_rng(0)
    mr = np.where(hu > -350, rng.gamma(4, 120, hu.shape), rng.gamma(1, 8, hu.shape))
    label = (hu > -350).astype(np.uint8) * 7
    refused = {
        "offset": hu + 1024,
        "MR image": mr,
        "normalised": (hu - hu.mean()) / hu.std(),
        "label map": label,
        "cut off": np.clip(hu, -160, 240),
        "no soft tissue": np.where(rng.random(hu.shape) < 0.5, -1000, -700).astype(np.int16),
        "nothing above": np.where(rng.random(hu.shape) < 0.5, -3024, -2000).astype(np.int16),
        "type": hu > 0,
    }
    for words, array in refused.items():
        with pytest.raises(InputError, match=words):
            check_ct(array)
    with pytest.raises(InputError, match="empty"):
        check_ct(hu[:0])


@pytest.mark.parametrize("outside", [-1000, -1024, -2000, -3024])
def test_cts_masked_to_any_air_are_accepted(ct: Volume, outside: int) -> None:
    check_ct(np.where(ct.array > -350, ct.array, outside))


def test_crops_of_a_ct_are_accepted(ct: Volume) -> None:
    rng = np.random.default_rng(0)
    check_ct(np.where(rng.random((20, 20, 20)) < 0.2, rng.normal(-100, 15, (20, 20, 20)), 50.0))
    padded = np.full((40, 24, 36), -3024, np.int16)
    padded[:20] = ct.array
    check_ct(padded)


def test_an_offset_ct_with_padding_is_refused(ct: Volume) -> None:
    padded = np.full((40, 24, 36), -2000, np.int16)
    padded[:20] = ct.array + 1024
    with pytest.raises(InputError, match="offset"):
        check_ct(padded)


def test_a_dicom_folder(tmp_path: Path, ct: Volume) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        volume = read_volume(dicom(tmp_path / "series 1", ct))
    assert volume.name == "series 1"
    assert volume.array.shape == ct.array.shape
    assert np.abs(volume.array.astype(int) - ct.array).max() == 0
    assert np.allclose(volume.geometry.ijk_to_lps, ct.geometry.ijk_to_lps, atol=1e-3)


def test_the_longest_of_several_dicom_series_is_read(tmp_path: Path, ct: Volume) -> None:
    short = Volume(
        ct.array[:5], Geometry((36, 24, 5), OBLIQUE.spacing, OBLIQUE.origin, OBLIQUE.direction), "s"
    )
    dicom(tmp_path / "s", short, uid="1.2.9")
    volume = read_volume(dicom(tmp_path / "s", ct))
    assert volume.array.shape == ct.array.shape
    assert "2 DICOM series" in volume.notes[0]


def test_dicom_series_that_cannot_be_used(tmp_path: Path, ct: Volume) -> None:
    assert "missing" in message(dicom(tmp_path / "gap", ct, skip=9))
    assert "modality MR" in message(dicom(tmp_path / "mr", ct, modality="MR"))
    one = Volume(
        ct.array[:1], Geometry((36, 24, 1), OBLIQUE.spacing, OBLIQUE.origin, OBLIQUE.direction), "s"
    )
    assert "single slice" in message(dicom(tmp_path / "one", one))


def test_a_damaged_dicom_slice(tmp_path: Path, ct: Volume) -> None:
    folder = dicom(tmp_path / "s", ct)
    victim = sorted(folder.iterdir())[4]
    victim.write_bytes(victim.read_bytes()[:-800])
    message(folder)
