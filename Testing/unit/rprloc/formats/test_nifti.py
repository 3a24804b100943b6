"""NIfTI and Analyze files: what their headers may say, and what is said of it."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from support.phantoms import OBLIQUE, body_volume, written

from rprloc.errors import InputError
from rprloc.formats.nifti_header import parse_header
from rprloc.formats.reading import read_header
from rprloc.geometry import Geometry
from rprloc.image.volume import Volume, read_volume

Edit = Callable[[bytearray], None]

VOX_OFFSET, SCL_SLOPE, XYZT_UNITS, QFORM_CODE, QOFFSET, SROW = 108, 112, 123, 252, 268, 280
NONE, SCANNER, ALIGNED = 0, 1, 2


@pytest.fixture(scope="module")
def ct() -> Volume:
    return body_volume(OBLIQUE, at=OBLIQUE.bounds().center - [0, 0, 40], scale=0.25)


@pytest.fixture
def file(tmp_path: Path, ct: Volume) -> Path:
    return written(tmp_path / "ct.nii", ct.array, ct.geometry)


def edited(file: Path, edit: Edit) -> Path:
    data = bytearray(file.read_bytes())
    edit(data)
    file.write_bytes(bytes(data))
    return file


def packed(form: str, at: int, *values: float) -> Edit:
    return lambda data: struct.pack_into(form, data, at, *values)


def codes(qform: int, sform: int) -> Edit:
    return packed("<hh", QFORM_CODE, qform, sform)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize("offset", [0.0, 1.0, 348.0, 351.0])
def test_voxels_never_begin_inside_of_the_header(file: Path, ct: Volume, offset: float) -> None:
    volume = read_volume(edited(file, packed("<f", VOX_OFFSET, offset)))
    assert np.array_equal(volume.array, ct.array)
    assert volume.notes == ()


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), -352.0, 352.5])
def test_an_offset_that_is_none_is_a_damaged_header(file: Path, offset: float) -> None:
    edited(file, packed("<f", VOX_OFFSET, offset))
    assert "damaged" in refusal(file)
    with pytest.raises(InputError, match="damaged"):
        read_header(file)


@pytest.mark.parametrize("at", [QOFFSET, 256, 76 + 4, SROW, SROW + 12])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_place_that_is_not_finite_is_a_damaged_header(file: Path, at: int, value: float) -> None:
    edited(file, packed("<f", at, value))
    assert "damaged" in refusal(file)


def test_two_places_are_told_and_the_choice_is_itks(file: Path) -> None:
    edited(file, packed("<f", QOFFSET, 99.0))
    for sform, used in ((SCANNER, "sform"), (ALIGNED, "qform")):
        edited(file, codes(SCANNER, sform))
        volume = read_volume(file)
        assert any(f"{used} was used" in note for note in volume.notes)
        assert np.allclose(volume.geometry.origin, sitk.ReadImage(str(file)).GetOrigin())


def test_two_voxel_sizes_are_refused(file: Path) -> None:
    edited(file, codes(NONE, SCANNER))
    edited(file, packed("<f", 88, 1.0))
    assert "two voxel sizes along axis k" in refusal(file)


def test_no_place_at_all_is_a_note(file: Path, ct: Volume) -> None:
    volume = read_volume(edited(file, codes(NONE, NONE)))
    assert "does not tell how the patient lies" in volume.notes[0]
    assert np.allclose(volume.geometry.direction, np.eye(3))
    assert np.allclose(volume.geometry.spacing, ct.geometry.spacing)


@pytest.mark.parametrize(("code", "mm", "unit"), [(1, 1000.0, "m"), (3, 0.001, "um")])
def test_other_units_are_turned_into_mm(
    file: Path, ct: Volume, code: int, mm: float, unit: str
) -> None:
    def scaled(data: bytearray) -> None:
        for form, at, count in (("f", 80, 3), ("f", QOFFSET, 3), ("f", SROW, 12)):
            values = struct.unpack_from(f"<{count}{form}", data, at)
            struct.pack_into(f"<{count}{form}", data, at, *(v / mm for v in values))
        data[XYZT_UNITS] = code

    volume = read_volume(edited(file, scaled))
    assert volume.notes == (f"the file gives its lengths in {unit}: turned into mm",)
    assert np.allclose(volume.geometry.ijk_to_lps, ct.geometry.ijk_to_lps, rtol=1e-4, atol=1e-2)


def test_gzip_below_a_nii_name_is_read(file: Path, ct: Volume) -> None:
    file.write_bytes(gzip.compress(file.read_bytes()))
    volume = read_volume(file)
    assert np.array_equal(volume.array, ct.array)
    assert np.allclose(volume.geometry.ijk_to_lps, ct.geometry.ijk_to_lps, atol=1e-3)
    assert read_header(file).size == ct.geometry.size


def test_nifti_2_is_read(file: Path, ct: Volume) -> None:
    file.write_bytes(as_nifti_2(file.read_bytes()))
    volume = read_volume(file)
    assert np.array_equal(volume.array, ct.array)
    assert np.allclose(volume.geometry.ijk_to_lps, ct.geometry.ijk_to_lps, atol=1e-3)


def as_nifti_2(narrow: bytes) -> bytes:
    """The same volume with a NIfTI-2 header (nifti2.h), little endian."""
    take = struct.unpack_from
    wide = bytearray(544)
    mark = b"n+2\0\r\n\x1a\n"
    struct.pack_into(
        "<i8shh8q", wide, 0, 540, mark, *take("<hh", narrow, 70), *take("<8h", narrow, 40)
    )
    struct.pack_into("<8d", wide, 104, *take("<8f", narrow, 76))
    struct.pack_into("<qdd", wide, 168, 544, 1.0, 0.0)
    struct.pack_into("<ii", wide, 344, *take("<hh", narrow, QFORM_CODE))
    struct.pack_into("<18d", wide, 352, *take("<18f", narrow, 256))
    struct.pack_into("<i", wide, 500, narrow[XYZT_UNITS])
    return bytes(wide) + narrow[352:]


def test_a_longer_file_is_a_note(file: Path) -> None:
    with open(file, "ab") as stream:
        stream.write(bytes(100))
    assert any("longer than its header says" in note for note in read_volume(file).notes)


def test_contradicting_types_are_a_damaged_header(file: Path) -> None:
    assert "damaged" in refusal(edited(file, packed("<h", 72, 8)))


@pytest.mark.parametrize("suffix", [".img", ".hdr"])
def test_a_pair_is_read_strictly(tmp_path: Path, ct: Volume, suffix: str) -> None:
    written(tmp_path / "ct.img", ct.array, ct.geometry)
    path = tmp_path / f"ct{suffix}"
    volume = read_volume(path)
    assert np.array_equal(volume.array, ct.array)
    assert np.allclose(volume.geometry.ijk_to_lps, ct.geometry.ijk_to_lps, atol=1e-3)

    image = tmp_path / "ct.img"
    image.write_bytes(image.read_bytes()[:-10])
    assert "truncated" in refusal(path)
    (tmp_path / "ct.img").unlink()
    if suffix == ".hdr":
        assert "ct.img is missing" in refusal(path)


def test_a_pair_with_nan_is_refused(tmp_path: Path, ct: Volume) -> None:
    holes = ct.array.astype(np.float32)
    holes[1, 1, 1] = np.nan
    assert "NaN" in refusal(written(tmp_path / "ct.img", holes, ct.geometry))


def test_analyze_tells_no_orientation(tmp_path: Path, ct: Volume) -> None:
    straight = Geometry(ct.geometry.size, ct.geometry.spacing, np.zeros(3), np.eye(3))
    written(tmp_path / "ct.img", ct.array, straight)
    edited(tmp_path / "ct.hdr", lambda data: data.__setitem__(slice(344, 348), bytes(4)))
    volume = read_volume(tmp_path / "ct.img")
    assert "Analyze file does not tell how the patient lies" in volume.notes[0]
    assert np.array_equal(volume.array, ct.array)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1),
    st.lists(st.floats(0.3, 8), min_size=3, max_size=3),
    st.lists(st.floats(-500, 500), min_size=3, max_size=3),
    st.booleans(),
    st.sampled_from([(SCANNER, NONE), (NONE, SCANNER), (SCANNER, SCANNER), (ALIGNED, ALIGNED)]),
)
def test_the_lattice_is_itks(
    tmp_path_factory: pytest.TempPathFactory,
    quaternion: list[float],
    spacing: list[float],
    origin: list[float],
    left_handed: bool,
    forms: tuple[int, int],
) -> None:
    file = tmp_path_factory.mktemp("nifti") / "a.nii"
    image = sitk.Image(4, 5, 6, sitk.sitkInt16)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection((rotation(quaternion) * ([1, 1, -1] if left_handed else [1, 1, 1])).ravel())
    sitk.WriteImage(image, str(file))
    edited(file, codes(*forms))

    ours = parse_header(file.read_bytes(), single_file=True).geometry
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    assert np.allclose(ours.spacing, reader.GetSpacing(), rtol=1e-4)
    assert np.allclose(ours.origin, reader.GetOrigin(), atol=1e-3)
    assert np.allclose(ours.direction.ravel(), reader.GetDirection(), atol=2e-3)


def rotation(quaternion: list[float]) -> np.ndarray:
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@pytest.mark.parametrize(("slope", "intercept"), [(1e30, 0.0), (-2e6, 0.0), (1.0, 3e38)])
def test_a_scaling_that_no_converter_writes_is_refused(
    file: Path, slope: float, intercept: float
) -> None:
    edited(file, packed("<ff", SCL_SLOPE, slope, intercept))
    assert "cannot become HU" in refusal(file)


def test_values_that_scaling_takes_beyond_single_precision_are_refused(
    tmp_path: Path, ct: Volume
) -> None:
    huge = ct.array.astype(np.float32)
    huge[0, 0, 0] = 3e38
    file = written(tmp_path / "huge.nii", huge, ct.geometry)
    edited(file, packed("<ff", SCL_SLOPE, 1000.0, 0.0))
    assert "NaN or infinite" in refusal(file)
