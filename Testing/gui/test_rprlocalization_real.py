"""The panel with the real worker and the bundled model on the synthetic sample."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import qt
import slicer
from PySide6.QtTest import QTest
from RPRLocalizationLib.logic import RPRLocalizationLogic
from RPRLocalizationLib.panel.resultssection import STATUS
from RPRLocalizationLib.sampledata import QUERY, REFERENCE, loadSample
from RPRLocalizationLib.scene import conversion
from slicerhost.application.window import Window
from support.panels.panel_driver import PanelDriver
from support.paths import SAMPLE_DATA as SAMPLE

pytest.importorskip("torch", reason="the worker needs torch")

TOLERANCE_MM = 12.0
BETWEEN_FRAMES_MM = 3.0
LEAST_DICE = 0.7


def truth(stem: str, organ: str) -> np.ndarray:
    """Middle (LPS) of an organ's box in a sample CT."""
    from rprloc.targets.loading import load_targets

    targets = load_targets(SAMPLE / f"{stem}.labels.nii.gz", SAMPLE / "label_ids.json")
    return next(target.box.center for target in targets if target.name == organ)


@pytest.fixture
def real(host, loadModule) -> PanelDriver:
    """The panel as a user has it."""
    return PanelDriver(host, loadModule("RPRLocalization"), None)


def workerProcess(bench: PanelDriver) -> int:
    """Process ID of the worker."""
    return bench.logic.worker.client._link._process.processId()


def search(bench: PanelDriver) -> None:
    bench.click(bench.ui.runButton)
    bench.host.waitFor(lambda: not bench.logic.running, seconds=120)
    bench.host.processEvents()


def useTemplate(bench: PanelDriver) -> None:
    bench.ui.templateRadio.click()
    bench.host.processEvents()
    bench.click(bench.ui.allButton)


@pytest.mark.mainwindow
def test_clickedLandmarkIsFoundInTheQueryWhileTheApplicationResponds(real):
    loadSample(REFERENCE)
    loadSample(QUERY)
    window = Window(real.host, (1200, 900))
    place = conversion.lpsToRas(truth("reference", "Larynx"))
    slicer.util.setSliceViewerLayers(background=slicer.util.getNode(REFERENCE), fit=True)
    real.click(real.ui.placeLandmarkButton)
    slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().JumpSliceByCentering(*place)
    window.renderNow()
    widget = window.slices["Red"].viewWidget()
    x, y = widget.view().xyOf(place)
    at = qt.QPoint(round(x), round(widget.height - 1 - y))
    QTest.mouseMove(widget, at)
    QTest.mouseClick(widget, qt.Qt.LeftButton, pos=at)
    real.host.processEvents()
    assert real.targets() == ["Landmark 1"] and not real.ui.placeLandmarkButton.checked
    placed = slicer.util.getNode("Landmarks").GetNthControlPointPositionWorld(0)
    assert np.linalg.norm(np.subtract(placed, place)) < BETWEEN_FRAMES_MM
    real.click(real.ui.allButton)
    ticks = []
    timer = qt.QTimer()
    timer.setInterval(20)
    timer.connect("timeout()", lambda: ticks.append(real.logic.running))
    timer.start()
    search(real)
    timer.stop()
    assert sum(ticks) > 20, "the event loop went on during the run"
    (row,) = real.run.rows
    assert (
        row.status == "ok" and np.linalg.norm(row.center - truth("query", "Larynx")) < TOLERANCE_MM
    )
    shown = slicer.util.arrayFromMarkupsControlPoints(real.run.result(0))[0]
    assert np.allclose(conversion.rasToLps(shown), row.center)
    real.host.mainWindow.takeCentralWidget().deleteLater()
    real.host.mainWindow.menuBar().clear()
    real.host.mainWindow.hide()


def test_twoRunsShareAWorkerAndAKilledOneIsReplaced(real):
    (query,) = loadSample(QUERY)
    useTemplate(real)
    search(real)
    assert len(real.cells(STATUS)) == 7 and "✗ failed" not in real.cells(STATUS)
    for row in real.run.rows:
        assert np.linalg.norm(row.center - truth("query", row.target)) < TOLERANCE_MM, row.target
    process = workerProcess(real)
    search(real)
    assert workerProcess(real) == process
    for number in range(2):
        copyOf(query, f"copy {number}")
    real.host.processEvents()
    real.click(real.ui.allButton)
    real.click(real.ui.runButton)
    # On the first rows, not by looking now and then: two queries can be done between two looks.
    job = real.logic.job
    take, killed = job._onRows, []

    def killAfterTheFirst(query, rows) -> None:
        take(query, rows)
        if not killed:
            killed.append(query)
            os.kill(process, signal.SIGKILL)

    job._onRows = killAfterTheFirst
    real.host.waitFor(lambda: not real.logic.running, seconds=120)
    real.host.processEvents()
    statuses = real.cells(STATUS)
    assert len(statuses) == 15 and statuses.count("✗ failed") == 1, (
        "the killed query says so, nothing is lost"
    )
    assert "started again" in real.ui.logEdit.toPlainText() and workerProcess(real) != process
    real.click(real.ui.noneButton)
    real.tick(0)
    search(real)
    assert len(real.cells(STATUS)) == 7 and "✗ failed" not in real.cells(STATUS)


