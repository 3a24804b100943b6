"""The real MRML scene of slicer-core with the logics that Slicer's modules would add."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .segmentitems import SEGMENTATION, SegmentItems

LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
}
# Nodes of these classes get a subject-hierarchy item, as Slicer's Qt plugins would make them.
IN_SUBJECT_HIERARCHY = (
    "vtkMRMLDisplayableNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
    "vtkMRMLSequenceNode",
)


class Scene:
    """The scene, its application logic and the module logics by module name."""

    def __init__(self, cacheFolder: str) -> None:
        window = vtk.vtkOutputWindow()
        window.SetDisplayModeToAlwaysStdErr()
        vtk.vtkOutputWindow.SetInstance(window)
        self.mrml = slicer.vtkMRMLScene()
        self.applicationLogic = slicer.vtkSlicerApplicationLogic()
        self.logics: dict[str, Any] = {}
        self._addApplication()
        self._addLogics()
        self._addRemoteIO(cacheFolder)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.mrml, True)
        slicer.mrmlScene = self.mrml
        self._keepSubjectHierarchy()

    def clear(self) -> None:
        """Close the scene as a user does, and remove what this keeps: singletons of parameters."""
        self.mrml.Clear(False)
        for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode", self.mrml):
            self.mrml.RemoveNode(node)

    def _addApplication(self) -> None:
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.mrml.AddNode(crosshair)
        logic = self.applicationLogic
        logic.SetMRMLScene(self.mrml)
        logic.GetColorLogic().SetMRMLScene(self.mrml)
        logic.GetColorLogic().AddDefaultColorNodes()
        logic.SetSliceLogics(vtk.vtkCollection())
        logic.SetViewLogics(vtk.vtkCollection())
        for kind in ("ThreeDView", "SliceView"):
            factory = getattr(slicer, f"vtkMRML{kind}DisplayableManagerFactory").GetInstance()
            factory.SetMRMLApplicationLogic(logic)

    def _addLogics(self) -> None:
        for name, className in LOGICS.items():
            logic = getattr(slicer, className)()
            # The application logic is asked for by others by name, so it comes before the scene.
            logic.SetMRMLApplicationLogic(self.applicationLogic)
            self.applicationLogic.SetModuleLogic(name, logic)
            logic.SetMRMLScene(self.mrml)
            self.logics[name] = logic

    def _addRemoteIO(self, cacheFolder: str) -> None:
        """Reading scene files asks for the data IO manager, even when nothing is remote."""
        remote = slicer.vtkMRMLRemoteIOLogic()
        remote.SetMRMLScene(self.mrml)
        remote.SetMRMLApplicationLogic(self.applicationLogic)
        remote.GetCacheManager().SetRemoteCacheDirectory(cacheFolder)
        manager = slicer.vtkDataIOManagerLogic()
        manager.SetMRMLScene(self.mrml)
        manager.SetMRMLApplicationLogic(self.applicationLogic)
        manager.SetAndObserveDataIOManager(remote.GetDataIOManager())
        remote.AddDataIOToScene()
        self._remoteLogics = (remote, manager)

    def _keepSubjectHierarchy(self) -> None:
        added, removed = (
            slicer.vtkMRMLScene.NodeAddedEvent,
            slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent,
        )
        self._segmentItems = SegmentItems(self.mrml)
        self._segmentItems.follow(self._hierarchy())
        self._tags = [
            self.mrml.AddObserver(added, _withNode(self._segmentItems.follow)),
            self.mrml.AddObserver(added, _withNode(self._onNodeAdded)),
            self.mrml.AddObserver(removed, _withNode(self._onNodeAboutToBeRemoved)),
            self.mrml.AddObserver(
                slicer.vtkMRMLScene.EndImportEvent, lambda *_: self._addAllItems()
            ),
        ]

    def _hierarchy(self) -> Any:
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.mrml)

    def _onNodeAdded(self, node: Any) -> None:
        if self.mrml.IsImporting() or self.mrml.IsClosing() or node.GetHideFromEditors():
            return
        if any(node.IsA(kind) for kind in IN_SUBJECT_HIERARCHY):
            hierarchy = self._hierarchy()
            if hierarchy and not hierarchy.GetItemByDataNode(node):
                hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
        if node.IsA(SEGMENTATION):
            self._segmentItems.update(node)

    def _onNodeAboutToBeRemoved(self, node: Any) -> None:
        if self.mrml.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        hierarchy = self._hierarchy()
        item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
        if item:
            # The node itself is being removed by the caller; the children of its item stay.
            hierarchy.RemoveItem(item, False, False)

    def _addAllItems(self) -> None:
        for index in range(self.mrml.GetNumberOfNodes()):
            self._onNodeAdded(self.mrml.GetNthNode(index))


def _withNode(receiver: Any) -> Any:
    """A scene observer that gets the node of the event."""

    def observe(_caller: Any, _event: str, node: Any) -> None:
        receiver(node)

    # VTK hands over the node to Python observers that say so.
    observe.CallDataType = vtk.VTK_OBJECT  # type: ignore[attr-defined]
    return observe
