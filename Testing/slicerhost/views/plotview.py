"""The plot view: the chart of its view node, drawn by VTK's charts as in Slicer's plot view."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .views import View

BACKGROUND = (1.0, 0.99, 0.965)
LINES = {"none": vtk.vtkPen.NO_PEN, "solid": vtk.vtkPen.SOLID_LINE, "dash": vtk.vtkPen.DASH_LINE}
LINES |= {"dot": vtk.vtkPen.DOT_LINE, "dash-dot": vtk.vtkPen.DASH_DOT_LINE}
MARKERS = {
    "none": vtk.vtkPlotPoints.NONE,
    "circle": vtk.vtkPlotPoints.CIRCLE,
    "square": vtk.vtkPlotPoints.SQUARE,
}
SIZE = (600, 400)


class PlotView(View):
    """Line plots of a chart node's series, with titles and a legend; read anew at every rendering.

    ``group`` reports changes of the chart (which follows its tables), as the displayable managers
    of other views do.
    """

    def __init__(self, node: Any, scene: Any, size: tuple[int, int] = SIZE) -> None:
        super().__init__(size)
        self._node, self._scene = node, scene
        self.renderer.SetBackground(*BACKGROUND)
        self._actor = vtk.vtkContextActor()
        self.renderer.AddActor(self._actor)
        self.group = vtk.vtkObject()
        self._followed: tuple[Any, int] | None = None
        self._follow()
        node.AddObserver("ModifiedEvent", lambda *_: self._follow())

    def _follow(self) -> None:
        """Follow the chart that is shown now."""
        if self._followed is not None:
            self._followed[0].RemoveObserver(self._followed[1])
        chart, changed = self._chartNode(), lambda *_: self.group.InvokeEvent("UpdateEvent")
        self._followed = (
            (chart, chart.AddObserver("ModifiedEvent", changed)) if chart is not None else None
        )
        changed()

    def _chartNode(self) -> Any:
        return self._scene.GetNodeByID(self._node.GetPlotChartNodeID() or "")

    def mrmlPlotViewNode(self) -> Any:
        return self._node

    def chart(self) -> Any:
        """A vtkChartXY of the present chart node; empty if there is none."""
        drawn = vtk.vtkChartXY()
        node = self._chartNode()
        if node is None:
            return drawn

        drawn.SetTitle(node.GetTitle() or "")
        drawn.GetTitleProperties().SetFontSize(node.GetTitleFontSize())
        drawn.SetShowLegend(node.GetLegendVisibility())
        drawn.GetLegend().SetLabelSize(node.GetLegendFontSize())
        for place, name in ((vtk.vtkAxis.BOTTOM, "X"), (vtk.vtkAxis.LEFT, "Y")):
            self._setAxis(drawn.GetAxis(place), node, name)
        for index in range(node.GetNumberOfPlotSeriesNodes()):
            self._addPlot(drawn, node.GetNthPlotSeriesNode(index))
        return drawn

    @staticmethod
    def _setAxis(axis: Any, node: Any, name: str) -> None:
        """Give an axis the chart node's title, fonts and, unless it follows the data, range."""
        axis.SetTitle(getattr(node, f"Get{name}AxisTitle")() or "")
        axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
        axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())
        if not getattr(node, f"Get{name}AxisRangeAuto")():
            axis.SetRange(*getattr(node, f"Get{name}AxisRange")())
            axis.SetBehavior(vtk.vtkAxis.FIXED)

    @staticmethod
    def _addPlot(drawn: Any, series: Any) -> None:
        table = series.GetTableNode().GetTable() if series.GetTableNode() else None
        columns = (series.GetXColumnName(), series.GetYColumnName())
        if table is None or any(table.GetColumnByName(name) is None for name in columns):
            raise ValueError(
                f"the plot series {series.GetName()!r} has no such table or columns: {columns}"
            )
        if not table.GetNumberOfRows():
            return
        plot = drawn.AddPlot(vtk.vtkChart.LINE)
        plot.SetInputData(table, *columns)
        plot.SetColorF(*series.GetColor())
        plot.SetWidth(series.GetLineWidth())
        plot.SetLabel(series.GetName())
        plot.SetMarkerStyle(MARKERS[series.GetMarkerStyleAsString(series.GetMarkerStyle())])
        plot.SetMarkerSize(series.GetMarkerSize())
        plot.GetPen().SetLineType(LINES[series.GetLineStyleAsString(series.GetLineStyle())])

    def forceRender(self) -> None:
        self._actor.GetScene().ClearItems()
        self._actor.GetScene().AddItem(self.chart())
        super().forceRender()

    scheduleRender = forceRender

    def picture(self) -> Any:
        self.forceRender()
        return super().picture()


class PlotWidget:
    """One plot view: its node, and the view itself on demand."""

    def __init__(self, mrmlScene: Any) -> None:
        self._scene, self._view = mrmlScene, None
        self._node = slicer.vtkMRMLPlotViewNode()
        self._node.SetName("PlotView1")
        self._node.SetSingletonTag("PlotView1")
        mrmlScene.AddNode(self._node)

    def mrmlPlotViewNode(self) -> Any:
        return self._node

    def plotView(self) -> Any:
        if self._view is None:
            self._view = PlotView(self._node, self._scene)
        return self._view
