"""The real window: the module panel, four real views, and a menu to load and save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from ..views.viewwidget import SlicePanel, ViewWidget

SIZE = (1400, 900)
# (HU, opacity): faint skin, so that what lies in the body is seen through it; opaque bone.
OPACITY = ((-1000, 0.0), (-500, 0.0), (-300, 0.13), (0, 0.0), (130, 0.0), (300, 0.65), (1000, 0.95))
# (HU, red, green, blue): skin, and ivory bone.
COLORS = ((-1000, 0.0, 0.0, 0.0), (-300, 0.93, 0.74, 0.62), (130, 0.85, 0.62, 0.5))
COLORS += ((300, 0.93, 0.88, 0.76), (1000, 1.0, 0.99, 0.94))
# (HU per mm, factor): only surfaces, because within a tissue the noise would show.
GRADIENT_OPACITY = ((0, 0.0), (15, 0.1), (60, 1.0))
CT_WINDOW, CT_LEVEL = 400, 40


class Window:
    """Fills the main window with the views of Slicer's Four-Up layout: Red, 3D, Yellow, Green."""

    def __init__(self, host: Any, size: tuple[int, int] = SIZE) -> None:
        self.host = host
        manager = slicer.app.layoutManager()
        self.slices = {
            name: SlicePanel(manager.sliceWidget(name)) for name in manager.sliceViewNames()
        }
        self.threeD = ViewWidget(manager.threeDWidget(0).threeDView())
        views = QtWidgets.QWidget()
        grid = QtWidgets.QGridLayout(views)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        for index, widget in enumerate(
            (self.slices["Red"], self.threeD, self.slices["Yellow"], self.slices["Green"])
        ):
            grid.addWidget(widget, index // 2, index % 2)
            grid.setRowStretch(index // 2, 1)
            grid.setColumnStretch(index % 2, 1)
        self._views, self._plot = views, None
        manager.connect("layoutChanged(int)", self._onLayout)
        views.destroyed.connect(lambda: manager.disconnect("layoutChanged(int)", self._onLayout))
        self._onLayout()
        self.main = host.mainWindow
        self.main.setCentralWidget(views)
        self._addMenu()
        self.main.resize(*size)
        self.main.show()
        host.processEvents()

    def _onLayout(self) -> None:
        """Show a plot view, where the layout has one, instead of the sagittal view or of all."""
        manager = slicer.app.layoutManager()
        plotWidget = manager.plotWidget(0)
        if plotWidget is not None and self._plot is None:
            self._plot = ViewWidget(plotWidget.plotView())
            self._views.layout().addWidget(self._plot, 1, 0)
        if self._plot is None:
            return

        plotOnly = manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpPlotView
        self._plot.setVisible(plotWidget is not None)
        self.slices["Yellow"].setVisible(plotWidget is None)
        for view in (self.slices["Red"], self.slices["Green"], self.threeD):
            view.setVisible(not plotOnly)
        # A hidden view keeps its share of the grid until its row and column stretch no more.
        self._views.layout().setRowStretch(0, int(not plotOnly))
        self._views.layout().setColumnStretch(1, int(not plotOnly))

    def _addMenu(self) -> None:
        menu = self.main.menuBar().addMenu("File")
        for text, action in (
            ("Add volume...", self._addVolume),
            ("Open scene...", self._open),
            ("Save scene...", self._save),
        ):
            menu.addAction(text).triggered.connect(lambda _checked=False, action=action: action())
        modules = self.main.menuBar().addMenu("Modules")
        for name in slicer.app.moduleManager().modulesNames():
            entry = modules.addAction(slicer.app.moduleManager().module(name).title or name)
            entry.triggered.connect(lambda _checked=False, name=name: self.host.selectModule(name))

    def _addVolume(self) -> None:
        path = QtWidgets.QFileDialog.getOpenFileName(self.main, "Add volume")
        if path:
            self.addVolume(path)

    def _open(self) -> None:
        path = QtWidgets.QFileDialog.getOpenFileName(
            self.main, "Open scene", "", "Scenes (*.mrb *.mrml)"
        )
        if path:
            slicer.util.loadScene(path)

    def _save(self) -> None:
        path = QtWidgets.QFileDialog.getSaveFileName(self.main, "Save scene", "", "Scenes (*.mrb)")
        if path:
            slicer.util.saveScene(path)

    def addVolume(self, path: Any) -> Any:
        """Load a volume from any file that Slicer reads, and show it in a CT window."""
        volume = slicer.util.loadVolume(str(path))
        display = volume.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(CT_WINDOW, CT_LEVEL)
        self.show(volume)
        return volume

    def show(self, volume: Any) -> None:
        """Show a volume in the slice views."""
        # The views may not have their final size yet, and fitting depends on it.
        self.host.processEvents()
        slicer.util.setSliceViewerLayers(background=volume, fit=True)

    def renderVolume(self, volume: Any) -> None:
        """Show a CT in the 3D view by volume rendering."""
        logic = self.host.scene.logics["VolumeRendering"]
        display = logic.CreateDefaultVolumeRenderingNodes(volume)
        shown = display.GetVolumePropertyNode().GetVolumeProperty()
        for function, points in (
            (shown.GetScalarOpacity(), OPACITY),
            (shown.GetGradientOpacity(), GRADIENT_OPACITY),
        ):
            function.RemoveAllPoints()
            for point in points:
                function.AddPoint(*point)
        shown.GetRGBTransferFunction().RemoveAllPoints()
        for color in COLORS:
            shown.GetRGBTransferFunction().AddRGBPoint(*color)
        shown.ShadeOn()
        shown.SetAmbient(0.25)
        shown.SetDiffuse(0.8)
        shown.SetSpecular(0.15)
        display.SetVisibility(True)
        self.lookAt()

    def lookAt(
        self,
        azimuth: float = 20.0,
        elevation: float = 10.0,
        bounds: tuple[float, ...] | None = None,
    ) -> None:
        """Look at the 3D view from the front (degrees to the side and up).

        bounds: what to fit into the view (world RAS mm: xmin, xmax, ymin, ...); all by default.
        """
        view = self.threeD.view()
        view.resetFocalPoint()
        camera = view.renderer.GetActiveCamera()
        center = camera.GetFocalPoint()
        # RAS: the patient's front is +A
        camera.SetPosition(center[0], center[1] + camera.GetDistance(), center[2])
        camera.SetViewUp(0, 0, 1)
        camera.Azimuth(azimuth)
        camera.Elevation(elevation)
        view.renderer.ResetCamera(*([bounds] if bounds else []))

    def renderNow(self) -> None:
        """Bring panel and views up to date."""
        self.host.processEvents()
        for panel in self.slices.values():
            panel.viewWidget().renderNow()
        self.threeD.renderNow()
        if self._plot is not None:
            self._plot.renderNow()
        self.host.processEvents()

    def screenshot(self, path: Path) -> None:
        """Save a picture of the whole window."""
        self.renderNow()
        self.host.screenshot(self.main, path)
