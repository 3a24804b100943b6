"""``rprloc cohort index``: what a tree holds, judged as by the gate; nothing of patients."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import write_query
from support.phantoms import body_volume, dicom

from rprloc.cli.main import main
from rprloc.cohort import indexing
from rprloc.cohort.folder_rows import Place, dicom_rows
from rprloc.cohort.header_scan import scan_files
from rprloc.cohort.index_rows import IndexRow, read_index, series_id
from rprloc.cohort.indexing import IndexRequest, IndexSummary, make_index
from rprloc.cohort.pseudonyms import Pseudonyms, read_or_make_salt
from rprloc.errors import InputError
from rprloc.formats.dicom_series import list_series
from rprloc.geometry import Geometry
from rprloc.image.volume import Volume, read_volume

pydicom = pytest.importorskip("pydicom", reason="pydicom reads the headers")
pytest.importorskip("pyarrow", reason="the extra 'cohort' is not installed")

AT = Geometry((16, 14, 12), np.array([9.0, 9.0, 12.0]), np.array([-60.0, 20.0, 5.0]), np.eye(3))
SALT = Pseudonyms(b"0123456789abcdef0123456789abcdef")


@pytest.fixture(scope="module")
def ct() -> Volume:
    return body_volume(AT, at=AT.bounds().center - [0, 0, 40], scale=0.25)


@pytest.fixture
def tree(tmp_path: Path, ct: Volume) -> Path:
    """Three series below one another: whole, with a slice missing, and truncated; and a NIfTI."""
    root = tmp_path / "tree"
    dicom(root / "a" / "deep" / "er", ct, uid="1.2.3.10", patient="Doe^Jane")
    dicom(root / "b", ct, uid="1.2.3.11", skip=5, patient="Doe^Jane")
    cut = dicom(root / "c", ct, uid="1.2.3.12", patient="Roe^Richard")
    first = sorted(cut.iterdir())[0]
    first.write_bytes(first.read_bytes()[:700])
    write_query(root / "d", "ct.nii.gz")
    dicom(root / "mr", ct, uid="1.2.3.13", modality="MR")
    return root


def index(root: Path, out: Path, **options: Any) -> IndexSummary:
    return make_index(IndexRequest(root, out, 1, **options), lambda summary: None)


def by_path(out: Path) -> dict[str, IndexRow]:
    return {row.path: row for row in read_index(out).rows}


def test_every_ct_has_a_row_with_lattice_and_verdict(tree: Path, tmp_path: Path) -> None:
    summary = index(tree, tmp_path / "c.parquet")
    rows = by_path(tmp_path / "c.parquet")
    assert sorted(rows) == ["a/deep/er", "b", "c", "d/ct.nii.gz"]
    assert dict(summary.others) == {"MR": 1}
    assert rows["a/deep/er"].verdict == rows["d/ct.nii.gz"].verdict == "readable"
    assert "missing" in rows["b"].reason and rows["b"].verdict == "refused"
    assert "cannot be read" in rows["c"].reason and rows["c"].verdict == "readable"
    row = rows["a/deep/er"]
    assert row.size == AT.size and row.files == AT.size[2]
    assert row.spacing == (9.0, 9.0, 12.0) and row.origin == (-60.0, 20.0, 5.0)


def test_the_index_tells_nothing_of_the_patient(tree: Path, tmp_path: Path) -> None:
    index(tree, tmp_path / "c.parquet", pseudonyms=SALT)
    journal = (tmp_path / "c.parquet.journal").read_text()
    rows = by_path(tmp_path / "c.parquet")
    for secret in ("Doe", "Roe", "1.2.3.10", "0123456789abcdef0123456789abcdef"):
        assert secret not in journal
        assert not any(secret in str(row) for row in rows.values())
    assert rows["a/deep/er"].patient == rows["b"].patient != rows["c"].patient
    other = Pseudonyms(SALT.salt[::-1])
    index(tree, tmp_path / "c.parquet", pseudonyms=other)
    assert by_path(tmp_path / "c.parquet")["b"].patient not in (None, rows["b"].patient)


def test_without_a_salt_there_are_no_pseudonyms(tree: Path, tmp_path: Path) -> None:
    index(tree, tmp_path / "c.parquet")
    assert {row.patient for row in by_path(tmp_path / "c.parquet").values()} == {None}


def test_a_salt_is_made_for_its_owner_and_a_short_one_is_refused(tmp_path: Path) -> None:
    made = read_or_make_salt(tmp_path / "new" / "salt")
    assert read_or_make_salt(tmp_path / "new" / "salt") == made
    assert (tmp_path / "new" / "salt").stat().st_mode & 0o077 == 0
    (tmp_path / "short").write_text("1234")
    with pytest.raises(InputError, match="guessed"):
        read_or_make_salt(tmp_path / "short")


Edit = Callable[[Any, int], None]


def _having(tag: str, value: Any) -> Edit:
    return lambda data, number: setattr(data, tag, value)


def _gap(data: Any, number: int) -> None:
    if number > 6:
        x, y, z = data.ImagePositionPatient
        data.ImagePositionPatient = [x, y, z + 24]


def _no_place(data: Any, number: int) -> None:
    del data.ImagePositionPatient


def _own_series(data: Any, number: int) -> None:
    data.SeriesInstanceUID = f"1.2.3.{number}"


@pytest.mark.parametrize(
    "edit",
    [
        _having("PhotometricInterpretation", "MONOCHROME1"),
        _having("RescaleSlope", 0),
        _having("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        _having("ImageOrientationPatient", [1, 0, 0, 0, 0.8, 0.6]),
        _having("PixelSpacing", [9, -9]),
        _having("RescaleType", "US2"),
        _gap,
        _no_place,
        _own_series,
    ],
    ids=lambda edit: getattr(edit, "__name__", ""),
)
def test_headers_are_judged_as_the_gate_judges(tmp_path: Path, ct: Volume, edit: Edit) -> None:
    folder = dicom(tmp_path / "tree" / "series", ct)
    for path in folder.glob("*.dcm"):
        data = pydicom.dcmread(path)
        edit(data, int(data.InstanceNumber))
        data.save_as(path)
    (row,) = dicom_rows(Place(folder.parent, folder), scan_files(sorted(folder.iterdir()))).rows
    (series,) = list_series(folder)
    assert row.series_id == series_id("series", series.uid)
    assert (row.verdict, row.reason) == said_by_the_gate(folder, series.uid)


def said_by_the_gate(folder: Path, uid: str) -> tuple[str, str]:
    try:
        return "readable", "; ".join(read_volume(folder, uid).notes)
    except InputError as error:
        return "refused", str(error).removeprefix(f"{folder}: ")


def test_copies_of_slices_are_no_doubled_positions(tmp_path: Path, ct: Volume) -> None:
    folder = dicom(tmp_path / "tree" / "series", ct)
    some = sorted(folder.iterdir())[3]
    shutil.copy(some, folder / "copy.dcm")
    (row,) = dicom_rows(Place(folder.parent, folder), scan_files(sorted(folder.iterdir()))).rows
    assert row.verdict == "readable" and row.files == AT.size[2]


def test_only_changed_folders_are_read_again(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "c.parquet"
    first = index(tree, out)
    again = index(tree, out)
    assert again.known == again.files == first.files
    assert again.rows == first.rows

    next((tree / "b").iterdir()).unlink()
    (tree / "d" / "ct.nii.gz").unlink()
    last = index(tree, out)
    assert last.files - last.known == first.rows[1].files - 1
    assert "d/ct.nii.gz" not in by_path(out)


def test_an_interrupted_index_goes_on(tree: Path, tmp_path: Path) -> None:
    out, done = tmp_path / "c.parquet", []

    def stop(summary: IndexSummary) -> None:
        done.append(summary.files)
        if len(summary.rows) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_index(IndexRequest(tree, out, 1), stop)
    assert not out.exists()
    journal = tmp_path / "c.parquet.journal"
    # As a kill within a line leaves it.
    journal.write_text(journal.read_text() + '{"folder": "x", "sta')
    summary = index(tree, out)
    assert summary.known >= done[-1] > 0
    assert len(by_path(out)) == len(summary.rows) == 4


def test_a_killed_reader_is_said_and_the_index_goes_on(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "scan_files", _die)
        with pytest.raises(InputError, match="repeat the command"):
            index(tree, tmp_path / "c.parquet")
    index(tree, tmp_path / "c.parquet")
    assert len(by_path(tmp_path / "c.parquet")) == 4


def _die(paths: Any) -> Any:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def test_an_index_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.parquet").write_text("no index")
    with pytest.raises(InputError, match="index"):
        read_index(tmp_path / "c.parquet")
    with pytest.raises(InputError, match="no such folder"):
        index(tmp_path / "missing", tmp_path / "d.parquet")


def test_the_command_tells_what_it_found(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c.parquet"
    command = ["cohort", "index", str(tree), "--out", str(out), "--workers", "1"]
    assert main([*command, "--pseudonyms", str(tmp_path / "salt")]) == 0
    told = capsys.readouterr().out
    assert "4 CT series, 3 readable, 1 refused" in told
    assert "MR 1 series" in told
    assert main(["cohort", "index", str(tree), "--out", str(tmp_path / "c.csv")]) == 2
    assert ".parquet" in capsys.readouterr().err


def test_a_missing_extra_is_named(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rprloc import extras

    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    assert main(["cohort", "index", str(tree), "--out", str(tmp_path / "c.parquet")]) == 2
    assert "pip install 'rprloc[cohort]'" in capsys.readouterr().err
