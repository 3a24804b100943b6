"""What the module registers in Slicer, its sample data, and boxes placed by clicks in a view."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from RPRLocalizationLib.sampledata import (
    CATEGORY,
    QUERY,
    REFERENCE,
    TRUNK_QUERY,
    TRUNK_REFERENCE,
    registerSampleData,
)
from RPRLocalizationLib.scene.markedtargets import targetsOf


def test_titleAndCategoryAreForRadiologists(panel):
    module = slicer.modules.rprlocalization
    assert module.title == "One-Shot Localization" and tuple(module.categories) == ("Segmentation",)
    assert "nothing is uploaded" in module.helpText and "MICCAI 2021" in module.acknowledgementText
    assert not module.icon.isNull()


def test_samplesAreRegisteredOnceAndLoadFromTheExtension(panel):
    registerSampleData()
    sources = slicer.modules.sampleDataSources[CATEGORY]
    assert sorted(source.sampleName for source in sources) == sorted(
        [REFERENCE, QUERY, TRUNK_REFERENCE, TRUNK_QUERY]
    )
    for source in sources:
        # what the data set's button in the module Sample Data does
        source.customDownloader(source)
    panel.host.processEvents()
    assert panel.names() == [f"{REFERENCE} (reference)", QUERY, TRUNK_REFERENCE, TRUNK_QUERY]
    for name in (QUERY, TRUNK_QUERY):
        assert "Synthetic" in slicer.util.getNode(name).GetDescription()
    organs = targetsOf([slicer.util.getNode(f"{REFERENCE} organs")])
    assert {"Brainstem", "Mandible"} <= {target.name for target in organs} and len(organs) == 7
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0
    trunk = ("organs", "landmarks")
    marked = targetsOf([slicer.util.getNode(f"{TRUNK_REFERENCE} {kind}") for kind in trunk])
    assert {"Heart", "Spleen", "Carina", "KidneyLeft"} <= {target.name for target in marked}


@pytest.mark.mainwindow
def test_boxIsPlacedByTwoClicksAndDragged(panel):
    volume = panel.addVolume("CT")
    red = slicer.app.layoutManager().sliceWidget("Red")
    view = red.sliceView()
    panel.click(panel.ui.placeBoxButton)
    red.sliceLogic().FitSliceToBackground()
    view.forceRender()
    corners = [np.array([-15.0, -10.0, 0.0]), np.array([25.0, 20.0, 0.0])]
    red.mrmlSliceNode().JumpSliceByCentering(0.0, 0.0, 0.0)
    view.forceRender()
    for corner in corners:
        view.click(*view.xyOf(corner))
    panel.host.processEvents()
    (target,) = targetsOf(panel.parameters.targetNodes)
    size, center = np.array(target.node.GetSize()), np.array(target.node.GetCenter())
    assert np.allclose(size[:2], [40.0, 30.0], atol=2.0) and size[2] > 0
    assert np.allclose(center[:2], [5.0, 5.0], atol=2.0)
    assert not panel.ui.placeBoxButton.checked and panel.targets() == [target.name]
    assert panel.parameters.referenceVolume is volume


@pytest.mark.mainwindow
def test_severalLandmarksEachWithItsName(panel):
    panel.addVolume("CT")
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    for place in ([0.0, 0.0, 0.0], [20.0, 10.0, 0.0]):
        panel.click(panel.ui.placeLandmarkButton)
        view.forceRender()
        view.click(*view.xyOf(place))
        panel.host.processEvents()
    assert panel.targets() == ["Landmark 1", "Landmark 2"]


@pytest.mark.mainwindow
@pytest.mark.parametrize("button", ["placeLandmarkButton", "placeBoxButton"])
def test_placingShowsTheReferenceInTheViews(panel, button):
    reference = panel.addVolume("reference")
    slicer.util.setSliceViewerLayers(background=panel.addVolume("other"))
    panel.click(getattr(panel.ui, button))
    composite = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == reference.GetID()


def test_selfTestOfTheModule(panel, monkeypatch):
    """Without the networks: the real run is in test_rprlocalization_real.py."""
    from RPRLocalizationLib import selftest

    monkeypatch.setattr(selftest, "RPRLocalizationLogic", panel.widget.makeLogic)
    selftest.RPRLocalizationTest().runTest()
