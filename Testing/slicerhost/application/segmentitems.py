"""Items of segments in the subject hierarchy: what Slicer's Segmentations plugin (Qt) does.

Every segment is an item below the item of its segmentation, and removing the item removes the
segment. Slicer's own code for this is qSlicerSubjectHierarchySegmentationsPlugin (C++).
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

SEGMENTATION = "vtkMRMLSegmentationNode"
# Of an item whose children go with it.
VIRTUAL_BRANCH = "VirtualBranch"


class SegmentItems:
    """Keeps the items of a scene's segments; ``scene`` tells it of nodes."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._attribute = slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName()

    def follow(self, node: Any) -> None:
        """Follow a new segmentation or subject hierarchy; anything else is left alone.

        The observers hold no node, or it would outlive its scene.
        """
        hierarchy, segmentation = slicer.vtkMRMLSubjectHierarchyNode, slicer.vtkSegmentation
        if node.IsA("vtkMRMLSubjectHierarchyNode"):
            event = hierarchy.SubjectHierarchyItemAboutToBeRemovedEvent
            node.AddObserver(event, _withItem(self._onAboutToBeRemoved))
        elif node.IsA(SEGMENTATION):
            for name in ("SegmentAdded", "SegmentRemoved", "SegmentModified"):
                node.AddObserver(getattr(segmentation, name), lambda node, *_: self.update(node))

    def update(self, node: Any) -> None:
        """Make, rename and remove items so that there is one per segment."""
        if self._scene.IsImporting() or self._scene.IsClosing():
            return
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
        parent = hierarchy.GetItemByDataNode(node) if hierarchy else 0
        if not parent:
            return
        hierarchy.SetItemAttribute(parent, VIRTUAL_BRANCH, "1")
        segmentation = node.GetSegmentation()
        items = {
            hierarchy.GetItemAttribute(i, self._attribute): i for i in _below(hierarchy, parent)
        }
        for segmentID in segmentation.GetSegmentIDs():
            name = segmentation.GetSegment(segmentID).GetName()
            item = items.pop(segmentID, 0) or hierarchy.CreateHierarchyItem(parent, name, "")
            hierarchy.SetItemAttribute(item, self._attribute, segmentID)
            hierarchy.SetItemName(item, name)
        for segmentID, item in items.items():
            if segmentID:
                hierarchy.RemoveItem(item)

    def _onAboutToBeRemoved(self, hierarchy: Any, item: int) -> None:
        """A segment goes with its item."""
        if self._scene.IsClosing() or not hierarchy.HasItemAttribute(item, self._attribute):
            return
        segmentID = hierarchy.GetItemAttribute(item, self._attribute)
        node = hierarchy.GetItemDataNode(hierarchy.GetItemParent(item))
        if node is not None and node.IsA(SEGMENTATION):
            node.GetSegmentation().RemoveSegment(segmentID)


def _below(hierarchy: Any, item: int) -> list[int]:
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, items, False)
    return [items.GetId(n) for n in range(items.GetNumberOfIds())]


def _withItem(receiver: Any) -> Any:
    """An observer of the subject hierarchy that gets it and the item of the event."""

    def observe(hierarchy: Any, _event: str, item: int) -> None:
        receiver(hierarchy, item)

    observe.CallDataType = vtk.VTK_LONG  # type: ignore[attr-defined]
    return observe
