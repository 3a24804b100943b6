"""Results in the scene: folders per run and query, an ROI per organ, a list of the landmarks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from rprloc.localization.status import FAILED, LOW_CONFIDENCE, OK, OUTSIDE

from . import conversion
from .markedtargets import RESULT_ATTRIBUTE
from .resultfolders import ResultFolders
from .resultrows import RUN_ATTRIBUTE, ResultRow, Run

# Okabe and Ito's palette: told apart with every kind of colour blindness. The table repeats the
# status as text.
STATUS_COLORS = {
    OK: (0.0, 0.62, 0.45),
    LOW_CONFIDENCE: (0.90, 0.62, 0.0),
    OUTSIDE: (0.34, 0.71, 0.91),
    FAILED: (0.84, 0.37, 0.0),
}
# The control points of a list that a run has placed (JSON): others in it are the user's.
POINTS_ATTRIBUTE = "RPRLoc.Points"


def statusText(status: str) -> str:
    """The status with its sign, for people: the sign and the word say the same as the colour."""
    return {
        OK: _("✓ ok"),
        LOW_CONFIDENCE: _("? low-confidence"),
        OUTSIDE: _("○ outside"),
        FAILED: _("✗ failed"),
    }.get(status, status)


def extremeLabels(target: str) -> list[str]:
    """Names of the six extreme points in the engine's order (LPS: Xmin is the patient's right)."""
    sides = [_("right"), _("front"), _("bottom"), _("left"), _("back"), _("top")]
    return [_("{target} {side}").format(target=target, side=side) for side in sides]


class ResultNodes:
    """Makes and removes the nodes of a run's rows in a scene."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._folders = ResultFolders(scene)

    def show(self, run: Run, indices: Iterable[int], extremePoints: bool) -> None:
        """Make the nodes of the rows (of one query) that have a position and no node yet."""
        shown = [n for n in indices if run.rows[n].found and run.result(n) is None]
        if not shown:
            return
        for index in (n for n in shown if run.rows[n].kind == "box"):
            self._showBox(run, index, extremePoints)
        landmarks = [n for n in shown if run.rows[n].kind == "landmark"]
        if landmarks:
            self._showLandmarks(run, landmarks)
        run.save()

    def remove(self, run: Run) -> None:
        """Remove what a run has put into the scene, and nothing else: nodes, folders, rows."""
        for node in run.resultNodes():
            self._removeResult(run, node)
        self._folders.remove(run)
        self._scene.RemoveNode(run.node)

    def _removeResult(self, run: Run, node: Any) -> None:
        """Remove a result's node, or, if the user has added points to it, only the run's points."""
        if not _isMadeBy(run, node):
            return
        if not node.IsA("vtkMRMLMarkupsNode"):
            self._removeNode(node)
            return
        own, points = _ownPoints(run, node), _pointIDs(node)
        if not own or set(points) <= own:
            self._removeNode(node)
            return
        for pointID in points:
            if pointID in own:
                node.RemoveNthControlPoint(node.GetNthControlPointIndexByID(pointID))
        for mark in (RESULT_ATTRIBUTE, RUN_ATTRIBUTE, POINTS_ATTRIBUTE):
            node.RemoveAttribute(mark)

    def _removeNode(self, node: Any) -> None:
        """Remove a node with its display and storage nodes and its item.

        Without a window, Slicer leaves these behind.
        """
        own = [node.GetNthDisplayNode(n) for n in range(_displays(node))] + [node.GetStorageNode()]
        self._scene.RemoveNode(node)
        for other in own:
            if other is not None and not self._isUsed(other):
                self._scene.RemoveNode(other)
        self._folders.forget(node)

    def _isUsed(self, part: Any) -> bool:
        """True if a display or storage node serves another node as well."""
        count = self._scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode")
        nodes = (self._scene.GetNthNodeByClass(n, "vtkMRMLDisplayableNode") for n in range(count))
        return any(
            part is node.GetStorageNode()
            or part.GetID() in [node.GetNthDisplayNodeID(n) for n in range(_displays(node))]
            for node in nodes
        )

    def _showBox(self, run: Run, index: int, extremePoints: bool) -> None:
        row = run.rows[index]
        node = self._scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", row.target)
        node.SetCenter(conversion.lpsToRas(row.center).tolist())
        node.SetSize(row.size)
        self._dress(run, node, row)
        # The outline tells the place; a fill would tint the tissue that has to be judged.
        node.GetDisplayNode().SetFillOpacity(0.0)
        points = self._showExtremes(run, row) if extremePoints and row.points is not None else None
        run.setResult(index, node, points)

    def _showExtremes(self, run: Run, row: ResultRow) -> Any:
        name = _("{target} extreme points").format(target=row.target)
        node = self._scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
        for label, point in zip(
            extremeLabels(row.target), conversion.lpsToRas(row.points).tolist(), strict=True
        ):
            node.AddControlPoint(point, label)
        self._dress(run, node, row)
        node.GetDisplayNode().SetPointLabelsVisibility(False)
        return node

    def _showLandmarks(self, run: Run, indices: Iterable[int]) -> None:
        """One list per status, because a display node has one colour."""
        for status in dict.fromkeys(run.rows[n].status for n in indices):
            chosen = [n for n in indices if run.rows[n].status == status]
            name = _("Landmarks ({status})").format(status=statusText(status))
            node = self._scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
            for n in chosen:
                row = run.rows[n]
                row.pointID = node.GetNthControlPointID(
                    node.AddControlPoint(conversion.lpsToRas(row.center).tolist(), row.target)
                )
                run.setResult(n, node)
            self._dress(run, node, run.rows[chosen[0]])

    def _dress(self, run: Run, node: Any, row: ResultRow) -> None:
        """Marks of the run, colour by status, description, folder."""
        node.SetAttribute(RESULT_ATTRIBUTE, row.status)
        node.SetAttribute(RUN_ATTRIBUTE, run.identifier)
        if row.kind == "landmark" or node.IsA("vtkMRMLMarkupsFiducialNode"):
            node.SetAttribute(POINTS_ATTRIBUTE, json.dumps(_pointIDs(node)))
        node.SetDescription(": ".join(filter(None, [statusText(row.status), row.reason])))
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        color = STATUS_COLORS.get(row.status, STATUS_COLORS[FAILED])
        display.SetColor(color)
        display.SetSelectedColor(color)
        display.SetHandlesInteractive(False)
        # Names cover each other and the image: ``viewing`` shows that of the chosen box.
        display.SetPropertiesLabelVisibility(False)
        self._folders.put(node, run, row.query)


