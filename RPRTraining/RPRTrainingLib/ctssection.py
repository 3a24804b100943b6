"""Section 1: the folder of CTs, what the scan says of every volume, and which are ticked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from RPRLocalizationLib.jobs.workerjob import Problem
from RPRLocalizationLib.widgets.helpers import breakable, connectPath, signalsBlocked, tableItem
from RPRLocalizationLib.widgets.oneaction import oneAction
from RPRLocalizationLib.widgets.section import Section, showingErrors
from slicer.i18n import tr as _

from .scanrows import ScanRows
from .texts import counted, lengths
from .traininglogic import SCAN, RPRTrainingLogic

NAME, VERDICT, PATIENT, SIZE, SPACING, HU, HEIGHT = range(7)
FEW_PATIENTS = 20
VERDICT_WIDTH = 130


class CTsSection(Section[RPRTrainingLogic]):
    """Scanning a folder, and ticking volumes."""

    def __init__(self, ui: Any, logic: RPRTrainingLogic, changed: Callable[[], None]) -> None:
        super().__init__(ui, logic, changed)
        self.scanned = ScanRows()
        self.folder = ""
        self._outcome = ""
        ui.ctsFolderEdit.currentPath = logic.settings.ctsFolder
        connectPath(ui.ctsFolderEdit, self._onFolder)
        ui.scanButton.connect("clicked(bool)", self._onScan)
        ui.cancelScanButton.connect("clicked(bool)", lambda: logic.cancel())
        ui.useAllButton.connect("clicked(bool)", lambda: self._tickAll(True))
        ui.useNoneButton.connect("clicked(bool)", lambda: self._tickAll(False))
        ui.leftOutCheckBox.connect("toggled(bool)", self._hideRows)
        ui.ctsTable.connect("itemChanged(QTableWidgetItem*)", self._onItem)
        self._prepareTable()
        ui.scanProgressBar.visible = False

    def chosen(self) -> list[dict[str, Any]]:
        """Rows to train on."""
        return self.scanned.chosen()

    def incompleteReason(self) -> str:
        """Why there is nothing to train on; empty if there is."""
        if not self.ui.ctsFolderEdit.currentPath:
            return _("Choose a folder with CTs in section 1.")
        if not self.scanned.rows:
            return self._outcome or _("Press Scan in section 1.")
        if self.scanned.patients() < 2:
            return _(
                "Tick CTs of at least two patients in section 1: some patients are held out to"
                " judge the model."
            )
        return ""

    def update(self) -> None:
        """Enable the buttons, and sum up the table."""
        scanning = self.logic.task == SCAN
        path = self.ui.ctsFolderEdit.currentPath
        problem = self.logic.busyReason() or ("" if path else _("Choose a folder first."))
        self.setEnabled(
            self.ui.scanButton, problem, _("List every volume in the folder and its subfolders.")
        )
        self.setEnabled(
            self.ui.cancelScanButton,
            "" if scanning else _("No scan is going on."),
            _("Stop the scan; rows stay."),
        )
        self.ui.ctsFolderEdit.enabled = not self.logic.task
        empty = self.logic.busyReason() or ("" if self.scanned.rows else _("Scan a folder first."))
        self.setEnabled(self.ui.useAllButton, empty, _("Tick every CT that can be used."))
        self.setEnabled(self.ui.useNoneButton, empty, _("Untick all CTs, to tick a few."))
        self.ui.ctsTable.enabled = not self.logic.training
        self.ui.scanProgressBar.visible = scanning
        if not scanning:
            self.ui.scanLabel.text = breakable(self._summary())
        self.ui.scanLabel.visible = bool(self.ui.scanLabel.text)

    def _prepareTable(self) -> None:
        header = self.ui.ctsTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        # A long reason must not push the other columns out of sight; its tooltip tells all of it.
        for column in (NAME, VERDICT):
            header.setSectionResizeMode(column, qt.QHeaderView.Interactive)
            header.resizeSection(column, VERDICT_WIDTH)

    def _summary(self) -> str:
        rows = self.scanned.rows
        if not rows:
            return self._outcome
        chosen, usable = len(self.chosen()), sum(map(self.scanned.usable, range(len(rows))))
        texts = [
            _(
                "{chosen} of {usable} usable CTs ticked, of {patients} patients; {out} left out by"
                " the scan."
            ).format(
                chosen=chosen,
                usable=usable,
                patients=self.scanned.patients(),
                out=len(rows) - usable,
            )
        ]
        if 0 < self.scanned.patients() < FEW_PATIENTS:
            texts.append(
                _("⚠ Few patients: expect a weak model. The bundled one learned from about 200.")
            )
        return "\n".join(filter(None, [*texts, self._outcome]))

    def _onFolder(self, path: str) -> None:
        self.logic.settings.ctsFolder = path
        if path != self.folder:
            self._clear()
        self.changed()

    def _clear(self) -> None:
        self.scanned, self._outcome, self.folder = ScanRows(), "", ""
        self.ui.ctsTable.setRowCount(0)

    @oneAction
    def _onScan(self) -> None:
        self._clear()
        self.folder = self.ui.ctsFolderEdit.currentPath.strip()
        if not Path(self.folder).is_dir():
            self._outcome = _("There is no such folder.")
        else:
            self.ui.scanProgressBar.maximum = 0
            self.ui.scanLabel.text = _("Looking for volumes...")
            with showingErrors(_("The folder cannot be scanned.")):
                self.logic.scan(self.folder, self._onRow, self._onProgress, self._onScanned)
        self.changed()

    def _onProgress(self, event: dict[str, Any]) -> None:
        self.ui.scanProgressBar.maximum = max(1, int(event.get("total") or 1))
        self.ui.scanProgressBar.value = int(event.get("done") or 0)
        self.ui.scanLabel.text = str(event.get("message", ""))

    def _onScanned(self, result: Any, problem: Problem | None) -> None:
        if problem is not None and problem.cancelled:
            self._outcome = _("⚠ The scan was cancelled: the list is not complete.")
        elif problem is not None:
            self._outcome = f"⚠ {problem.message}"
        elif not self.scanned.rows:
            self._outcome = _("There is no volume in this folder (NIfTI, NRRD, MHA or DICOM).")
        self.changed()

    def _onRow(self, row: dict[str, Any]) -> None:
        index = self.scanned.add(row)
        table = self.ui.ctsTable
        with signalsBlocked(table):
            table.setRowCount(index + 1)
            for column, item in enumerate(self._items(index, row)):
                table.setItem(index, column, item)
            table.setRowHidden(
                index, not self.ui.leftOutCheckBox.checked and not self.scanned.usable(index)
            )

    def _items(self, index: int, row: dict[str, Any]) -> list[Any]:
        usable, path = self.scanned.usable(index), str(row.get("path", ""))
        name = tableItem(str(row.get("name", "")), path, checked=True if usable else None)
        reason = str(row.get("reason") or "")
        verdict = _("used; note: {reason}") if reason else _("used")
        if not usable:
            verdict = _("left out: {reason}")
        verdict = verdict.format(reason=reason)
        hu = row.get("hu") or ()
        height = f"{row['z_mm']:g}" if row.get("z_mm") else ""
        texts = [str(row.get("group", "")), lengths(row.get("size")), lengths(row.get("spacing"))]
        texts += [" ... ".join(f"{value:g}" for value in hu), height]
        items = [name, tableItem(verdict, verdict), *map(tableItem, texts)]
        if not usable:
            for item in items:
                item.setForeground(qt.QBrush(qt.QColor(128, 128, 128)))
        return items

    def _onItem(self, item: Any) -> None:
        """One of several selected rows was ticked: all of them follow."""
        if item.column() != NAME or item.row() >= len(self.scanned.rows):
            return
        on = item.checkState() == qt.Qt.Checked
        selected = {index.row() for index in self.ui.ctsTable.selectionModel().selectedRows()}
        for row in selected if item.row() in selected else {item.row()}:
            self.scanned.tick(row, on)
        self._showTicks()
        self.changed()

    def _tickAll(self, on: bool) -> None:
        self.scanned.tickAll(on)
        self._showTicks()
        self.changed()

    def _showTicks(self) -> None:
        with signalsBlocked(self.ui.ctsTable):
            for row, ticked in enumerate(self.scanned.ticks):
                if self.scanned.usable(row):
                    item = self.ui.ctsTable.item(row, NAME)
                    item.setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)
                    verdict = _("used") if ticked else _("left out by you")
                    self.ui.ctsTable.item(row, VERDICT).setText(verdict)

    def _hideRows(self, shown: bool) -> None:
        for row in range(len(self.scanned.rows)):
            self.ui.ctsTable.setRowHidden(row, not shown and not self.scanned.usable(row))


def countedCTs(count: int) -> str:
    """``1 CT``, ``5 CTs``."""
    return counted(count, _("{count} CT"), _("{count} CTs"))
