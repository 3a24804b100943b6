"""Slice and 3D views: Slicer's displayable managers and interactor styles, rendered offscreen.

A view renders into memory (EGL on Linux); ``picture()`` gives what a screen would show, and
``viewwidget`` puts it into a Qt widget. Mouse events go to the real interactor, so markups are
placed and dragged by Slicer's own code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from PySide6 import QtGui
from vtk.util.numpy_support import vtk_to_numpy

from .rendering import checkRendering

SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)
SIZE = (400, 400)
CORNER_FONT_SIZE = 14


class View:
    """What both kinds of views share: window, interactor and displayable managers.

    Raises RenderingUnavailable where VTK cannot render.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        checkRendering()
        self.renderer = vtk.vtkRenderer()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.ShowWindowOff()
        self.window.SetMultiSamples(0)
        self.window.AddRenderer(self.renderer)
        self.window.SetSize(*size)
        self.rendererInteractor = vtk.vtkRenderWindowInteractor()
        self.rendererInteractor.SetRenderWindow(self.window)
        self.rendererInteractor.Initialize()
        self.group: Any = None

    def _manage(self, factory: Any, names: tuple[str, ...], node: Any) -> None:
        for name in names:
            if hasattr(slicer, name) and not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)
        self.group.SetMRMLDisplayableNode(node)

    def renderWindow(self) -> Any:
        return self.window

    def interactor(self) -> Any:
        return self.rendererInteractor

    def displayableManagerByClassName(self, name: str) -> Any:
        return self.group.GetDisplayableManagerByClassName(name)

    def resize(self, width: int, height: int) -> None:
        self.window.SetSize(width, height)

    def forceRender(self) -> None:
        self.window.Render()

    scheduleRender = forceRender

    def picture(self) -> np.ndarray:
        """The rendered view: (height, width, 3) uint8, first row on top."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
        return np.ascontiguousarray(pixels[::-1, :, :3])

    def image(self) -> QtGui.QImage:
        """The rendered view as a Qt image."""
        pixels = self.picture()
        height, width, _ = pixels.shape
        return QtGui.QImage(
            pixels.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888
        ).copy()

    # the mouse; x and y count from the lower left corner, as in VTK

    def mouse(
        self, x: float, y: float, *events: str, shift: bool = False, control: bool = False
    ) -> None:
        """Send events, such as "MouseMoveEvent", to the interactor at this position."""
        self.rendererInteractor.SetEventInformation(
            int(x), int(y), int(control), int(shift), chr(0), 0, None
        )
        for event in events:
            self.rendererInteractor.InvokeEvent(event)

    def click(self, x: float, y: float) -> None:
        """Move to a position and press and release the left button there."""
        self.mouse(
            x, y, "EnterEvent", "MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent"
        )

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 10) -> None:
        """Drag with the left button."""
        self.mouse(*start, "EnterEvent", "MouseMoveEvent", "LeftButtonPressEvent")
        for step in range(1, steps + 1):
            at = [a + (b - a) * step / steps for a, b in zip(start, end, strict=True)]
            self.mouse(at[0], at[1], "MouseMoveEvent")
        self.mouse(*end, "LeftButtonReleaseEvent")


class SliceView(View):
    """A slice view: the blended slice, what displayable managers draw over it, a corner text."""

    def __init__(self, logic: Any, scene: Any, size: tuple[int, int] = SIZE) -> None:
        super().__init__(size)
        self.logic, self._scene = logic, scene
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._addOverlay()
        self._manage(
            slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(),
            SLICE_MANAGERS,
            logic.GetSliceNode(),
        )
        self._addImage()
        self._addCorner()
        self.style = slicer.vtkMRMLSliceViewInteractorStyle()
        self.style.SetSliceLogic(logic)
        self.style.SetDisplayableManagers(self.group)
        self.rendererInteractor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self.style.SetInteractor(self.rendererInteractor)
        self.resize(*size)

    def _addOverlay(self) -> None:
        """Markups in front of the slice are drawn in a second layer."""
        self.overlay = vtk.vtkRenderer()
        self.overlay.GetActiveCamera().ParallelProjectionOn()
        self.overlay.SetLayer(1)
        self.window.SetNumberOfLayers(2)
        self.window.AddRenderer(self.overlay)
        self.window.SetAlphaBitPlanes(1)

    def _addImage(self) -> None:
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self.logic.GetImageDataConnection())
        self.imageActor = vtk.vtkActor2D()
        self.imageActor.SetMapper(mapper)
        self.imageActor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self.imageActor)
        self._mapper = mapper

    def _addCorner(self) -> None:
        self.corner = vtk.vtkTextActor()
        self.corner.GetTextProperty().SetFontSize(CORNER_FONT_SIZE)
        self.corner.SetPosition(5, 5)
        self.overlay.AddViewProp(self.corner)

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self.logic.ResizeSliceNode(width, height)

    def picture(self) -> np.ndarray:
        self.forceRender()
        return super().picture()

    def forceRender(self) -> None:
        connection = self.logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self.imageActor.SetVisibility(connection is not None)
        background = self._scene.GetNodeByID(
            self.logic.GetSliceCompositeNode().GetBackgroundVolumeID() or ""
        )
        node = self.logic.GetSliceNode()
        name = f"{background.GetName()}\n" if background else ""
        self.corner.SetInput(f"{name}{node.GetOrientation()} {self.logic.GetSliceOffset():.1f} mm")
        super().forceRender()

    scheduleRender = forceRender

    def xyOf(self, ras: Any) -> tuple[float, float]:
        """Position in the view (pixels) of a point of the scene (RAS mm).

        To be clicked, the slice must go through it.
        """
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.logic.GetSliceNode().GetXYToRAS(), inverse)
        x, y, *_ = inverse.MultiplyPoint((*ras, 1.0))
        return x, y


class ThreeDView(View):
    """The 3D view, with volume rendering."""

    def __init__(self, node: Any, scene: Any, size: tuple[int, int] = SIZE) -> None:
        super().__init__(size)
        self._scene = scene
        names = THREE_D_MANAGERS
        if hasattr(slicer, "vtkMRMLVolumeRenderingDisplayableManager"):
            names = ("vtkMRMLVolumeRenderingDisplayableManager", *names)
        self._manage(slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), names, node)
        self.style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self.style.SetDisplayableManagers(self.group)
        self.rendererInteractor.SetInteractorStyle(vtk.vtkInteractorStyle3D())
        self.style.SetInteractor(self.rendererInteractor)

    def resetFocalPoint(self) -> None:
        """Look at everything that is shown."""
        self.forceRender()
        self.renderer.ResetCamera()