def _isMadeBy(run: Run, node: Any) -> bool:
    """True if the node carries the run's mark; version 0.1 marked results without their run."""
    maker = node.GetAttribute(RUN_ATTRIBUTE)
    return node.GetAttribute(RESULT_ATTRIBUTE) is not None and maker in (None, run.identifier)


def _pointIDs(node: Any) -> list[str]:
    return [node.GetNthControlPointID(n) for n in range(node.GetNumberOfControlPoints())]


def _ownPoints(run: Run, node: Any) -> set[str]:
    """Control points of a list that the run has placed; empty for a box, which is all its own."""
    if not node.IsA("vtkMRMLMarkupsFiducialNode"):
        return set()
    marked = node.GetAttribute(POINTS_ATTRIBUTE)
    if marked is not None:
        return set(json.loads(marked))
    return {row.pointID for n, row in enumerate(run.rows) if run.result(n) is node}


def _displays(node: Any) -> int:
    return int(node.GetNumberOfDisplayNodes()) if node.IsA("vtkMRMLDisplayableNode") else 0


def updateRow(run: Run, index: int) -> bool:
    """Copy the node's position into its row after the user has moved it; True if it has changed."""
    node, row = run.result(index), run.rows[index]
    if node is None:
        return False
    if row.kind == "box":
        if not node.GetNumberOfDefinedControlPoints():
            return False
        corners = conversion.roiCornersLps(node)
        center, size = (corners.min(axis=0) + corners.max(axis=0)) / 2, np.ptp(corners, axis=0)
    else:
        point = landmarkIndex(run, index)
        if point is None:
            return False
        center, size = conversion.pointLps(node, point), None
    same = _same(center, row.center) and (size is None or _same(size, row.size))
    if same:
        return False
    row.center, row.size = center.tolist(), None if size is None else size.tolist()
    row.edited = True
    return True


def _same(moved: Any, before: list[float] | None) -> bool:
    """True if nothing has moved by more than a float's rounding on its way through the node."""
    return before is not None and bool(np.allclose(moved, before, atol=1e-3))


def landmarkIndex(run: Run, index: int) -> int | None:
    """Control point of a landmark's row in its list; None if the user has deleted it."""
    point = run.result(index).GetNthControlPointIndexByID(run.rows[index].pointID)
    return None if point < 0 else point
