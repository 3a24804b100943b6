"""qMRMLNodeComboBox over the real scene."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import slicer
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from ..qt.hostwidget import custom, row, stored
from ..qt.observations import Observations

CREATE, RENAME, REMOVE = "create", "rename", "remove"


def _sceneEvents() -> tuple[int, ...]:
    scene = slicer.vtkMRMLScene
    return (
        scene.NodeAddedEvent,
        scene.NodeRemovedEvent,
        scene.EndCloseEvent,
        scene.EndImportEvent,
        scene.EndBatchProcessEvent,
    )


@custom
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """A combo box of the scene's nodes of some classes.

    The items after the nodes (create, rename, delete) act and leave the choice to what they did.
    """

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    currentNodeRenamed = Signal(str)
    cppSignals: ClassVar = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "currentNodeChanged",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "nodeAboutToBeRemoved",
    }
    nodeTypes, setNodeTypes = stored("QStringList", "nodeTypes", (), "_refresh")
    showHidden, setShowHidden = stored(bool, "showHidden", False, "_refresh")
    showChildNodeTypes, setShowChildNodeTypes = stored(bool, "showChildNodeTypes", True, "_refresh")
    hideChildNodeTypes, setHideChildNodeTypes = stored(
        "QStringList", "hideChildNodeTypes", (), "_refresh"
    )
    baseName, setBaseName = stored(str, "baseName", "")
    noneEnabled, setNoneEnabled = stored(bool, "noneEnabled", False, "_refresh")
    noneDisplay, setNoneDisplay = stored(str, "noneDisplay", "None", "_refresh")
    addEnabled, setAddEnabled = stored(bool, "addEnabled", True, "_refresh")
    removeEnabled, setRemoveEnabled = stored(bool, "removeEnabled", True, "_refresh")
    editEnabled, setEditEnabled = stored(bool, "editEnabled", False, "_refresh")
    renameEnabled, setRenameEnabled = stored(bool, "renameEnabled", False, "_refresh")
    selectNodeUponCreation, setSelectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    interactionNodeSingletonTag, setInteractionNodeSingletonTag = stored(
        str, "interactionNodeSingletonTag", ""
    )
    AdjustToContents, AdjustToContentsOnFirstShow = 0, 1
    AdjustToMinimumContentsLengthWithIcon = 2
    sizeAdjustPolicy, setSizeAdjustPolicy = stored(
        int, "sizeAdjustPolicy", AdjustToContentsOnFirstShow, "_adjust"
    )
    _comboBox: Any = None
    _scene: Any = None
    _observations: Any = None
    _attributes: Any = None
    _labels: Any = None
    _currentID: str = ""
    _requestedID: str = ""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._comboBox = QtWidgets.QComboBox()
        row(self, self._comboBox)
        self._observations, self._attributes, self._labels = Observations(self), [], {}
        self._comboBox.activated.connect(lambda index: self._onActivated(index))
        self.setEnabled(False)

    def _adjust(self) -> None:
        """By default as wide as the longest name, as in Slicer."""
        self._comboBox.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy(self.sizeAdjustPolicy)
        )

    # the scene

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        self._observations.end()
        self._scene = scene
        for event in _sceneEvents() if scene else ():
            self._observations.add(scene, event, lambda: self._refresh())
        self.setEnabled(scene is not None)
        nodes = self._nodes()
        first = nodes[0].GetID() if nodes and not self.noneEnabled else ""
        self._choose(self._requestedID or self._currentID or first)

    # the nodes

    def addAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        """Show only nodes of this class with the attribute (and this value unless it is None)."""
        self._attributes.append((nodeType, name, value))
        self._refresh()

    def removeAttribute(self, nodeType: str, name: str) -> None:
        self._attributes = [a for a in self._attributes if a[:2] != (nodeType, name)]
        self._refresh()

    def setNodeTypeLabel(self, label: str, nodeType: str) -> None:
        self._labels[nodeType] = label
        self._refresh()

    def nodeTypeLabel(self, nodeType: str) -> str:
        if nodeType in self._labels:
            return self._labels[nodeType]
        node = self._scene.CreateNodeByClass(nodeType) if self._scene else None
        if node is None:
            return nodeType
        node.UnRegister(None)
        return node.GetNodeTagName()

    def nodeCount(self) -> int:
        return len(self._nodes())

    def nodeFromIndex(self, index: int) -> Any:
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        return [node for node in nodes if self._isShown(node)]

    def _isShown(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        types = list(self.nodeTypes)
        if node.GetClassName() not in types:
            isChild = self.showChildNodeTypes and any(node.IsA(kind) for kind in types)
            if not isChild or any(node.IsA(kind) for kind in self.hideChildNodeTypes):
                return False
        return all(self._hasAttribute(node, *a[1:]) for a in self._attributes if node.IsA(a[0]))

    @staticmethod
    def _hasAttribute(node: Any, name: str, value: Any) -> bool:
        found = node.GetAttribute(name)
        return found is not None and (value is None or found == str(value))

    # the choice

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._currentID) if self._scene and self._currentID else None

    def setCurrentNode(self, node: Any) -> None:
        """Choose a node, by itself or by its ID."""
        self._choose(node.GetID() or "" if hasattr(node, "GetID") else node or "")

    def setCurrentNodeID(self, nodeID: str | None) -> None:
        self._choose(nodeID or "")

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self.nodeFromIndex(index))

    currentNodeID = Property(str, lambda self: self._currentID, setCurrentNodeID)

    def _choose(self, nodeID: str) -> None:
        if self._scene is None:
            self._requestedID = nodeID
            return
        known = any(node.GetID() == nodeID for node in self._nodes())
        nodeID = nodeID if known else ""
        changed, self._currentID = nodeID != self._currentID, nodeID
        self._fill()
        if changed:
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(nodeID)

    def _refresh(self) -> None:
        """Follow the scene. A new node is not chosen by itself.

        If the chosen node is lost, the last one is chosen where None is not allowed.
        """
        if self._comboBox is None or self._scene is None or self._scene.IsBatchProcessing():
            return
        nodes = self._nodes()
        kept = self._currentID
        if kept and not any(node.GetID() == kept for node in nodes):
            kept = nodes[-1].GetID() if nodes and not self.noneEnabled else ""
        self._choose(kept)

    def _fill(self) -> None:
        box = self._comboBox
        blocked = box.blockSignals(True)
        box.clear()
        for text, data in self._items():
            box.addItem(text, data)
        current = ("node", self._currentID)
        box.setPlaceholderText(
            f"Select a {self.nodeTypeLabel(self.nodeTypes[0])}" if self.nodeTypes else ""
        )
        box.setCurrentIndex(next((i for i in range(box.count) if box.itemData(i) == current), -1))
        box.blockSignals(blocked)

    def _items(self) -> Iterator[tuple[str, tuple[str, str]]]:
        if self.noneEnabled:
            yield self.noneDisplay, ("node", "")
        for node in self._nodes():
            yield node.GetName() or "", ("node", node.GetID())
        if self.addEnabled:
            for kind in self.nodeTypes:
                yield f"Create new {self.nodeTypeLabel(kind)}", (CREATE, kind)
        if self.renameEnabled and self._currentID:
            yield "Rename current node", (RENAME, "")
        if self.removeEnabled and self._currentID:
            yield "Delete current node", (REMOVE, "")

    # what the user does

    def _onActivated(self, index: int) -> None:
        action, value = self._comboBox.itemData(index)
        if action == CREATE:
            self.nodeAddedByUser.emit(self.addNode(value))
        elif action == RENAME:
            self.renameCurrentNode()
        elif action == REMOVE:
            self.removeCurrentNode()
        else:
            self._choose(value)
            self.nodeActivated.emit(self.currentNode())

    def addNode(self, nodeType: str = "") -> Any:
        """Make a node of this class (the first of ``nodeTypes`` by default) and choose it."""
        kind = nodeType or self.nodeTypes[0]
        name = self._scene.GenerateUniqueName(self.baseName or self.nodeTypeLabel(kind))
        node = self._scene.AddNewNodeByClass(kind, name)
        self.nodeAdded.emit(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        return node

    def renameCurrentNode(self) -> None:
        node = self.currentNode()
        name = QtWidgets.QInputDialog.getText(self, "Rename", "New name:") if node else ""
        if name:
            node.SetName(name)
            self._fill()
            self.currentNodeRenamed.emit(name)

    def removeCurrentNode(self) -> None:
        node = self.currentNode()
        if node:
            self.nodeAboutToBeRemoved.emit(node)
            self._scene.RemoveNode(node)
