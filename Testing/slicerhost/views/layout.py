"""``slicer.app.layoutManager()``: the slice views and the 3D view of the conventional layout.

Other layouts can be chosen, but show the same views; one with a plot view has that as well.
Slice and composite nodes and their logics exist from the start, as in Slicer. What renders
(``views``) is made when it is first asked for, because most tests need no pictures.
"""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore
from PySide6.QtCore import Property, Signal

from ..qt.pythonqt import markAsCpp
from .plotview import PlotWidget

CONVENTIONAL = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
SLICES = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
COLORS = {
    "Red": (0.952, 0.290, 0.200),
    "Yellow": (0.929, 0.835, 0.298),
    "Green": (0.431, 0.690, 0.294),
}


class SliceWidget:
    """One slice view: its nodes and logic, and the view itself on demand."""

    def __init__(self, name: str, mrmlScene: Any, applicationLogic: Any) -> None:
        self.name, self._scene, self._application = name, mrmlScene, applicationLogic
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        applicationLogic.GetSliceLogics().AddItem(self._logic)
        self._logic.SetMRMLScene(mrmlScene)
        self._logic.AddSliceNode(name)
        self.reset()
        self._view: Any = None

    def reset(self) -> None:
        """Give the slice node the orientation, color and label of the layout."""
        node = self._logic.GetSliceNode()
        node.SetOrientation(SLICES[self.name])
        node.SetLayoutColor(*COLORS[self.name])
        node.SetLayoutLabel(self.name[0])

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def sliceView(self) -> Any:
        if self._view is None:
            from .views import SliceView

            self._view = SliceView(self._logic, self._scene)
        return self._view

    def hasView(self) -> bool:
        return self._view is not None


class ThreeDWidget:
    """The 3D view: its node and logic, and the view itself on demand."""

    def __init__(self, mrmlScene: Any, applicationLogic: Any) -> None:
        self._scene = mrmlScene
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        applicationLogic.GetViewLogics().AddItem(self._logic)
        self._logic.SetMRMLScene(mrmlScene)
        self._node = self._logic.AddViewNode("1")
        # Slicer fits the box to the scene in its Qt widget; here it would stay around the origin.
        self._node.SetBoxVisible(False)
        self._node.SetAxisLabelsVisible(False)
        self._view: Any = None

    def mrmlViewNode(self) -> Any:
        return self._node

    def viewLogic(self) -> Any:
        return self._logic

    def threeDView(self) -> Any:
        if self._view is None:
            from .views import ThreeDView

            self._view = ThreeDView(self._node, self._scene)
        return self._view

    def hasView(self) -> bool:
        return self._view is not None


@markAsCpp
class LayoutManager(QtCore.QObject):
    """The views of the conventional layout, and the number of the layout."""

    layoutChanged = Signal(int)
    _slices: Any = None
    _threeD: Any = None
    _plot: Any = None
    _application: Any = None
    _node: Any = None
    _layout: int = CONVENTIONAL

    def __init__(self, mrmlScene: Any, applicationLogic: Any) -> None:
        super().__init__()
        self._application = applicationLogic
        self._slices = {name: SliceWidget(name, mrmlScene, applicationLogic) for name in SLICES}
        self._threeD = ThreeDWidget(mrmlScene, applicationLogic)
        self._plot = PlotWidget(mrmlScene)
        self._node = slicer.vtkMRMLLayoutNode()
        self._node.SetSingletonTag("vtkMRMLLayoutNode")
        mrmlScene.AddNode(self._node)
        self._addLayouts()
        self._node.AddObserver("ModifiedEvent", lambda *_: self._onNode())
        # Closing the scene resets the singleton nodes; Slicer then applies the layout again.
        mrmlScene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, lambda *_: self._reset())

    def _reset(self) -> None:
        for widget in self._slices.values():
            widget.reset()

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._slices)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._slices.get(name)

    def threeDWidget(self, index: int) -> ThreeDWidget | None:
        return self._threeD if index == 0 else None

    def mrmlSliceLogics(self) -> Any:
        return self._application.GetSliceLogics()

    def resetSliceViews(self) -> None:
        for widget in self._slices.values():
            widget.sliceLogic().FitSliceToAll()

    def resetThreeDViews(self) -> None:
        self._threeD.threeDView().resetFocalPoint()

    def _addLayouts(self) -> None:
        """The node refuses layouts without a description; their content does not matter here."""
        cls = slicer.vtkMRMLLayoutNode
        for layout in {
            v
            for name, v in vars(cls).items()
            if name.startswith("SlicerLayout") and isinstance(v, int)
        }:
            self._node.AddLayoutDescription(layout, f"<layout{layout}/>")
        self._node.SetViewArrangement(CONVENTIONAL)

    def _onNode(self) -> None:
        layout = self._node.GetViewArrangement()
        if layout != self._layout:
            self._layout = layout
            self.layoutChanged.emit(layout)

    def setLayout(self, layout: int) -> None:
        self._node.SetViewArrangement(int(layout))

    def plotWidget(self, index: int) -> PlotWidget | None:
        return self._plot if index < self.plotViewCount else None

    def _plotViewCount(self) -> int:
        return int(slicer.vtkSlicerPlotsLogic.GetLayoutWithPlot(self._layout) == self._layout)

    threeDViewCount = Property(int, lambda self: 1)
    tableViewCount = Property(int, lambda self: 0)
    plotViewCount = Property(int, _plotViewCount)
    layout = Property(int, lambda self: self._layout, setLayout)
