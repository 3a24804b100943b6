"""Slicer without a main window, as its generic tests of modules start it (--no-main-window).

There is no layout manager then, no view and its nodes, no module selector, and errors are logged
instead of shown. The host is one per process: the tests of the modules run in another one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import slicer
from slicerhost import environment

HERE = Path(__file__).resolve().parent
# Real CTs and real trainings show nothing more here, and take minutes.
FILES = sorted(
    path for path in HERE.glob("test_rpr*.py") if not path.stem.endswith(("_real", "_worker"))
)
LEAST_PASSED = 130

withoutWindow = pytest.mark.skipif(
    environment.wantsMainWindow(), reason="runs in the process without a main window"
)


@pytest.mark.mainwindow
def test_everyTestOfTheModulesThatNeedsNoViewPassesWithoutAMainWindow():
    variables = {environment.NO_MAIN_WINDOW_VARIABLE: "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    files = [*FILES, HERE / "test_foreign_nodes.py", HERE / "test_no_main_window.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, files)],
        cwd=HERE.parents[1],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) >= LEAST_PASSED, done.stdout[-500:]


@withoutWindow
def test_hostIsWithoutWindowAndViews(host):
    assert slicer.app.layoutManager() is None and slicer.util.mainWindow() is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSliceNode") == 0
    with pytest.raises(RuntimeError, match="main window"):
        slicer.util.selectModule("RPRLocalization")


@withoutWindow
def test_curvesSayWhyTheyCannotBeShown(bench):
    bench.train()
    assert not bench.ui.curveButton.enabled
    assert "without a main window" in bench.ui.curveButton.toolTip
    assert bench.logic.curves.chart() is not None, "the nodes are there"


@withoutWindow
def test_resultsAreReviewedAndRemovedWithoutViews(panel):
    panel.ready(queries=2)
    panel.localize()
    panel.ui.resultsTable.setCurrentCell(2, 0)
    panel.host.processEvents()
    panel.click(panel.ui.acceptButton)
    assert panel.run.rows[2].review == "accepted"


@withoutWindow
def test_localizationThatCannotBeOpenedIsSaid(bench, caplog, monkeypatch, tmp_path):
    monkeypatch.setattr(bench.panel.use, "_model", lambda: {"installed": str(tmp_path)})
    bench.panel.use._onOpenLocalization()
    assert "could not be opened" in caplog.text


@pytest.mark.parametrize("name", ["plots", "segmentations", "cropvolume", "markups", "volumes"])
def test_panelsOpenWhereAModuleOfSlicerIsMissing(host, loadModule, name):
    host.modules.hide(name)
    loadModule("RPRLocalization")
    widget = loadModule("RPRTraining")
    host.processEvents()
    if name == "plots" and environment.wantsMainWindow():
        assert "no Plots module" in widget.ui.curveButton.toolTip


def test_missingSampleDataModuleIsNoError(host, monkeypatch):
    from RPRLocalizationLib.sampledata import registerSampleData

    monkeypatch.setitem(sys.modules, "SampleData", None)
    registerSampleData()


def test_sampleWithoutTheSegmentationsModuleIsTheCtAlone(host):
    from RPRLocalizationLib.sampledata import REFERENCE, loadSample

    host.modules.hide("segmentations")
    (volume,) = loadSample(REFERENCE)
    assert volume.GetImageData() is not None
