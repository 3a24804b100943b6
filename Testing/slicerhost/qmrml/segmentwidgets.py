"""qMRML widgets that list the segments of a segmentation."""

from __future__ import annotations

from typing import Any, ClassVar

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal

from ..qt.hostwidget import custom, row, stored
from ..qt.observations import Observations
from .nodecombobox import qMRMLNodeComboBox

ID_ROLE = QtCore.Qt.ItemDataRole.UserRole


@custom
class qMRMLSegmentsTableView(QtWidgets.QWidget):
    """A list of the segments of one segmentation node; several can be selected."""

    selectionChanged = Signal(object, object)
    cppSignals: ClassVar = {"selectionChanged(QItemSelection,QItemSelection)": "selectionChanged"}
    selectionMode, setSelectionMode = stored(int, "selectionMode", 3)
    headerVisible, setHeaderVisible = stored(bool, "headerVisible", True)
    visibilityColumnVisible, setVisibilityColumnVisible = stored(
        bool, "visibilityColumnVisible", True
    )
    colorColumnVisible, setColorColumnVisible = stored(bool, "colorColumnVisible", True)
    opacityColumnVisible, setOpacityColumnVisible = stored(bool, "opacityColumnVisible", False)
    statusColumnVisible, setStatusColumnVisible = stored(bool, "statusColumnVisible", False)
    readOnly, setReadOnly = stored(bool, "readOnly", False)
    _list: Any = None
    _node: Any = None
    _scene: Any = None
    _observations: Any = None

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._observations = Observations(self)
        self._list = QtWidgets.QListWidget()
        self._list.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection)
        row(self, self._list)
        self._list.itemSelectionChanged.connect(lambda: self.selectionChanged.emit(None, None))

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene

    def segmentationNode(self) -> Any:
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        self._observations.end()
        self._node = node
        if node is not None:
            segmentation = node.GetSegmentation()
            for event in (
                segmentation.SegmentAdded,
                segmentation.SegmentRemoved,
                segmentation.SegmentModified,
            ):
                self._observations.add(segmentation, event, lambda: self._fill())
        self._fill()

    def segmentCount(self) -> int:
        return self._list.count

    def displayedSegmentIDs(self) -> tuple[str, ...]:
        return tuple(self._list.item(index).data(ID_ROLE) for index in range(self._list.count))

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        return tuple(item.data(ID_ROLE) for item in self._list.selectedItems())

    def setSelectedSegmentIDs(self, segmentIDs: Any) -> None:
        for index in range(self._list.count):
            item = self._list.item(index)
            item.setSelected(item.data(ID_ROLE) in segmentIDs)

    def clearSelection(self) -> None:
        self._list.clearSelection()

    def _fill(self) -> None:
        selected = self.selectedSegmentIDs()
        self._list.clear()
        segmentation = self._node.GetSegmentation() if self._node is not None else None
        for segmentID in segmentation.GetSegmentIDs() if segmentation else ():
            item = QtWidgets.QListWidgetItem(segmentation.GetSegment(segmentID).GetName())
            item.setData(ID_ROLE, segmentID)
            self._list.addItem(item)
        self.setSelectedSegmentIDs(selected)


@custom
class qMRMLSegmentSelectorWidget(QtWidgets.QWidget):
    """A combo box for a segmentation and one for a segment of it."""

    currentNodeChanged = Signal(object)
    currentSegmentChanged = Signal(str)
    cppSignals: ClassVar = {"currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged"}
    segmentNodeSelectorVisible, setSegmentNodeSelectorVisible = stored(
        bool, "segmentNodeSelectorVisible", True
    )
    noneEnabled, setNoneEnabled = stored(bool, "noneEnabled", False, "_apply")
    _nodes: Any = None
    _segments: Any = None

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._nodes, self._segments = qMRMLNodeComboBox(), QtWidgets.QComboBox()
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodes.addEnabled = self._nodes.removeEnabled = False
        row(self, self._nodes, self._segments)
        self._nodes.currentNodeChanged.connect(lambda node: self._onNode(node))
        self._segments.currentIndexChanged.connect(
            lambda _: self.currentSegmentChanged.emit(self.currentSegmentID())
        )

    def _apply(self) -> None:
        self._nodes.noneEnabled = self.noneEnabled

    def mrmlScene(self) -> Any:
        return self._nodes.mrmlScene()

    def setMRMLScene(self, scene: Any) -> None:
        self._nodes.setMRMLScene(scene)

    def currentNode(self) -> Any:
        return self._nodes.currentNode()

    def setCurrentNode(self, node: Any) -> None:
        self._nodes.setCurrentNode(node)

    def currentSegmentID(self) -> str:
        return self._segments.currentData or ""

    def setCurrentSegmentID(self, segmentID: str) -> None:
        self._segments.setCurrentIndex(self._segments.findData(segmentID))

    def _onNode(self, node: Any) -> None:
        self._segments.clear()
        segmentation = node.GetSegmentation() if node is not None else None
        for segmentID in segmentation.GetSegmentIDs() if segmentation else ():
            self._segments.addItem(segmentation.GetSegment(segmentID).GetName(), segmentID)
        self.currentNodeChanged.emit(node)