def test_tickedContoursAreSegmentsOnTheQuery(real):
    _, organs = loadSample(REFERENCE)
    (query,) = loadSample(QUERY)
    real.take(organs)
    real.click(real.ui.allButton)
    real.ui.contoursCheckBox.click()
    real.ui.transformsCheckBox.click()
    search(real)
    assert len(real.run.rows) == 7 and "✗ failed" not in real.cells(STATUS)
    kinds = {node.GetClassName(): node for node in real.run.otherNodes()}
    assert set(kinds) == {"vtkMRMLSegmentationNode", "vtkMRMLTransformNode"}
    segmentation = kinds["vtkMRMLSegmentationNode"].GetSegmentation()
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    found = {segment.GetName(): voxelsOn(query, segment) for segment in segments}
    assert found.keys() == queryMasks().keys()
    for organ, drawn in queryMasks().items():
        dice = 2 * (found[organ] & drawn).sum() / (found[organ].sum() + drawn.sum())
        assert dice > LEAST_DICE, (organ, dice)


def voxelsOn(volume, segment):
    """The mask (k, j, i) of a segment on the voxels of the volume whose part it is."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    image = segment.GetRepresentation(name)
    part = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    origin = slicer.util.arrayFromVTKMatrix(matrix)[:, 3]
    first = np.rint(np.linalg.inv(vtkArray(volume)) @ origin)[2::-1].astype(int)
    whole = np.zeros(slicer.util.arrayFromVolume(volume).shape, bool)
    where = (slice(at, at + size) for at, size in zip(first, part.shape, strict=True))
    whole[tuple(where)] = part > 0
    return whole


def queryMasks():
    """The drawn masks (k, j, i) of the sample's query, by organ."""
    from rprloc.targets.label_ids import read_label_ids
    from rprloc.targets.labelmap import read_label_map

    labels = read_label_map(SAMPLE / "query.labels.nii.gz")
    ids = read_label_ids(SAMPLE / "label_ids.json")
    return {organ: labels.mask(number) for organ, number in ids.items()}


@pytest.fixture
def logic(host):
    logic = RPRLocalizationLogic()
    yield logic
    logic.close()


def test_scriptFindsTheSameUnderTransformsAndInOtherVoxelOrders(logic):
    query = loadSample(QUERY)[0]
    organs = ["RightParotid", "Mandible"]
    content = logic.library.content(logic.library.find("bundled/han-ct-organs"))
    content["targets"] = [target for target in content["targets"] if target["name"] in organs]
    moved, bent, flipped = (copyOf(query, name) for name in ("moved", "bent", "flipped"))
    shift = np.array([40.0, -25.0, 60.0])
    linear = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    linear.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(translation(shift)))
    moved.SetAndObserveTransformNodeID(linear.GetID())
    bent.SetAndObserveTransformNodeID(gridTransform(query, shift).GetID())
    flip(flipped)
    run = logic.localize(template=content, queries=[query, moved, bent, flipped])
    rows = {(row.query, row.target): row for row in run.rows}
    assert not [(row.query, row.target, row.reason) for row in run.rows if row.status != "ok"]
    for organ in organs:
        plain = np.array(rows[QUERY, organ].center)
        assert np.linalg.norm(plain - truth("query", organ)) < TOLERANCE_MM
        for name, expected in (
            ("moved", plain + conversion.rasToLps(shift)),
            ("bent", plain + conversion.rasToLps(shift)),
            ("flipped", plain),
        ):
            assert np.linalg.norm(rows[name, organ].center - expected) < BETWEEN_FRAMES_MM, (
                name,
                organ,
            )


def copyOf(volume, name):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.CopyOrientation(volume)
    node.SetAndObserveImageData(volume.GetImageData())
    return node


def translation(shift):
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return matrix


def gridTransform(volume, shift):
    """A non-linear transform node (a displacement grid) that moves everything by ``shift``."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    grid = slicer.vtkOrientedGridTransform()
    field = vtk.vtkImageData()
    size, spacing = 6, (bounds[1::2] - bounds[::2] + 200.0) / 5.0
    field.SetDimensions(size, size, size)
    field.SetOrigin(bounds[::2] - 100.0)
    field.SetSpacing(spacing)
    field.GetPointData().SetScalars(numpy_to_vtk(np.tile(shift, (size**3, 1)), deep=True))
    grid.SetDisplacementGridData(field)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    node.SetAndObserveTransformToParent(grid)
    assert not node.IsTransformToWorldLinear()
    return node


def flip(node):
    """Store the same volume with its first and third voxel axes exchanged, and one turned round."""
    array = slicer.util.arrayFromVolume(node)
    matrix = vtkArray(node)
    turned = array.transpose(2, 1, 0)[:, ::-1].copy()
    # The copy shares its voxels with the original, which must stay as it is.
    node.SetAndObserveImageData(None)
    order = np.zeros((4, 4))
    order[[2, 0, 3], [0, 2, 3]] = 1.0
    order[1, 1], order[1, 3] = -1.0, array.shape[1] - 1
    slicer.util.updateVolumeFromArray(node, turned)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix @ order))


def vtkArray(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
