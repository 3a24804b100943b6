"""What the user marked on the reference.

Control points, ROIs and segments as one list of named targets.

Which of them are used, and which were taken out of the list, is kept on the node itself, so that it
is saved with the scene and survives when nodes are renumbered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

from rprloc.errors import InputError

from . import conversion

UNUSED_ATTRIBUTE, LEFT_OUT_ATTRIBUTE = "RPRLoc.Unused", "RPRLoc.LeftOut"
# Of a list of landmarks that this module has made; every other one is the user's own.
PLACED_ATTRIBUTE = "RPRLoc.Placed"
RESULT_ATTRIBUTE = "RPRLoc.Result"
LANDMARK, BOX, SEGMENT = "landmark", "box", "segment"
NODE_TYPES = (
    "vtkMRMLMarkupsFiducialNode",
    "vtkMRMLMarkupsROINode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLLabelMapVolumeNode",
)
# From a segmentation to the label map volume that it was made of.
LABELS_ROLE = "RPRLoc.Labels"


@dataclass(frozen=True)
class MarkedTarget:
    """One target; ``itemID``: ID of its control point or segment in the node, empty for an ROI."""

    node: Any
    itemID: str
    name: str
    kind: str
    used: bool


def targetsOf(nodes: Any) -> list[MarkedTarget]:
    """Every placed point, ROI and segment of the nodes, in order.

    Points that are still being placed are left out, and so is what was taken out of the list.
    """
    return [
        target
        for node in nodes
        for target in _targetsOfNode(node)
        if target.itemID not in _listed(node, LEFT_OUT_ATTRIBUTE)
    ]


def _targetsOfNode(node: Any) -> list[MarkedTarget]:
    unused = _listed(node, UNUSED_ATTRIBUTE)
    if node.IsA("vtkMRMLMarkupsROINode"):
        if not node.GetNumberOfDefinedControlPoints():
            return []
        return [MarkedTarget(node, "", node.GetName(), BOX, "" not in unused)]
    if node.IsA("vtkMRMLMarkupsFiducialNode"):
        return [
            MarkedTarget(
                node, pointID, node.GetNthControlPointLabel(index), LANDMARK, pointID not in unused
            )
            for index in range(node.GetNumberOfControlPoints())
            if node.GetNthControlPointPositionStatus(index)
            == slicer.vtkMRMLMarkupsNode.PositionDefined
            for pointID in [node.GetNthControlPointID(index)]
        ]
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    return [
        MarkedTarget(node, n, segmentation.GetSegment(n).GetName(), SEGMENT, n not in unused)
        for n in names
    ]


def setUsed(target: MarkedTarget, used: bool) -> None:
    """Use a target in the next run, or leave it out."""
    unused = _listed(target.node, UNUSED_ATTRIBUTE) - {target.itemID}
    if not used:
        unused = unused | {target.itemID}
    target.node.SetAttribute(UNUSED_ATTRIBUTE, json.dumps(sorted(unused)))


def leaveOut(target: MarkedTarget) -> None:
    """Take a target out of the list for good: one that was placed here is deleted, no other is."""
    if isPlacedHere(target.node):
        index = target.node.GetNthControlPointIndexByID(target.itemID)
        target.node.RemoveNthControlPoint(index)
        return
    out = _listed(target.node, LEFT_OUT_ATTRIBUTE) | {target.itemID}
    target.node.SetAttribute(LEFT_OUT_ATTRIBUTE, json.dumps(sorted(out)))


def isPlacedHere(node: Any) -> bool:
    """True for a list of landmarks that this module has made."""
    return node.GetAttribute(PLACED_ATTRIBUTE) is not None


def takeAll(node: Any) -> None:
    """Take back what was left out of the list, because the node is added to it once more."""
    node.RemoveAttribute(LEFT_OUT_ATTRIBUTE)


def rename(target: MarkedTarget, name: str) -> None:
    """Rename the control point, ROI or segment. Raises InputError for an empty name."""
    name = " ".join(name.split())
    if not name:
        raise InputError(_("A target needs a name."))
    if target.kind == BOX:
        target.node.SetName(name)
    elif target.kind == LANDMARK:
        target.node.SetNthControlPointLabel(
            target.node.GetNthControlPointIndexByID(target.itemID), name
        )
    else:
        target.node.GetSegmentation().GetSegment(target.itemID).SetName(name)


def targetSpec(target: MarkedTarget, saveMask: Any) -> dict[str, Any]:
    """The TARGET object of the worker protocol (LPS mm of the world).

    saveMask: writes a VoxelGrid and gives its VOLUME object. Raises InputError for an empty segment
        or box.
    """
    if target.kind == LANDMARK:
        index = target.node.GetNthControlPointIndexByID(target.itemID)
        return {
            "name": target.name,
            "kind": LANDMARK,
            "point_lps": conversion.pointLps(target.node, index).tolist(),
        }
    if target.kind == BOX:
        corners = conversion.roiCornersLps(target.node)
        return {"name": target.name, "kind": BOX, "corners_lps": corners.tolist()}
    return {
        "name": target.name,
        "kind": SEGMENT,
        "mask": saveMask(conversion.segmentGrid(target.node, target.itemID)),
        "look": _look(target.node.GetSegmentation().GetSegment(target.itemID)),
    }


def _look(segment: Any) -> dict[str, str]:
    """Colour and terminology of a segment, which its contours in other CTs get as well."""
    terminology = slicer.vtkSegment.GetTerminologyEntryTagName()
    value = vtk.mutable("")
    tags = f"{terminology}:{value.get()}|" if segment.GetTag(terminology, value) else ""
    look = {"Color": " ".join(f"{part:.4f}" for part in segment.GetColor())}
    return {**look, "Tags": tags} if tags else look


def checkNames(targets: Any) -> None:
    """Raises InputError unless there is a target, and every one has a name of its own."""
    names = [target.name for target in targets]
    if not names:
        raise InputError(_("Mark at least one target on the reference, or tick one in the list."))
    if "" in names:
        raise InputError(_("A target has no name: give it one in the list."))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            _("Two targets are called {name}: rename one in the list.").format(name=twice[0])
        )


def asTargetNode(node: Any) -> Any:
    """The node itself; of a label map volume, a new segmentation with a segment per label.

    Raises InputError where Slicer's Segmentations module is missing, or if no voxel has a label.
    """
    if not node.IsA("vtkMRMLLabelMapVolumeNode"):
        return node
    if not hasattr(slicer.modules, "segmentations"):
        raise InputError(_("This Slicer has no Segmentations module."))
    scene = node.GetScene()
    made = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", node.GetName())
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(node, made)
    if not made.GetSegmentation().GetNumberOfSegments():
        scene.RemoveNode(made)
        raise InputError(_("{name}: no voxel has a label.").format(name=node.GetName()))
    made.CreateDefaultDisplayNodes()
    made.SetNodeReferenceID(LABELS_ROLE, node.GetID())
    return made


def leftOutText(scene: Any, nodes: Any) -> str:
    """What is no target although it may be taken for one, and why; empty if there is nothing."""
    parts = []
    points = [label for node in nodes for label in _unplaced(node)]
    if points:
        text = _(
            "points {names} (not placed: choose their list in Markups, and click their places)"
        )
        parts.append(text.format(names=", ".join(points)))
    for className, kind in (
        ("vtkMRMLMarkupsLineNode", _("line {name}")),
        ("vtkMRMLMarkupsAngleNode", _("angle {name}")),
        ("vtkMRMLMarkupsCurveNode", _("curve {name}")),
        ("vtkMRMLMarkupsPlaneNode", _("plane {name}")),
    ):
        found = [scene.GetNthNodeByClass(n, className) for n in range(_count(scene, className))]
        parts += [kind.format(name=n.GetName()) for n in found if not n.GetHideFromEditors()]
    if len(parts) > bool(points):
        parts[-1] += _(" (only points, boxes and segments are targets)")
    return _("Left out: {what}.").format(what=", ".join(parts)) if parts else ""


def _unplaced(node: Any) -> list[str]:
    """Names of the points of a list that have no place."""
    if not node.IsA("vtkMRMLMarkupsFiducialNode"):
        return []
    defined = slicer.vtkMRMLMarkupsNode.PositionDefined
    points = range(node.GetNumberOfControlPoints())
    missing = [n for n in points if node.GetNthControlPointPositionStatus(n) != defined]
    return [node.GetNthControlPointLabel(n) for n in missing]


def _count(scene: Any, className: str) -> int:
    return int(scene.GetNumberOfNodesByClass(className))


def candidateNodes(scene: Any) -> list[Any]:
    """Nodes of the scene that can be targets: not hidden, and not results of an earlier run."""
    found = []
    for className in NODE_TYPES:
        for index in range(scene.GetNumberOfNodesByClass(className)):
            node = scene.GetNthNodeByClass(index, className)
            if not node.GetHideFromEditors() and node.GetAttribute(RESULT_ATTRIBUTE) is None:
                found.append(node)
    return found


def _listed(node: Any, attribute: str) -> set[str]:
    """Items that an attribute of the node names; a scene file may hold anything."""
    try:
        listed = json.loads(node.GetAttribute(attribute) or "[]")
    except ValueError:
        return set()
    return {item for item in listed if isinstance(item, str)} if isinstance(listed, list) else set()
