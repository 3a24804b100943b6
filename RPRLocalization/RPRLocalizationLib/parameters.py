"""The module's parameter node: every choice that belongs to the scene."""

from __future__ import annotations

import enum
from typing import Any

import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper

from .scene.export import ExportFrame


class ReferenceSource(enum.Enum):
    """Where the targets come from."""

    MARKED = "marked"
    TEMPLATE = "template"


@parameterNodeWrapper
class RPRLocalizationParameterNode:
    """Choices that are saved with the scene; model and device are the user's, see ``settings``.

    referenceVolume: the CT that carries the targets. targetNodes: fiducial lists, ROIs and
        segmentations marked on it.
    template: key of ``templatelibrary``; unusedTemplateTargets: organs of it that are not sought.
    exportFrame: frame of the positions in the table and in exported files; RAS is Slicer's own.
    contours, transforms: also carry the segments to the queries, and make transforms of the maps.
    queryVolumes: loaded CTs to search. queryFolder: CT files to search if useQueryFolder is on.
    """

    referenceSource: ReferenceSource = ReferenceSource.MARKED
    referenceVolume: slicer.vtkMRMLScalarVolumeNode
    targetNodes: list[slicer.vtkMRMLNode]
    template: str = ""
    unusedTemplateTargets: list[str]
    queryVolumes: list[slicer.vtkMRMLScalarVolumeNode]
    queryFilter: str = ""
    useQueryFolder: bool = False
    queryFolder: str = ""
    extremePoints: bool = False
    contours: bool = False
    transforms: bool = False
    exportFrame: ExportFrame = ExportFrame.RAS


def liveNodes(nodes: Any, scene: Any) -> list[Any]:
    """The nodes of a parameter list that still are in the scene.

    Deleted ones stay in the list, as None or dangling.
    """
    return [node for node in nodes if node is not None and scene.IsNodePresent(node)]
