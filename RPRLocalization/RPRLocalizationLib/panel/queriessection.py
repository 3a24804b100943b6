"""Section 2: the CTs to search, loaded or in a folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from rprloc.errors import InputError

from ..library.ctfiles import ctFiles
from ..parameters import ReferenceSource, liveNodes
from ..scene.viewing import CROPPED_ATTRIBUTE
from ..widgets.helpers import breakable, connectPath, signalsBlocked
from ..widgets.section import Section
from .panellogic import PanelLogic

_ID_ROLE = qt.Qt.UserRole


class QueriesSection(Section[PanelLogic]):
    """Ticking loaded volumes, and choosing a folder."""

    def __init__(self, ui: Any, logic: PanelLogic, changed: Callable[[], None]) -> None:
        super().__init__(ui, logic, changed)
        # What the list shows: (node ID, name, is the reference, is ticked) per volume.
        self._shown: list[tuple[str, str, bool, bool]] | None = None
        # (folder, its CT files, why there is none), listed once: a folder on a network is slow.
        self._folder: tuple[str, list[str], str] = ("", [], "")
        ui.allButton.connect("clicked(bool)", lambda: self._tickShown(True))
        ui.noneButton.connect("clicked(bool)", lambda: self._tickShown(False))
        ui.volumesList.connect("itemChanged(QListWidgetItem*)", self._onItem)
        connectPath(ui.folderEdit, self._onFolder)

    def setParameters(self, parameters: Any) -> None:
        """Use another parameter node, or None while the scene is closing."""
        super().setParameters(parameters)
        self._shown = None

    def ticked(self) -> list[Any]:
        """Ticked volume nodes that still are in the scene."""
        return liveNodes(self.parameters.queryVolumes, slicer.mrmlScene)

    def paths(self) -> list[str]:
        """CT files of the folder, if it is used; listed anew if another folder was chosen."""
        return self._listed()[0] if self.parameters.useQueryFolder else []

    def rescan(self) -> None:
        """Forget what the folder held: a run takes what is there now."""
        self._folder = ("", [], "")

    def incompleteReason(self) -> str:
        """Why there is nothing to search; empty if there is something."""
        if self.parameters.useQueryFolder and self._listed()[1]:
            return self._listed()[1]
        if not self.ticked() and not self.paths():
            return _("Tick at least one CT in section 2.")
        return ""

    def update(self) -> None:
        """Show the volumes of the scene, the ticks and the folder."""
        if self.parameters is None:
            return
        self._fill()
        uses = self.parameters.useQueryFolder
        self.ui.folderPage.visible = uses
        if self.ui.folderEdit.currentPath != self.parameters.queryFolder:
            with signalsBlocked(self.ui.folderEdit):
                self.ui.folderEdit.currentPath = self.parameters.queryFolder
        if uses:
            paths, problem = self._listed()
            text = _("{count} CT files or DICOM series found.").format(count=len(paths))
            self.ui.folderLabel.text = breakable(problem or text)
        shown = self._shownItems()
        nothing = "" if shown else _("No CT is loaded, or none has such a name.")
        self.setEnabled(
            self.ui.allButton,
            nothing,
            _("Tick all CTs that are shown (not the reference, and nothing cropped)."),
        )
        self.setEnabled(self.ui.noneButton, nothing, _("Untick all CTs that are shown."))

    def _reference(self) -> Any:
        """The CT that is no query by default; none if the targets come from a template."""
        byTemplate = self.parameters.referenceSource == ReferenceSource.TEMPLATE
        return None if byTemplate else self.parameters.referenceVolume

    def _fill(self) -> None:
        reference = self._reference()
        ticked = {node.GetID() for node in self.ticked()}
        filtered = self.parameters.queryFilter.strip().casefold()
        rows = [
            (node.GetID(), node.GetName(), node is reference, node.GetID() in ticked)
            for node in candidateVolumes(slicer.mrmlScene)
            if filtered in node.GetName().casefold()
        ]
        if rows == self._shown:
            return
        self._shown = rows
        volumes = self.ui.volumesList
        with signalsBlocked(volumes):
            volumes.clear()
            for nodeID, name, isReference, isTicked in rows:
                item = qt.QListWidgetItem(
                    _("{name} (reference)").format(name=name) if isReference else name
                )
                item.setFlags(
                    qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsSelectable
                )
                item.setCheckState(qt.Qt.Checked if isTicked else qt.Qt.Unchecked)
                item.setToolTip(name)
                item.setData(_ID_ROLE, nodeID)
                volumes.addItem(item)

    def _listed(self) -> tuple[list[str], str]:
        """(paths, problem) of the folder, listed once per folder."""
        folder = self.parameters.queryFolder
        if self._folder[0] != folder or not folder:
            try:
                paths = ctFiles(folder)
                problem = "" if paths else _("There is no CT file in this folder.")
            except InputError as error:
                paths, problem = [], str(error)
            self._folder = (folder, paths, problem)
        return self._folder[1], self._folder[2]

    def _shownItems(self) -> list[Any]:
        return [self.ui.volumesList.item(row) for row in range(self.ui.volumesList.count)]

    def _tickShown(self, tick: bool) -> None:
        """Tick or untick what is shown; what the filter hides keeps its state."""
        shown = [item.data(_ID_ROLE) for item in self._shownItems()]
        hidden = [node for node in self.ticked() if node.GetID() not in shown]
        nodes = [slicer.mrmlScene.GetNodeByID(nodeID) for nodeID in shown] if tick else []
        self.parameters.queryVolumes = [*hidden, *(n for n in nodes if self._isQuery(n))]
        self.changed()

    def _isQuery(self, node: Any) -> bool:
        """False for what is ticked only one by one: the reference, and what was cropped here."""
        return node is not self._reference() and node.GetAttribute(CROPPED_ATTRIBUTE) is None

    def _onItem(self, item: Any) -> None:
        node = slicer.mrmlScene.GetNodeByID(item.data(_ID_ROLE))
        others = [other for other in self.ticked() if other is not node]
        self.parameters.queryVolumes = (
            [*others, node] if item.checkState() == qt.Qt.Checked else others
        )
        self.changed()

    def _onFolder(self, path: str) -> None:
        if self.parameters is not None:
            self.parameters.queryFolder = path
            self.rescan()
            self.changed()


def candidateVolumes(scene: Any) -> list[Any]:
    """Scalar volumes of the scene that may be CTs: no label maps, no colours, nothing hidden."""
    className = "vtkMRMLScalarVolumeNode"
    nodes = [
        scene.GetNthNodeByClass(n, className)
        for n in range(scene.GetNumberOfNodesByClass(className))
    ]
    return [
        node for node in nodes if node.GetClassName() == className and not node.GetHideFromEditors()
    ]
