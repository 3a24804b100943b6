"""NRRD and MetaImage headers: what they leave open, other units, and data files elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.phantoms import OBLIQUE, body_volume, written

from rprloc.errors import InputError
from rprloc.formats.reading import read_header
from rprloc.formats.units import in_mm
from rprloc.image.volume import Volume, read_volume


@pytest.fixture(scope="module")
def ct() -> Volume:
    return body_volume(OBLIQUE, at=OBLIQUE.bounds().center - [0, 0, 40], scale=0.25)


def nrrd(path: Path, ct: Volume, *lines: str, extra: bytes = b"") -> Path:
    i, j, k = ct.geometry.size
    head = ["NRRD0005", "type: short", "dimension: 3", f"sizes: {i} {j} {k}", "endian: little"]
    text = "\n".join([*head, "encoding: raw", *lines]) + "\n\n"
    path.write_bytes(text.encode() + ct.array.astype("<i2").tobytes() + extra)
    return path


def meta(path: Path, ct: Volume, *lines: str, last: str = "LOCAL", extra: bytes = b"") -> Path:
    i, j, k = ct.geometry.size
    head = ["ObjectType = Image", "NDims = 3", "BinaryData = True", "ElementType = MET_SHORT"]
    head += ["BinaryDataByteOrderMSB = False", f"DimSize = {i} {j} {k}", *lines]
    text = "\n".join([*head, f"ElementDataFile = {last}"]) + "\n"
    voxels = ct.array.astype("<i2").tobytes() + extra
    path.write_bytes(text.encode() + (voxels if last == "LOCAL" else b""))
    return path


def directions(unit: float) -> str:
    x, y, z = OBLIQUE.spacing / unit
    return f"space directions: ({x:g},0,0) (0,{y:g},0) (0,0,{z:g})"


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


LPS = "space: left-posterior-superior"
MM = 1.0


@pytest.mark.parametrize(("unit", "mm"), [("cm", 10.0), ("um", 0.001), ("m", 1000.0)])
def test_units_of_an_nrrd_are_turned_into_mm(
    tmp_path: Path, ct: Volume, unit: str, mm: float
) -> None:
    units = f'space units: "{unit}" "{unit}" "{unit}"'
    path = nrrd(
        tmp_path / "a.nrrd", ct, LPS, units, directions(mm), f"space origin: ({5 / mm:g},0,0)"
    )
    volume = read_volume(path)
    assert volume.notes == (f"the file gives its lengths in {unit}: turned into mm",)
    assert np.allclose(volume.geometry.spacing, OBLIQUE.spacing, rtol=1e-4)
    assert np.allclose(volume.geometry.origin, [5, 0, 0])
    assert np.allclose(read_header(path).spacing, OBLIQUE.spacing, rtol=1e-4)


def test_mm_needs_no_words(tmp_path: Path, ct: Volume) -> None:
    units = 'space units: "mm" "mm" "mm"'
    assert read_volume(nrrd(tmp_path / "a.nrrd", ct, LPS, units, directions(MM))).notes == ()


def test_unknown_and_mixed_units_are_refused(tmp_path: Path, ct: Volume) -> None:
    path = nrrd(tmp_path / "a.nrrd", ct, LPS, 'space units: "px" "px" "px"', directions(MM))
    assert "'px'" in refusal(path)
    nrrd(path, ct, LPS, 'space units: "mm" "mm" "cm"', directions(MM))
    assert "different units" in refusal(path)
    with pytest.raises(InputError, match="furlong"):
        in_mm("furlong")


def test_an_nrrd_without_space_or_spacing_gets_notes(tmp_path: Path, ct: Volume) -> None:
    x, y, z = OBLIQUE.spacing
    path = nrrd(tmp_path / "a.nrrd", ct, f"spacings: {x:g} {y:g} {z:g}")
    (note,) = read_volume(path).notes
    assert "left and right may be exchanged" in note
    _, spacing = read_volume(nrrd(path, ct)).notes
    assert "1 mm was taken" in spacing


def test_a_space_that_no_reader_knows_is_named(tmp_path: Path, ct: Volume) -> None:
    path = nrrd(tmp_path / "a.nrrd", ct, "space: left-posterior-inferior", directions(MM))
    assert "'left-posterior-inferior'" in refusal(path)


def test_the_length_of_raw_voxels_is_compared(tmp_path: Path, ct: Volume) -> None:
    for path in (
        nrrd(tmp_path / "a.nrrd", ct, LPS, directions(MM), extra=b"more"),
        meta(tmp_path / "a.mha", ct, *COMPLETE, extra=b"more"),
    ):
        assert any("longer than its header" in note for note in read_volume(path).notes)
        path.write_bytes(path.read_bytes()[:-40])
        assert "truncated" in refusal(path)


COMPLETE = ("ElementSpacing = 3 3 3", "TransformMatrix = 1 0 0 0 1 0 0 0 1", "Offset = 0 0 0")


def test_a_metaimage_without_spacing_or_axes_gets_notes(tmp_path: Path, ct: Volume) -> None:
    spacing, axes = read_volume(meta(tmp_path / "a.mha", ct)).notes
    assert "1 mm was taken" in spacing
    assert "left and right may be exchanged" in axes
    assert read_volume(meta(tmp_path / "a.mha", ct, *COMPLETE)).notes == ()


def test_units_of_a_metaimage_are_turned_into_mm(tmp_path: Path, ct: Volume) -> None:
    volume = read_volume(meta(tmp_path / "a.mha", ct, "DistanceUnits = cm", *COMPLETE))
    assert np.allclose(volume.geometry.spacing, 30.0)


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.raw", "C:\\a.raw", "sub/../../a.raw"])
def test_a_header_names_no_file_elsewhere(tmp_path: Path, ct: Volume, name: str) -> None:
    assert "not in the header's folder" in refusal(
        meta(tmp_path / "a.mhd", ct, *COMPLETE, last=name)
    )
    path = nrrd(tmp_path / "a.nhdr", ct, LPS, directions(MM), f"data file: {name}")
    assert "not in the header's folder" in refusal(path)


def test_a_missing_data_file_is_named(tmp_path: Path, ct: Volume) -> None:
    assert "'b.raw' is missing" in refusal(meta(tmp_path / "a.mhd", ct, *COMPLETE, last="b.raw"))


@pytest.mark.parametrize("line", ["Offset = nan 0 0", "ElementSpacing = 1 inf 1", "DimSize = a"])
def test_numbers_that_are_none_are_a_damaged_header(tmp_path: Path, ct: Volume, line: str) -> None:
    assert "damaged" in refusal(meta(tmp_path / "a.mha", ct, line))


def test_segments_of_slicer_have_nothing_to_note(tmp_path: Path, ct: Volume) -> None:
    assert read_volume(written(tmp_path / "a.nrrd", ct.array, ct.geometry)).notes == ()
    assert read_volume(written(tmp_path / "a.mha", ct.array, ct.geometry)).notes == ()
