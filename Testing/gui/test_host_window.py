"""The real window: panel and views, mouse events from Qt, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from PySide6.QtTest import QTest
from slicerhost.__main__ import main
from slicerhost.application.window import Window

MODULE = str(Path(__file__).parent / "modules" / "HostSample" / "HostSample.py")
SAMPLE = Path(__file__).parents[2] / "RPRLocalization" / "Resources" / "SampleData" / "query.nii.gz"


@pytest.fixture
def window(host, loadModule):
    loadModule(MODULE)
    window = Window(host, (1000, 700))
    window.addVolume(SAMPLE)
    window.renderNow()
    yield window
    host.mainWindow.takeCentralWidget().deleteLater()
    host.mainWindow.menuBar().clear()
    host.mainWindow.hide()


def pixels(path):
    image = qt.QImage(str(path)).convertToFormat(qt.QImage.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def test_theWindowShowsPanelAndViews(window, tmp_path):
    window.renderVolume(slicer.util.getNode("query"))
    window.screenshot(tmp_path / "window.png")
    picture = pixels(tmp_path / "window.png")
    assert picture.shape == (700, 1000, 3)
    for widget in [panel.viewWidget() for panel in window.slices.values()] + [window.threeD]:
        corner = widget.mapTo(window.main, qt.QPoint(0, 0))
        part = picture[
            corner.y() : corner.y() + widget.height, corner.x() : corner.x() + widget.width
        ]
        assert part.std() > 10, widget


@pytest.mark.parametrize("name", ["Red", "Yellow", "Green"])
def test_aQtClickPlacesAPoint(host, window, name):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.CreateDefaultDisplayNodes()
    placing = slicer.modules.HostSampleWidget.ui.placeWidget
    placing.setCurrentNode(node)
    placing.setPlaceModeEnabled(True)
    widget = window.slices[name].viewWidget()
    at = qt.QPoint(int(0.4 * widget.width), int(0.6 * widget.height))
    QTest.mouseMove(widget, at)
    QTest.mouseClick(widget, qt.Qt.LeftButton, pos=at)
    assert node.GetNumberOfDefinedControlPoints() == 1 and not placing.placeModeEnabled
    x, y = widget.view().xyOf(slicer.util.arrayFromMarkupsControlPoints(node)[0])
    assert abs(x - at.x()) < 1.5 and abs(y - (widget.height - 1 - at.y())) < 1.5


def test_viewsFollowTheScene(host, window):
    view = window.slices["Red"].viewWidget()
    before = view._image
    logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    logic.SetSliceOffset(logic.GetSliceOffset() + 30)
    host.waitFor(lambda: view._image is not before)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    node.CreateDefaultDisplayNodes()
    before = window.threeD._image
    node.SetSize(100, 100, 100)
    host.waitFor(lambda: window.threeD._image is not before)


def test_theWheelBrowsesSlices(host, window):
    logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    widget, before = window.slices["Red"].viewWidget(), logic.GetSliceOffset()
    center = qt.QPointF(widget.width / 2, widget.height / 2)
    wheel = qt.QWheelEvent(
        center, widget.mapToGlobal(center), qt.QPoint(0, 0), qt.QPoint(0, 120),
        qt.Qt.NoButton, qt.Qt.NoModifier, qt.Qt.NoScrollPhase, False,
    )  # fmt: skip
    qt.QApplication.sendEvent(widget, wheel)
    assert logic.GetSliceOffset() != before


def test_commandLineTakesAPicture(tmp_path):
    path, script = tmp_path / "shot.png", tmp_path / "script.py"
    script.write_text(
        "import slicer\n"
        "slicer.modules.HostSampleWidget.ui.labelEdit.text = 'by script'\n"
        "print(window.main)\n"
    )
    command = [
        sys.executable,
        "-m",
        "slicerhost",
        MODULE,
        "--volume",
        str(SAMPLE),
        "--script",
        str(script),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [*command, "--size", "800x600", "--screenshot", str(path)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert pixels(path).shape == (600, 800, 3) and "MainWindow" in done.stdout


def test_commandLineWithoutAScreenSaysSo(monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform.startswith("linux"):
        assert main([MODULE]) == 2
        assert "--screenshot" in capsys.readouterr().err
