"""Results in the scene: folders per run and query, an ROI per organ, a list of the landmarks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from rprloc.localization.status import FAILED, LOW_CONFIDENCE, OK, OUTSIDE

from . import conversion
from .markedtargets import RESULT_ATTRIBUTE
from .resultrows import ResultRow, Run

# Okabe and Ito's palette: told apart with every kind of colour blindness. The table repeats the
# status as text.
STATUS_COLORS = {
    OK: (0.0, 0.62, 0.45),
    LOW_CONFIDENCE: (0.90, 0.62, 0.0),
    OUTSIDE: (0.34, 0.71, 0.91),
    FAILED: (0.84, 0.37, 0.0),
}
RUN_ITEM_ATTRIBUTE = "RPRLoc.Run"


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
        self._hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    def show(self, run: Run, indices: Iterable[int], extremePoints: bool) -> None:
        """Make the nodes of the rows (of one query) that have a position and no node yet."""
        shown = [n for n in indices if run.rows[n].found and run.result(n) is None]
        if not shown:
            return
        folder = self._queryFolder(run, run.rows[shown[0]].query)
        for index in (n for n in shown if run.rows[n].kind == "box"):
            self._showBox(run, index, folder, extremePoints)
        landmarks = [n for n in shown if run.rows[n].kind == "landmark"]
        if landmarks:
            self._showLandmarks(run, landmarks, folder)
        run.save()

    def remove(self, run: Run) -> None:
        """Remove everything that a run put into the scene, its folder and its rows included."""
        folder = self._runItem(run)
        for node in run.resultNodes():
            self._removeNode(node)
        if folder:
            # Item by item: what the user has moved into the folder stays, one level up.
            for item in [*self._children(folder, deep=True), folder]:
                if self._hierarchy.GetItemDataNode(item) is None:
                    self._hierarchy.RemoveItem(item, False, False)
        self._scene.RemoveNode(run.node)

    def _removeNode(self, node: Any) -> None:
        """Remove a node with its display and storage nodes and its item.

        Without a window, Slicer leaves these behind.
        """
        own = [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())] + [
            node.GetStorageNode()
        ]
        self._scene.RemoveNode(node)
        for other in filter(None, own):
            self._scene.RemoveNode(other)
        item = self._hierarchy.GetItemByDataNode(node)
        if item:
            self._hierarchy.RemoveItem(item, False, False)

    def _children(self, item: int, deep: bool) -> list[int]:
        items = vtk.vtkIdList()
        self._hierarchy.GetItemChildren(item, items, deep)
        return [items.GetId(n) for n in range(items.GetNumberOfIds())]

    def _showBox(self, run: Run, index: int, folder: int, extremePoints: bool) -> None:
        row = run.rows[index]
        node = self._scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", row.target)
        node.SetCenter(conversion.lpsToRas(row.center).tolist())
        node.SetSize(row.size)
        self._dress(node, row, folder)
        # The outline tells the place; a fill would tint the tissue that has to be judged.
        node.GetDisplayNode().SetFillOpacity(0.0)
        points = (
            self._showExtremes(row, folder) if extremePoints and row.points is not None else None
        )
        run.setResult(index, node, points)

    def _showExtremes(self, row: ResultRow, folder: int) -> Any:
        name = _("{target} extreme points").format(target=row.target)
        node = self._scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
        for label, point in zip(
            extremeLabels(row.target), conversion.lpsToRas(row.points).tolist(), strict=True
        ):
            node.AddControlPoint(point, label)
        self._dress(node, row, folder)
        node.GetDisplayNode().SetPointLabelsVisibility(False)
        return node

    def _showLandmarks(self, run: Run, indices: Iterable[int], folder: int) -> None:
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
            self._dress(node, run.rows[chosen[0]], folder)

    def _dress(self, node: Any, row: ResultRow, folder: int) -> None:
        """Colour by status, description, folder."""
        node.SetAttribute(RESULT_ATTRIBUTE, row.status)
        node.SetDescription(" ".join(filter(None, [statusText(row.status), row.reason])))
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        color = STATUS_COLORS.get(row.status, STATUS_COLORS[FAILED])
        display.SetColor(color)
        display.SetSelectedColor(color)
        display.SetHandlesInteractive(False)
        # Names cover each other and the image: ``viewing`` shows that of the chosen box.
        display.SetPropertiesLabelVisibility(False)
        item = self._hierarchy.GetItemByDataNode(node)
        if item:
            self._hierarchy.SetItemParent(item, folder)
        else:
            self._hierarchy.CreateItem(folder, node)

    def _queryFolder(self, run: Run, query: str) -> int:
        parent = self._runItem(run)
        if not parent:
            parent = self._hierarchy.CreateFolderItem(self._hierarchy.GetSceneItemID(), run.title)
            self._hierarchy.SetItemAttribute(parent, RUN_ITEM_ATTRIBUTE, run.identifier)
        existing = self._hierarchy.GetItemChildWithName(parent, query)
        return existing or self._hierarchy.CreateFolderItem(parent, query)

    def _runItem(self, run: Run) -> int:
        """By the run's identifier: the user may have renamed or moved the folder."""
        for item in self._children(self._hierarchy.GetSceneItemID(), deep=True):
            if self._hierarchy.GetItemAttribute(item, RUN_ITEM_ATTRIBUTE) == run.identifier:
                return item
        return 0


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
