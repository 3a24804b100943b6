"""Section 1: the reference CT and what is marked on it, or a template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from rprloc.errors import InputError

from ..parameters import ReferenceSource, liveNodes
from ..scene import placing
from ..scene.markedtargets import (
    BOX,
    LABELS_ROLE,
    LANDMARK,
    SEGMENT,
    MarkedTarget,
    asTargetNode,
    candidateNodes,
    checkNames,
    isPlacedHere,
    leaveOut,
    leftOutText,
    rename,
    setUsed,
    takeAll,
    targetsOf,
)
from ..widgets.helpers import breakable, signalsBlocked, tableItem
from ..widgets.oneaction import oneAction
from ..widgets.section import Section, showingErrors
from .panellogic import PanelLogic
from .templatesection import TemplatePart, fitTargets

_MARKUPS = slicer.vtkMRMLMarkupsNode


class ReferenceSection(Section[PanelLogic]):
    """Choosing the CT, placing and taking targets, and the list of targets."""

    def __init__(self, ui: Any, logic: PanelLogic, changed: Callable[[], None]) -> None:
        super().__init__(ui, logic, changed)
        self.placing = placing.Placing()
        self.template = TemplatePart(ui, logic, changed)
        # What the table and the selector show, to leave them alone while nothing changes.
        self._shown: list[tuple[Any, ...]] | None = None
        self._existing: list[tuple[str, str]] | None = None
        self._observed: list[tuple[Any, Any]] = []
        ui.referenceSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onReference)
        ui.markedRadio.connect("toggled(bool)", self._onSource)
        ui.placeLandmarkButton.connect("clicked(bool)", self._onPlaceLandmark)
        ui.placeBoxButton.connect("clicked(bool)", self._onPlaceBox)
        ui.existingSelector.connect("activated(int)", self._onExisting)
        ui.addExistingButton.connect("clicked(bool)", self._onAddExisting)
        ui.removeTargetButton.connect("clicked(bool)", self._onRemove)
        ui.targetsTable.connect("itemChanged(QTableWidgetItem*)", self._onItem)
        ui.targetsTable.connect("itemSelectionChanged()", self._updateButtons)
        self.addObserver(
            self.placing.interaction,
            slicer.vtkMRMLInteractionNode.InteractionModeChangedEvent,
            self._onPlaceMode,
        )

    def setParameters(self, parameters: Any) -> None:
        """Use another parameter node, or None while the scene is closing."""
        super().setParameters(parameters)
        self.template.setParameters(parameters)
        self._shown = self._existing = None
        if parameters is None:
            self.placing.stop()
            self._observe([])

    def nodes(self) -> list[Any]:
        """Nodes that carry targets and still are in the scene."""
        return liveNodes(self.parameters.targetNodes, slicer.mrmlScene) if self.parameters else []

    def usesTemplate(self) -> bool:
        """True if the targets come from a template."""
        return self.parameters.referenceSource == ReferenceSource.TEMPLATE

    def usedTargets(self) -> tuple[MarkedTarget, ...]:
        """The ticked targets marked on the reference."""
        return tuple(target for target in targetsOf(self.nodes()) if target.used)

    def incompleteReason(self) -> str:
        """Why this section is not complete, for the user; empty if it is."""
        if self.usesTemplate():
            return self.template.incompleteReason()
        return self.whyNotMarked()

    def whyNotMarked(self) -> str:
        """Why the marked targets cannot be used; empty if they can."""
        if self.parameters.referenceVolume is None:
            return _("Choose the reference CT in section 1.")
        try:
            checkNames(self.usedTargets())
        except InputError as error:
            return str(error)
        return ""

    def update(self) -> None:
        """Show the state of the scene and the parameter node."""
        if self.parameters is None:
            return
        byTemplate = self.usesTemplate()
        with signalsBlocked(self.ui.markedRadio), signalsBlocked(self.ui.templateRadio):
            self.ui.markedRadio.checked = not byTemplate
            self.ui.templateRadio.checked = byTemplate
        self.ui.markedPage.visible = not byTemplate
        self.ui.templatePage.visible = byTemplate

        self._observe(self.nodes())
        self.template.update()
        self._fillExisting()
        if byTemplate:
            self.template.fillTargets(self.ui.targetsTable)
            self._shown = None
        else:
            self._fillTargets()
        self._showLeftOut()
        self._updateButtons()

    def _fillTargets(self) -> None:
        """Only if something has changed: refilling would end an edit of the user."""
        targets = targetsOf(self.nodes())
        state = [(t.node.GetID(), t.itemID, t.name, t.node.GetName(), t.used) for t in targets]
        if state == self._shown:
            return
        self._shown = state

        kinds = {LANDMARK: _("landmark"), BOX: _("box"), SEGMENT: _("segment")}
        table = self.ui.targetsTable
        row = table.currentRow()
        with signalsBlocked(table):
            table.setRowCount(len(targets))
            for number, target in enumerate(targets):
                tip = _("{name}: untick to leave it out; double-click to rename.")
                tip = tip.format(name=target.name)
                table.setItem(
                    number, 0, tableItem(target.name, tip, editable=True, checked=target.used)
                )
                table.setItem(number, 1, tableItem(kinds[target.kind]))
                table.setItem(number, 2, tableItem(target.node.GetName(), target.node.GetName()))
            table.setCurrentCell(min(row, len(targets) - 1), 0)
        fitTargets(table)

    def _showLeftOut(self) -> None:
        """Say which points have no place, and which markups can be no targets."""
        isMarked = not self.usesTemplate() and not self.placing.activeClass()
        text = leftOutText(slicer.mrmlScene, self.nodes()) if isMarked else ""
        self.ui.leftOutLabel.text = breakable(text)
        self.ui.leftOutLabel.visible = bool(text)

    def _fillExisting(self) -> None:
        """What can be targets and is none yet: no results, and label maps that were not taken."""
        listed = [node.GetID() for node in self.nodes()]
        taken = [node.GetNodeReferenceID(LABELS_ROLE) for node in self.nodes()]
        candidates = candidateNodes(slicer.mrmlScene)
        unlisted = [node for node in candidates if node.GetID() not in [*listed, *taken]]
        state = [(node.GetID(), node.GetName()) for node in unlisted]
        if state == self._existing:
            return
        self._existing = state

        selector = self.ui.existingSelector
        before = selector.itemData(selector.currentIndex)
        with signalsBlocked(selector):
            selector.clear()
            for nodeID, name in state:
                selector.addItem(name, nodeID)
            selector.currentIndex = max(selector.findData(before), 0) if state else -1

    def _chosenExisting(self) -> Any:
        selector = self.ui.existingSelector
        nodeID = selector.itemData(selector.currentIndex) if selector.currentIndex >= 0 else None
        return slicer.mrmlScene.GetNodeByID(nodeID) if nodeID else None

    def _updateButtons(self) -> None:
        """Enable the buttons, or say why not."""
        if self.parameters is None:
            return

        noReference = "" if self.parameters.referenceVolume else _("Choose the reference CT first.")
        self._updatePlacing(noReference)
        nothing = _(
            "There are no points, boxes or segmentations in the scene that are not in the list"
            " already."
        )
        reason = noReference or ("" if self._chosenExisting() is not None else nothing)
        self.setEnabled(self.ui.addExistingButton, reason, _("Add it to the list of targets."))

        byTemplate = self.usesTemplate()
        selected = self.ui.targetsTable.currentRow() >= 0 and not byTemplate
        reason = "" if selected else _("Select a target in the list first.")
        tip = _(
            "Take the selected target out of the list. A landmark placed with the button above is"
            " deleted; anything else stays in the scene."
        )
        self.ui.removeTargetButton.visible = not byTemplate
        self.setEnabled(self.ui.removeTargetButton, reason, tip)

        self.template.updateButtons(self.whyNotMarked(), byTemplate)

    def _updatePlacing(self, noReference: str) -> None:
        """Enable the two buttons, and show as pressed the one whose target is being placed."""
        landmarkTip = _("Click here, then click the landmark in a slice view.")
        boxTip = _(
            "Click here, then click two opposite corners of the organ in a slice view; drag the"
            " handles after."
        )
        placed = self.placing.activeClass()
        for button, className, tip in (
            (self.ui.placeLandmarkButton, placing.FIDUCIALS, landmarkTip),
            (self.ui.placeBoxButton, placing.ROI, boxTip),
        ):
            self.setEnabled(button, noReference, tip)
            button.checked = placed == className

    def _onSource(self, marked: bool) -> None:
        if self.parameters is not None:
            self.placing.stop()
            self.parameters.referenceSource = (
                ReferenceSource.MARKED if marked else ReferenceSource.TEMPLATE
            )
            self.changed()

    def _onReference(self, node: Any = None) -> None:
        if self.parameters is not None:
            self.changed()

    def _onPlaceLandmark(self, checked: bool) -> None:
        self._place(checked, lambda: placing.landmarkList(self.nodes()))

    def _onPlaceBox(self, checked: bool) -> None:
        self._place(checked, placing.newBox)

    def _place(self, checked: bool, makeNode: Callable[[], Any]) -> None:
        self.placing.stop()
        self._dropUnplaced()
        if checked:
            with showingErrors(_("The target could not be placed.")):
                node = makeNode()
                self._add(node)
                slicer.util.setSliceViewerLayers(background=self.parameters.referenceVolume)
                self.placing.start(node)
        self.changed()

    def _onPlaceMode(self, caller: Any = None, event: Any = None) -> None:
        self._dropUnplaced()
        if self.parameters is not None:
            self.changed()

    def _dropUnplaced(self) -> None:
        node = self.placing.takeUnplaced()
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)

    def _onExisting(self, index: int | None = None) -> None:
        self._updateButtons()

    @oneAction
    def _onAddExisting(self) -> None:
        with showingErrors(_("The target could not be added.")):
            self._add(asTargetNode(self._chosenExisting()))
        self.changed()

    def _add(self, node: Any) -> None:
        nodes = self.nodes()
        if node.GetID() not in [other.GetID() for other in nodes]:
            takeAll(node)
            self.parameters.targetNodes = [*nodes, node]

    def _target(self, row: int) -> MarkedTarget | None:
        targets = targetsOf(self.nodes())
        return targets[row] if 0 <= row < len(targets) else None

    def _onItem(self, item: Any) -> None:
        if self.usesTemplate():
            self.template.onItem(item, self.ui.targetsTable)
        else:
            target = self._target(item.row())
            if target is None:
                return
            used = item.checkState() == qt.Qt.Checked
            if used != target.used:
                setUsed(target, used)
            elif item.text() != target.name:
                with showingErrors(_("The target could not be renamed.")):
                    rename(target, item.text())
            self._shown = None
        self.changed()

    @oneAction
    def _onRemove(self) -> None:
        target = self._target(self.ui.targetsTable.currentRow())
        if target is None:
            return
        with showingErrors(_("The target could not be removed.")):
            leaveOut(target)
            # A list that was made here stays, for the next landmark.
            if not targetsOf([target.node]) and not isPlacedHere(target.node):
                self.parameters.targetNodes = [
                    n for n in self.nodes() if n.GetID() != target.node.GetID()
                ]
        self.changed()

    def _observe(self, nodes: list[Any]) -> None:
        """Follow the points, boxes and segments that are targets."""
        before = [node for node, _event in self._observed]
        if {id(n) for n in before} == {id(n) for n in nodes}:
            return
        for node, event in self._observed:
            self.removeObserver(node, event, self._onTargetNode)
        self._observed = [(node, event) for node in nodes for event in _eventsOf(node)]
        for node, event in self._observed:
            self.addObserver(node, event, self._onTargetNode)

    def _onTargetNode(self, caller: Any = None, event: Any = None) -> None:
        self.changed()


def _eventsOf(node: Any) -> tuple[Any, ...]:
    if node.IsA("vtkMRMLSegmentationNode"):
        return (
            slicer.vtkSegmentation.SegmentAdded,
            slicer.vtkSegmentation.SegmentRemoved,
            vtk.vtkCommand.ModifiedEvent,
        )
    return (
        _MARKUPS.PointPositionDefinedEvent,
        _MARKUPS.PointPositionUndefinedEvent,
        _MARKUPS.PointRemovedEvent,
        _MARKUPS.PointModifiedEvent,
        vtk.vtkCommand.ModifiedEvent,
    )
