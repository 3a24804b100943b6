"""The training curves as Slicer's plot nodes: a table and a series per curve, and their chart."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

STEP, ERROR = "step", "error (mm)"
TRAINING, HELD_OUT, GUESS = "training", "held-out", "guess"
# Colours that colour-blind people can tell apart; line styles also where there is no colour.
COLORS = {"coarse": (0.0, 0.45, 0.70), "fine": (0.84, 0.37, 0.0)}
# What counts, the error on CTs that the network has not learnt from, is the strongest line.
LINES = {
    TRAINING: (slicer.vtkMRMLPlotSeriesNode.LineStyleDash, 1),
    HELD_OUT: (slicer.vtkMRMLPlotSeriesNode.LineStyleSolid, 2),
    GUESS: (slicer.vtkMRMLPlotSeriesNode.LineStyleDot, 2),
}
# Attribute of the nodes that were made here.
MARK = "RPRLoc.TrainingCurves"
MARKER_SIZE = 7
# The y axis ends this far above the largest error, and above the largest error of the curves that
# stay large: the legend, top right, covers none.
HEADROOM, LEGEND_ROOM = 1.05, 1.35
# VTK draws a line of fewer rows, marker included, but reports an error at every drawing.
LEAST_ROWS = 2


class Curves:
    """Keeps the figures as well: the scene may be closed while a training goes on.

    The nodes come back when they are asked for, or with the next figure.
    """

    def __init__(self) -> None:
        self.title = ""
        self._mark = uuid.uuid4().hex
        self.points: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self._series: dict[tuple[str, str], str] = {}
        self._chartId = ""

    def begin(self, title: str) -> None:
        """Forget the curves of the training before, and use its nodes again."""
        self.title, self.points = title, {}
        for series in filter(None, map(self._node, self._series.values())):
            for node in (self._node(series.GetTableNodeID()), series):
                if node is not None:
                    slicer.mrmlScene.RemoveNode(node)
        self._series = {}
        chart = self.chart()
        if chart is not None:
            chart.SetTitle(title)

    def take(self, event: dict[str, Any]) -> None:
        """Add the figures of a ``TrainingEvent`` (JSON) to their curves."""
        stage, step = str(event.get("stage", "")), float(event.get("step", 0))
        if event.get("pair_mm") is not None:
            self._add((stage, TRAINING), step, float(event["pair_mm"]))
        validation = event.get("validation") or {}
        for kind, key in ((HELD_OUT, "pair_mm"), (GUESS, "mean_offset_mm")):
            if validation.get(key) is not None:
                self._add((stage, kind), step, float(validation[key]))

    def chart(self) -> Any:
        """The chart node; None if there is none in the scene."""
        return self._node(self._chartId)

    def ensureChart(self) -> Any:
        """The chart node with all curves so far, made if need be."""
        for curve in self.points:
            self._seriesNode(curve)
        self._fitAxis()
        return self._chartNode()

    def _add(self, curve: tuple[str, str], step: float, error: float) -> None:
        self.points.setdefault(curve, []).append((step, error))
        if slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting():
            return

        hasSeries = self._node(self._series.get(curve, "")) is not None
        series = self._seriesNode(curve)
        self._fitAxis()
        if hasSeries:
            table = series.GetTableNode().GetTable()
            if len(self.points[curve]) == LEAST_ROWS:
                table.RemoveRow(LEAST_ROWS - 1)
            _append(table, step, error)
            # The table tells its node, that one the series, and the chart draws it.
            table.Modified()

    def _fitAxis(self) -> None:
        """From 0, because a cut axis makes small changes look large."""
        largest = {curve: max(error for _step, error in p) for curve, p in self.points.items()}
        top = max(largest.values(), default=0.0)
        if top <= 0:
            return
        # Training errors are large only at the left, away from the legend.
        lasting = [error for (_stage, kind), error in largest.items() if kind != TRAINING]
        chart = self._chartNode()
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(0.0, max(HEADROOM * top, LEGEND_ROOM * max(lasting, default=0.0)))

    def _node(self, nodeId: str | None) -> Any:
        """A node that was made here; after a scene was closed, another one may have its ID."""
        node = slicer.mrmlScene.GetNodeByID(nodeId) if nodeId else None
        return node if node is not None and node.GetAttribute(MARK) == self._mark else None

    def _new(self, className: str, name: str) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass(className, name)
        node.SetAttribute(MARK, self._mark)
        return node

    def _chartNode(self) -> Any:
        chart = self.chart()
        if chart is None:
            chart = self._new("vtkMRMLPlotChartNode", _("Training curves"))
            chart.SetTitle(self.title)
            chart.SetXAxisTitle(_("training step"))
            chart.SetYAxisTitle(_("mean error of point pairs (mm)"))
            self._chartId = chart.GetID()
        return chart

    def _seriesNode(self, curve: tuple[str, str]) -> Any:
        series = self._node(self._series.get(curve, ""))
        if series is not None:
            return series

        name = curveName(curve)
        table = self._new("vtkMRMLTableNode", _("Training: {curve}").format(curve=name))
        _fill(table, self.points[curve])

        series = self._new("vtkMRMLPlotSeriesNode", name)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(STEP)
        series.SetYColumnName(ERROR)
        series.SetPlotType(series.PlotTypeScatter)
        _style(series, *curve)

        self._series[curve] = series.GetID()
        self._chartNode().AddAndObservePlotSeriesNodeID(series.GetID())
        return series


def _style(series: Any, stage: str, kind: str) -> None:
    """Give a series the colour of its stage and the line of its kind."""
    # Validations are rare: each is marked, so that the line between two is not taken for data.
    series.SetMarkerStyle(series.MarkerStyleCircle if kind == HELD_OUT else series.MarkerStyleNone)
    series.SetMarkerSize(MARKER_SIZE)
    line, width = LINES[kind]
    series.SetLineStyle(line)
    series.SetLineWidth(width)
    series.SetColor(*COLORS.get(stage, (0.3, 0.3, 0.3)))


def curveName(curve: tuple[str, str]) -> str:
    """Text of the legend."""
    stage = {"coarse": _("coarse"), "fine": _("fine")}.get(curve[0], curve[0])
    kinds = {
        TRAINING: _("{stage}: training CTs"),
        HELD_OUT: _("{stage}: held-out CTs"),
        GUESS: _("{stage}: without a network (mean offset)"),
    }
    return kinds[curve[1]].format(stage=stage)


def _fill(tableNode: Any, points: list[tuple[float, float]]) -> None:
    table = tableNode.GetTable()
    for name in (STEP, ERROR):
        column = vtk.vtkFloatArray()
        column.SetName(name)
        table.AddColumn(column)
    # A curve's first point is there twice until the second comes.
    for point in points if len(points) >= LEAST_ROWS else points * LEAST_ROWS:
        _append(table, *point)
    table.Modified()


def _append(table: Any, step: float, error: float) -> None:
    for name, value in ((STEP, step), (ERROR, error)):
        table.GetColumnByName(name).InsertNextValue(value)


class CurveView:
    """Shows the chart and goes back to the user's layout.

    ``toggle`` is called when the user asks for it; nothing else ever changes the layout.
    """

    def __init__(self, curves: Curves, changed: Callable[[], None]) -> None:
        self._curves = curves
        self._changed = changed
        self._before: int | None = None
        self._plotLayout: int | None = None
        # None where the application runs without a main window.
        self._layouts = slicer.app.layoutManager()
        if self._layouts is not None:
            self._layouts.connect("layoutChanged(int)", self._onLayout)

    @property
    def unavailableReason(self) -> str:
        """Why no curve can be shown in this Slicer, for the user; empty if one can."""
        if self._layouts is None:
            return _("This Slicer runs without a main window, and so without views.")
        if not hasattr(slicer.modules, "plots"):
            return _("This Slicer has no Plots module.")
        return ""

    @property
    def shown(self) -> bool:
        """True while the layout is the one that ``toggle`` chose in place of the user's."""
        return self._before is not None

    def toggle(self) -> None:
        """Show the chart; called again, go back to the layout before.

        Where images are shown, they stay beside the chart. Without any, the chart has all the room
        instead of standing among black views.
        """
        manager = self._layouts
        if self.shown:
            before, self._before = self._before, None
            manager.setLayout(before)
            return

        before = manager.layout
        if not slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode"):
            manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpPlotView)
        slicer.modules.plots.logic().ShowChartInLayout(self._curves.ensureChart())
        self._plotLayout = manager.layout
        # A layout that has a plot view already is the user's own: there is nothing to go back to.
        self._before = before if self._plotLayout != before else None

    def cleanup(self) -> None:
        """The module is being unloaded."""
        if self._layouts is not None:
            self._layouts.disconnect("layoutChanged(int)", self._onLayout)

    def _onLayout(self, layout: int) -> None:
        """The user has chosen another layout: that one stays."""
        if self.shown and layout != self._plotLayout:
            self._before = None
            self._changed()
