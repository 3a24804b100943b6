"""qSlicerMarkupsPlaceWidget: buttons that start Slicer's own place mode for a markups node."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from ..qt.hostwidget import custom, row, stored
from ..qt.observations import Observations


@custom
class qSlicerMarkupsPlaceWidget(QtWidgets.QWidget):
    """Places and deletes control points of the current node.

    It goes through the real interaction and selection nodes.
    """

    activeMarkupsPlaceModeChanged = Signal(bool)
    activeMarkupsFiducialPlaceModeChanged = Signal(bool)
    ShowPlaceMultipleMarkupsOption, HidePlaceMultipleMarkupsOption = 0, 1
    ForcePlaceSingleMarkup, ForcePlaceMultipleMarkups = 2, 3
    placeMultipleMarkups, setPlaceMultipleMarkups = stored(int, "placeMultipleMarkups", 0)
    buttonsVisible, setButtonsVisible = stored(bool, "buttonsVisible", True, "_show")
    deleteAllControlPointsOptionVisible, setDeleteAllControlPointsOptionVisible = stored(
        bool, "deleteAllControlPointsOptionVisible", True
    )
    unsetLastControlPointOptionVisible, setUnsetLastControlPointOptionVisible = stored(
        bool, "unsetLastControlPointOptionVisible", False
    )
    defaultNodeColor, setDefaultNodeColor = stored(QtGui.QColor, "defaultNodeColor", QtGui.QColor())
    _place: Any = None
    _delete: Any = None
    _scene: Any = None
    _node: Any = None
    _observations: Any = None
    _wasEnabled: bool = False

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._observations = Observations(self)
        self._place, self._delete = QtWidgets.QToolButton(), QtWidgets.QToolButton()
        self._place.setObjectName("PlaceButton")
        self._delete.setObjectName("DeleteButton")
        self._place.setText("Place")
        self._place.setCheckable(True)
        self._delete.setText("Delete")
        row(self, self._place, self._delete)
        self._place.toggled.connect(lambda on: self.setPlaceModeEnabled(on))
        self._delete.clicked.connect(lambda: self.deleteLastPoint())
        self._update()

    def _show(self) -> None:
        for button in (self._place, self._delete):
            button.setVisible(self.buttonsVisible)

    def placeButton(self) -> Any:
        return self._place

    def deleteButton(self) -> Any:
        return self._delete

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        self._observations.end()
        self._scene = scene
        if scene:
            interaction, mode = (
                self.interactionNode(),
                slicer.vtkMRMLInteractionNode.InteractionModeChangedEvent,
            )
            for node, event in (
                (interaction, "ModifiedEvent"),
                (interaction, mode),
                (self.selectionNode(), "ModifiedEvent"),
            ):
                self._observations.add(node, event, lambda: self._update())
            self._observations.add(
                scene, slicer.vtkMRMLScene.EndCloseEvent, lambda: self.setCurrentNode(None)
            )
        self._update()

    def interactionNode(self) -> Any:
        return slicer.app.applicationLogic().GetInteractionNode()

    def selectionNode(self) -> Any:
        return slicer.app.applicationLogic().GetSelectionNode()

    def currentNode(self) -> Any:
        return self._node

    currentMarkupsNode = currentNode

    def setCurrentNode(self, node: Any) -> None:
        self._node = node
        self._update()

    def _isActive(self) -> bool:
        return (
            self._node is not None
            and self.selectionNode().GetActivePlaceNodeID() == self._node.GetID()
        )

    def setCurrentNodeActive(self, active: bool) -> None:
        if active and self._node is not None:
            slicer.modules.markups.logic().SetActiveList(self._node)
        elif self._isActive():
            self.selectionNode().SetReferenceActivePlaceNodeID(None)

    currentNodeActive = Property(bool, _isActive, setCurrentNodeActive)

    def _isPlacing(self) -> bool:
        placing = (
            self.interactionNode().GetCurrentInteractionMode()
            == slicer.vtkMRMLInteractionNode.Place
        )
        return bool(self._scene) and self._isActive() and placing

    def setPlaceModeEnabled(self, enabled: bool) -> None:
        """Start or end place mode for the current node."""
        if self._scene is None or self._node is None:
            return
        mode = slicer.vtkMRMLInteractionNode
        if enabled:
            self.setCurrentNodeActive(True)
            if self.placeMultipleMarkups >= self.ForcePlaceSingleMarkup:
                self.setPlaceModePersistency(
                    self.placeMultipleMarkups == self.ForcePlaceMultipleMarkups
                )
            self.interactionNode().SetCurrentInteractionMode(mode.Place)
        else:
            self.interactionNode().SetCurrentInteractionMode(mode.ViewTransform)

    placeModeEnabled = Property(bool, _isPlacing, setPlaceModeEnabled)

    def setPlaceModePersistency(self, persistent: bool) -> None:
        self.interactionNode().SetPlaceModePersistence(int(persistent))

    placeModePersistency = Property(
        bool,
        lambda self: bool(self.interactionNode().GetPlaceModePersistence()),
        setPlaceModePersistency,
    )

    def deleteLastPoint(self) -> None:
        if self._node is not None and self._node.GetNumberOfControlPoints():
            self._node.RemoveNthControlPoint(self._node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self) -> None:
        if self._node is not None:
            self._node.RemoveAllControlPoints()

    def _update(self) -> None:
        usable = self._scene is not None and self._node is not None
        enabled = usable and self._isPlacing()
        for button in (self._place, self._delete):
            button.setEnabled(usable)
        blocked = self._place.blockSignals(True)
        self._place.setChecked(enabled)
        self._place.blockSignals(blocked)
        if enabled != self._wasEnabled:
            self._wasEnabled = enabled
            self.activeMarkupsPlaceModeChanged.emit(enabled)
            self.activeMarkupsFiducialPlaceModeChanged.emit(enabled)
