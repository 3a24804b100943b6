"""Placing landmarks and boxes with Slicer's own Markups place mode."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from .markedtargets import PLACED_ATTRIBUTE, isPlacedHere

FIDUCIALS, ROI = "vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsROINode"


class Placing:
    """Starts and ends place mode; one click places one landmark, two corners a box."""

    def __init__(self) -> None:
        self.interaction = slicer.app.applicationLogic().GetInteractionNode()
        self._selection = slicer.app.applicationLogic().GetSelectionNode()
        self._node: Any = None

    def activeClass(self) -> str:
        """Class of what is being placed for this module; empty if nothing is."""
        if self._node is None or not slicer.mrmlScene.IsNodePresent(self._node):
            return ""
        placing = (
            self.interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place
        )
        mine = self._selection.GetActivePlaceNodeID() == self._node.GetID()
        return self._node.GetClassName() if placing and mine else ""

    def start(self, node: Any) -> None:
        """The next click in a view places a point of this node."""
        self._node = node
        self._selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        self._selection.SetActivePlaceNodeID(node.GetID())
        self.interaction.SetPlaceModePersistence(0)
        self.interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)

    def stop(self) -> None:
        """Back to the normal mouse mode, if this module is placing."""
        if self.activeClass():
            self.interaction.SwitchToViewTransformMode()

    def takeUnplaced(self) -> Any:
        """The box whose placing was given up before its first click, or None.

        It is forgotten here.
        """
        node = self._node
        if node is None or self.activeClass() or not slicer.mrmlScene.IsNodePresent(node):
            return None
        self._node = None
        return (
            node
            if node.GetClassName() == ROI and not node.GetNumberOfDefinedControlPoints()
            else None
        )


def landmarkList(nodes: Any) -> Any:
    """The fiducial list that new landmarks go to.

    The last one that was made here, else a new one: the user's own lists stay as they are.
    """
    lists = [node for node in nodes if node.IsA(FIDUCIALS) and isPlacedHere(node)]
    if lists:
        return lists[-1]
    node = slicer.mrmlScene.AddNewNodeByClass(FIDUCIALS, _("Landmarks"))
    node.CreateDefaultDisplayNodes()
    node.SetControlPointLabelFormat(_("Landmark %d"))
    node.SetAttribute(PLACED_ATTRIBUTE, "1")
    return node


def newBox() -> Any:
    """An ROI node that has no place yet."""
    name = slicer.mrmlScene.GenerateUniqueName(_("Box"))
    node = slicer.mrmlScene.AddNewNodeByClass(ROI, name)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetFillOpacity(0.1)
    display.SetPropertiesLabelVisibility(True)
    # A new ROI has its centre defined at the origin; placing begins with none.
    node.RemoveAllControlPoints()
    return node
