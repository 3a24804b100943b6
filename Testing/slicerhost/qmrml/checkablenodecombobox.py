"""qMRMLCheckableNodeComboBox: a list of nodes with check boxes."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal

from ..qt.hostwidget import custom
from .nodecombobox import qMRMLNodeComboBox


@custom
class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """A node combo box in which nodes are ticked; the current node has no meaning."""

    checkedNodesChanged = Signal()
    _checked: Any = None

    def checkedNodes(self) -> tuple[Any, ...]:
        return tuple(node for node in self._nodes() if node.GetID() in self._checkedIDs())

    def uncheckedNodes(self) -> tuple[Any, ...]:
        return tuple(node for node in self._nodes() if node.GetID() not in self._checkedIDs())

    def setCheckState(self, node: Any, state: Any) -> None:
        """Tick or untick a node (``qt.Qt.Checked`` or ``qt.Qt.Unchecked``)."""
        checked = self._checkedIDs()
        before = set(checked)
        nodeID = node.GetID()
        if int(getattr(state, "value", state)):
            checked.add(nodeID)
        else:
            checked.discard(nodeID)
        if checked != before:
            self.checkedNodesChanged.emit()

    def setUserCheckable(self, node: Any, userCheckable: bool) -> None:
        """Whether the user can tick the node; the host shows all nodes alike."""

    def _checkedIDs(self) -> set[str]:
        if self._checked is None:
            self._checked = set()
        return self._checked

    def _refresh(self) -> None:
        super()._refresh()
        if self._comboBox is None or not self._checkedIDs():
            return
        present = {node.GetID() for node in self._nodes()}
        if self._checkedIDs() - present:
            self._checkedIDs().intersection_update(present)
            self.checkedNodesChanged.emit()
