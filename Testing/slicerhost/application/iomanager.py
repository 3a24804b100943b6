"""``slicer.app.coreIOManager()``: loading and saving for slicer.util, by Slicer's own classes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import slicer
import vtk

SUFFIXES = {
    ".mrk.json": "MarkupsFile",
    ".fcsv": "MarkupsFile",
    ".seg.nrrd": "SegmentationFile",
    ".seg.vtm": "SegmentationFile",
    ".mrb": "SceneFile",
    ".mrml": "SceneFile",
    ".h5": "TransformFile",
    ".tfm": "TransformFile",
    ".txt": "TextFile",
    ".vtk": "ModelFile",
    ".vtp": "ModelFile",
    ".stl": "ModelFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
}
LABEL_MAP, CENTERED = 1, 2


class CoreIOManager:
    """Loads and saves nodes by file type."""

    def __init__(self, logics: dict[str, Any], scene: Any) -> None:
        self._logics, self._scene = logics, scene
        self._readers: dict[str, Callable[..., Any]] = {
            "VolumeFile": self._readVolume,
            "MarkupsFile": self._readMarkups,
            "SegmentationFile": self._readSegmentation,
            "TransformFile": lambda path, *_: logics["Transforms"].AddTransform(path, scene),
            "ModelFile": lambda path, *_: logics["Models"].AddModel(path),
            "TableFile": lambda path, *_: logics["Tables"].AddTable(path),
        }

    def fileType(self, path: Any) -> str:
        """The type of a file by its name; "VolumeFile" if it is none of the others."""
        name = str(path).lower()
        return next(
            (kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), "VolumeFile"
        )

    def fileWriterFileType(self, node: Any) -> str:
        return node.GetClassName()

    def loadNodes(
        self, kind: str, properties: dict[str, Any], loaded: Any = None, messages: Any = None
    ) -> bool:
        """Load a file; its nodes are added to ``loaded``. False (with a message) if that fails."""
        path = str(properties["fileName"])
        messages = slicer.vtkMRMLMessageCollection() if messages is None else messages
        if not os.path.exists(path):
            messages.AddMessage(vtk.vtkCommand.ErrorEvent, f"File not found: {path}")
            return False
        if kind == "SceneFile":
            return self._readScene(path, bool(properties.get("clear", False)), messages)
        if kind not in self._readers:
            raise NotImplementedError(f"the test host cannot load a {kind}")
        name = properties.get("name") or os.path.basename(path).split(".")[0]
        node = self._readers[kind](path, name, properties, messages)
        if node is not None and loaded is not None:
            loaded.AddItem(node)
        return node is not None

    def _readVolume(self, path: str, name: str, properties: dict[str, Any], _messages: Any) -> Any:
        options = (LABEL_MAP if properties.get("labelmap") else 0) | (
            CENTERED if properties.get("center") else 0
        )
        return self._logics["Volumes"].AddArchetypeVolume(path, name, options)

    def _readMarkups(self, path: str, name: str, _properties: dict[str, Any], messages: Any) -> Any:
        return self._scene.GetNodeByID(
            self._logics["Markups"].LoadMarkups(path, name, messages) or ""
        )

    def _readSegmentation(
        self, path: str, name: str, _properties: dict[str, Any], _messages: Any
    ) -> Any:
        return self._logics["Segmentations"].LoadSegmentationFromFile(path, True, name)

    def _readScene(self, path: str, clear: bool, messages: Any) -> bool:
        if path.endswith(".mrb"):
            return bool(self._scene.ReadFromMRB(path, clear, messages))
        self._scene.SetURL(path)
        return bool(self._scene.Connect(messages) if clear else self._scene.Import(messages))

    def loadScene(self, path: str, clear: bool = True) -> bool:
        return self._readScene(str(path), clear, slicer.vtkMRMLMessageCollection())

    def saveNodes(self, _kind: str, properties: dict[str, Any], messages: Any = None) -> bool:
        """Save one node (by "nodeID") to "fileName", through its storage node."""
        path = str(properties["fileName"])
        if "nodeID" not in properties:
            return self.saveScene(path)
        node = self._scene.GetNodeByID(properties["nodeID"])
        if not node.GetStorageNode():
            node.AddDefaultStorageNode(path)
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        return bool(storage.WriteData(node))

    def saveScene(self, path: str, _screenShot: Any = None) -> bool:
        """Save the scene as .mrb (with all data) or .mrml."""
        if str(path).endswith(".mrb"):
            return bool(self._scene.WriteToMRB(str(path), None, slicer.vtkMRMLMessageCollection()))
        self._scene.SetRootDirectory(os.path.dirname(str(path)))
        self._scene.SetURL(str(path))
        return bool(self._scene.Commit())
