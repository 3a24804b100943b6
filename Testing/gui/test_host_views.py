"""The host's slice views: real rendering, real clicks, Slicer's own markups code."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

SPACING = 2.0


@pytest.fixture
def volume(host):
    """A bright block in a dark cube, 80 mm wide, shown in all slice views."""
    array = np.full((40, 40, 40), -1000, np.int16)
    array[10:20, 15:25, 5:20] = 400
    matrix = np.diag([SPACING, SPACING, SPACING, 1.0])
    matrix[:3, 3] = -40
    node = slicer.util.addVolumeFromArray(array, matrix, "block")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(1400, -300)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def view(name):
    return slicer.app.layoutManager().sliceWidget(name).sliceView()


def jumpTo(ras):
    slicer.vtkMRMLSliceNode.JumpAllSlices(
        slicer.mrmlScene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice
    )


def startPlacing(node):
    """As qSlicerMarkupsPlaceWidget does.

    Markups logic's StartPlaceMode would place a new fiducial node for a box.
    """
    slicer.modules.markups.logic().SetActiveList(node)
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetPlaceModePersistence(0)
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)


def positions(node):
    return slicer.util.arrayFromMarkupsControlPoints(node)


@pytest.mark.parametrize("name", ["Red", "Yellow", "Green"])
def test_sliceViewShowsTheVolume(host, volume, name):
    inside, outside = (-40 + 12 * SPACING, -40 + 20 * SPACING, -40 + 15 * SPACING), (30, 30, -12)
    assert slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetOrientation() in (
        "Axial",
        "Sagittal",
        "Coronal",
    )
    shown = view(name)
    gray = {}
    for ras in (inside, outside):
        jumpTo(ras)
        picture = shown.picture()
        x, y = shown.xyOf(ras)
        gray[ras] = picture[picture.shape[0] - 1 - round(y), round(x)].mean()
    assert gray[inside] > 200 and gray[outside] < 60


@pytest.mark.parametrize("name", ["Red", "Yellow", "Green"])
def test_aClickPlacesAPoint(host, volume, name):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.CreateDefaultDisplayNodes()
    target = np.array([-12.0, 4.0, 8.0])
    jumpTo(target)
    shown = view(name)
    shown.picture()
    startPlacing(node)
    shown.click(*shown.xyOf(target))
    assert node.GetNumberOfDefinedControlPoints() == 1
    np.testing.assert_allclose(positions(node)[0], target, atol=0.5)
    mode = slicer.app.applicationLogic().GetInteractionNode().GetCurrentInteractionMode()
    assert mode == slicer.vtkMRMLInteractionNode.ViewTransform


def test_thePlaceWidgetPlacesAndTells(host, volume):
    widget, changes = slicer.qSlicerMarkupsPlaceWidget(), []
    widget.setMRMLScene(slicer.mrmlScene)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.CreateDefaultDisplayNodes()
    widget.setCurrentNode(node)
    widget.connect("activeMarkupsPlaceModeChanged(bool)", changes.append)
    shown = view("Red")
    shown.picture()
    widget.placeButton().click()
    assert widget.placeModeEnabled and changes == [True]
    shown.click(200, 200)
    assert node.GetNumberOfDefinedControlPoints() == 1
    assert (
        not widget.placeModeEnabled
        and changes == [True, False]
        and not widget.placeButton().checked
    )


def test_twoClicksPlaceABox(host, volume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    node.CreateDefaultDisplayNodes()
    jumpTo((0, 0, 0))
    shown = view("Red")
    shown.picture()
    startPlacing(node)
    corners = np.array([[-20.0, -10.0, 0.0], [10.0, 20.0, 0.0]])
    for corner in corners:
        shown.click(*shown.xyOf(corner))
    np.testing.assert_allclose(node.GetCenter(), corners.mean(axis=0), atol=1)
    np.testing.assert_allclose(np.array(node.GetSize())[:2], [30, 30], atol=1)


def test_aPointIsDragged(host, volume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.CreateDefaultDisplayNodes()
    node.AddControlPoint(0, 0, 0)
    jumpTo((0, 0, 0))
    shown = view("Red")
    shown.picture()
    shown.drag(shown.xyOf((0, 0, 0)), shown.xyOf((15, -10, 0)))
    np.testing.assert_allclose(positions(node)[0], [15, -10, 0], atol=0.5)
    assert node.GetNumberOfControlPoints() == 1


def test_markupsAreDrawn(host, volume):
    shown = view("Red")
    jumpTo((0, 0, 0))
    before = shown.picture()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSelectedColor(0, 1, 0)
    node.AddControlPoint(0, 0, 0, "P")
    after = shown.picture()
    green = (after[..., 1] > 150) & (after[..., 0] < 100) & (after[..., 2] < 100)
    assert (before != after).any() and green.any()


def test_viewsSurviveClosingTheScene(host, volume):
    shown = view("Red")
    shown.picture()
    slicer.mrmlScene.Clear(0)
    assert shown.picture().max() < 256
    names = slicer.app.layoutManager().sliceViewNames()
    assert set(names) == {"Red", "Yellow", "Green"}
    assert all(
        slicer.app.layoutManager().sliceWidget(name).sliceLogic().GetSliceNode() for name in names
    )
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode") == 3


def test_threeDViewRendersABox(host):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    node.CreateDefaultDisplayNodes()
    node.SetCenter(0, 0, 0)
    node.SetSize(40, 40, 40)
    shown = slicer.app.layoutManager().threeDWidget(0).threeDView()
    shown.resetFocalPoint()
    assert shown.picture().std() > 1
