"""Files: the CTs of a folder, and results exported in LPS or RAS."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import slicer
from RPRLocalizationLib.library.ctfiles import ctFiles
from RPRLocalizationLib.scene.export import ExportFrame, writeCsv, writeMarkups
from RPRLocalizationLib.scene.resultrows import ResultRow
from RPRLocalizationLib.worker.exchangefolder import compact

from rprloc.errors import InputError, OutputError
from rprloc.targets.markups import read_markups

ROWS = [
    ResultRow(
        "a/b",
        "liver",
        "box",
        "ok",
        "",
        [10.0, 20.0, 30.0],
        [4.0, 6.0, 8.0],
        3.456,
        None,
        review="accepted",
    ),
    ResultRow("a/b", "nose", "landmark", "low-confidence", "why", [1.0, 2.0, 3.0]),
    ResultRow("=1+1", "liver", "box", "failed", "broken"),
    ResultRow("=1+1", "kidney", "box", "outside", "below", [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]),
]


@pytest.mark.parametrize("frame", list(ExportFrame))
def test_tableStatesItsFrame(tmp_path, frame):
    writeCsv(tmp_path / "t.csv", ROWS, frame)
    liver, nose, failed, outside = csv.DictReader((tmp_path / "t.csv").read_text().splitlines())
    sign = -1.0 if frame == ExportFrame.RAS else 1.0
    assert (
        liver["frame"] == frame.value
        and liver["review"] == "accepted"
        and liver["spread_mm"] == "3.46"
    )
    assert [float(liver[f"c{axis}_mm"]) for axis in "xyz"] == [sign * 10, sign * 20, 30]
    assert liver["sx_mm"] == "4.00" and nose["sx_mm"] == "" and nose["reason"] == "why"
    assert failed["status"] == "failed" and failed["cx_mm"] == ""
    assert outside["cx_mm"] == "0.00"


def test_namesCannotBecomeFormulas(tmp_path):
    writeCsv(tmp_path / "t.csv", ROWS, ExportFrame.LPS)
    assert "'=1+1" in (tmp_path / "t.csv").read_text()


@pytest.mark.parametrize("frame", list(ExportFrame))
def test_markupsOpenInSlicerAtTheSamePlace(tmp_path, scene, frame):
    written = writeMarkups(tmp_path, ROWS, frame)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "a_b/liver.mrk.json",
        "a_b/nose.mrk.json",
    ]
    assert json.loads(written[0].read_text())["markups"][0]["coordinateSystem"] == frame.value
    assert np.allclose(read_markups(written[0])[0].box.center, [10, 20, 30])
    storage = slicer.vtkMRMLMarkupsROIJsonStorageNode()
    storage.SetFileName(str(written[0]))
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    assert storage.ReadData(roi)
    assert np.allclose(roi.GetCenter(), [-10, -20, 30]) and np.allclose(roi.GetSize(), [4, 6, 8])
    bounds = np.zeros(6)
    roi.GetRASBounds(bounds)
    assert np.allclose(bounds, [-12, -8, -23, -17, 26, 34])


def test_nothingToExportIsSaid(tmp_path):
    with pytest.raises(OutputError, match="nothing to export"):
        writeMarkups(tmp_path, ROWS[2:], ExportFrame.LPS)


def test_tableThatCannotBeWrittenIsSaid(tmp_path):
    with pytest.raises(OutputError):
        writeCsv(tmp_path / "none" / "t.csv", ROWS, ExportFrame.LPS)


def test_imageFilesAndDicomFoldersAreFound(tmp_path):
    names = [
        "b.nii.gz",
        "a.nrrd",
        "deep/c.mha",
        "x.seg.nrrd",
        "x.labels.nii.gz",
        "notes.txt",
        ".hidden.nii",
    ]
    for name in [*names, "series/IM0001", "series/IM0002", "text/README"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0" * 128 + b"DICM" if name.startswith("series") else b"text")
    found = [path.removeprefix(f"{tmp_path}/") for path in ctFiles(str(tmp_path))]
    assert found == ["a.nrrd", "b.nii.gz", "deep/c.mha", "series"]


@pytest.mark.parametrize("folder", ["", "/no/such/folder"])
def test_foldersThatAreNoneAreRefused(folder):
    with pytest.raises(InputError, match="exists"):
        ctFiles(folder)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([-1024, 3071], np.int32), np.int16),
        (np.array([0, 40000], np.uint16), np.float32),
        (np.array([0.5], np.float64), np.float32),
        (np.array([1], np.uint8), np.uint8),
    ],
)
def test_voxelsPassInTheSmallestTypeThatHoldsThem(values, kind):
    assert compact(values).dtype == kind and (compact(values) == values).all()
