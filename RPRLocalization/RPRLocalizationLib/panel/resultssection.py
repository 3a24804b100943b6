"""Section 4: the results as a table, their review, and what can be done with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from rprloc.errors import InputError
from rprloc.localization.status import FAILED, LOW_CONFIDENCE, OK, OUTSIDE, STATUSES

from ..scene import viewing
from ..scene.export import ExportFrame, inFrame, writeCsv, writeMarkups
from ..scene.resultnodes import STATUS_COLORS, ResultNodes, statusText, updateRow
from ..scene.resultrows import ACCEPTED, REJECTED, ResultRow, Run
from ..widgets import dialogs
from ..widgets.helpers import breakable, color, signalsBlocked, tableItem
from ..widgets.oneaction import oneAction
from ..widgets.section import Section, showingErrors
from .panellogic import PanelLogic

# What tells how far a result can be trusted stands first: a panel of usual width shows no more.
STATUS, TARGET, CT, RADIUS, SPREAD, CYCLE, SIZE, REVIEW, CENTER = range(9)
# Dark text stays legible on a status colour mixed with this much white.
_TINT = 0.35
# Pixels; long names are cut, and their tooltip tells all of them.
_WIDEST_NAME = 90


class ResultsSection(Section[PanelLogic]):
    """Shows one run at a time."""

    def __init__(self, ui: Any, logic: PanelLogic, changed: Callable[[], None]) -> None:
        super().__init__(ui, logic, changed)
        self.run: Run | None = None
        self._runs: list[Run] = []
        # The table's rows as text: what has not changed is not filled in again.
        self._shown: list[str] | None = None
        self._followed: list[Any] = []
        ui.runSelector.connect("activated(int)", self._onRun)
        ui.resultsTable.connect("itemSelectionChanged()", self._onSelection)
        # Also a click on the row that is selected already: the user may have scrolled away.
        ui.resultsTable.connect("cellClicked(int,int)", self._onSelection)
        ui.acceptButton.connect("clicked(bool)", lambda: self._review(ACCEPTED))
        ui.rejectButton.connect("clicked(bool)", lambda: self._review(REJECTED))
        ui.nextButton.connect("clicked(bool)", self._onNext)
        ui.loadButton.connect("clicked(bool)", self._onLoad)
        ui.cropButton.connect("clicked(bool)", self._onCrop)
        ui.removeResultsButton.connect("clicked(bool)", self._onRemove)
        ui.exportCsvButton.connect("clicked(bool)", self._onExportCsv)
        ui.exportMarkupsButton.connect("clicked(bool)", self._onExportMarkups)

    def setParameters(self, parameters: Any) -> None:
        """Use another parameter node, or None while the scene is closing."""
        super().setParameters(parameters)
        self._shown = None
        self._runs = [] if parameters is None else Run.ofScene(slicer.mrmlScene)
        self.run = self._runs[-1] if self._runs else None
        self._follow()

    def choose(self, run: Run) -> None:
        """Show a run that has just begun."""
        self._runs.append(run)
        self.run = run
        self._shown = None
        self._follow()

    def onRows(self, run: Run, indices: range) -> None:
        """Rows of a query have come; the first of a run is shown at once."""
        if run is self.run:
            self._follow()
            self._fill()
            if indices.start == 0:
                self._select(_firstToShow(run, indices))
        self.changed()

    def update(self) -> None:
        """Show the runs, the table and the state of the buttons."""
        if self.parameters is None:
            return
        self._runs = [run for run in self._runs if slicer.mrmlScene.IsNodePresent(run.node)]
        if self.run not in self._runs:
            self.run = self._runs[-1] if self._runs else None
            self._follow()

        self._fillRuns()
        self._fill()
        self._updateButtons()

    def cleanup(self) -> None:
        """The module is being unloaded."""
        self._runs, self.run = [], None
        super().cleanup()

    def _fillRuns(self) -> None:
        selector = self.ui.runSelector
        with signalsBlocked(selector):
            selector.clear()
            for run in reversed(self._runs):
                selector.addItem(run.title, run.identifier)
            selector.currentIndex = selector.findData(self.run.identifier) if self.run else -1

    def _fill(self) -> None:
        """Fill only what has changed: selection and scroll position stay while rows come in."""
        if self.parameters is None:
            return
        rows = self.run.rows if self.run else []
        table = self.ui.resultsTable
        with signalsBlocked(table):
            if self._shown is None or table.rowCount > len(rows):
                self._shown = []
                table.clearContents()

            table.setRowCount(len(rows))
            states = [f"{self._frame().name} {row!r}" for row in rows]
            for number, row in enumerate(rows):
                if self._shown[number : number + 1] != [states[number]]:
                    self._fillRow(table, number, row)
            self._shown = states

        # Before the columns are fitted: Qt keeps a width of 0 for a column that is hidden then.
        table.setColumnHidden(CT, len({row.query for row in rows}) < 2)
        self._fitColumns(table)
        self.ui.summaryLabel.text = _summary(rows)
        frame = self._frame()
        title = _("Centre {axes} (mm)").format(axes=", ".join(frame.value))
        table.horizontalHeaderItem(CENTER).setText(title)

    def _frame(self) -> ExportFrame:
        """The frame of the positions, in the table and in exported files."""
        frame: ExportFrame = self.parameters.exportFrame
        return frame

    @staticmethod
    def _fitColumns(table: Any) -> None:
        """Make columns as wide as their texts, but let no name push the figures out of sight."""
        table.resizeColumnsToContents()
        for column in (TARGET, CT):
            table.setColumnWidth(column, min(table.columnWidth(column), _WIDEST_NAME))

    def _fillRow(self, table: Any, number: int, row: ResultRow) -> None:
        center = "" if row.center is None else _triple(inFrame(row.center, self._frame()))
        moved = _(" (moved)") if row.edited else ""
        reviews = {ACCEPTED: _("accepted"), REJECTED: _("rejected")}
        cells = {
            STATUS: _statusCell(row),
            TARGET: row.target or _("(all)"),
            CT: row.query,
            SIZE: _triple(row.size),
            RADIUS: "" if row.radius is None else f"{row.radius:.0f}",
            SPREAD: _decimals(row.spread),
            CYCLE: _decimals(row.cycle),
            REVIEW: reviews.get(row.review, ""),
            CENTER: f"{center}{moved}",
        }

        tip = explanation(row)
        for column, text in cells.items():
            item = tableItem(text, tip)
            if column == STATUS:
                item.setBackground(qt.QBrush(color(STATUS_COLORS[row.status], _TINT)))
                item.setForeground(qt.QBrush(color((0.0, 0.0, 0.0))))
            table.setItem(number, column, item)

    def _updateButtons(self) -> None:
        noRun = "" if self.run and self.run.rows else _("There are no results yet.")
        index = self._index()
        noRow = noRun or ("" if index is not None else _("Select a row first."))
        row = self.run.rows[index] if self.run is not None and index is not None else None

        self._updateReview(noRun, noRow)
        self._updateLoadAndCrop(noRow)
        self._updateRunButtons(noRun)
        self.ui.reasonLabel.text = breakable(explanation(row)) if row is not None else ""
        self.ui.reasonLabel.visible = bool(self.ui.reasonLabel.text)

    def _updateReview(self, noRun: str, noRow: str) -> None:
        ui = self.ui
        self.setEnabled(ui.acceptButton, noRow, _("Mark it as right, and go to the next one."))
        self.setEnabled(ui.rejectButton, noRow, _("Mark it as wrong, and go to the next one."))
        left = [row for row in self.run.rows if not row.review] if self.run else []
        allDone = noRun or ("" if left else _("Every result has been reviewed."))
        tip = _("Go to the next result without a review; those of low confidence come first.")
        self.setEnabled(ui.nextButton, allDone, tip)

    def _updateLoadAndCrop(self, noRow: str) -> None:
        noLoad = noCrop = noRow
        if not noRow:
            run, index = self._selected()
            isLoaded = run.volume(index) is not None
            gone = "" if run.rows[index].path else _("This CT was removed from the scene.")
            noLoad = _("This CT is loaded already.") if isLoaded else gone
            noCrop = _whyNotCropped(run, index, isLoaded)
        tip = _("Load the CT file of this row and show its results.")
        self.setEnabled(self.ui.loadButton, noLoad, tip)
        self.setEnabled(self.ui.cropButton, noCrop, _("Crop the CT to this box."))

    def _updateRunButtons(self, noRun: str) -> None:
        busy = _("Wait until the run has ended, or cancel it.") if self.logic.running else ""
        none = "" if self._runs else _("There are no results yet.")
        tip = _("Remove the nodes, the folder and the rows of the newest run.")
        self.setEnabled(self.ui.removeResultsButton, busy or none, tip)
        self.setEnabled(self.ui.exportCsvButton, noRun, _("Write the table of this run to a file."))
        tip = _("Write one .mrk.json file per result into a folder.")
        self.setEnabled(self.ui.exportMarkupsButton, noRun, tip)

    def _selected(self) -> tuple[Run, int]:
        """The run and its selected row, for buttons that are enabled only if there is one."""
        index = self._index()
        if self.run is None or index is None:
            raise InputError(_("Select a row first."))
        return self.run, index

    def _index(self) -> int | None:
        """The selected row, or None."""
        row = self.ui.resultsTable.currentRow()
        return row if self.run is not None and 0 <= row < len(self.run.rows) else None

    def _select(self, index: int) -> None:
        self.ui.resultsTable.setCurrentCell(index, TARGET)

    def _onSelection(self) -> None:
        index = self._index()
        if self.run is not None and index is not None:
            with showingErrors(_("The result could not be shown.")):
                viewing.showRow(self.run, index)
        self._updateButtons()

    def _onRun(self, position: int) -> None:
        identifier = self.ui.runSelector.itemData(position)
        self.run = next((run for run in self._runs if run.identifier == identifier), None)
        self._shown = None
        self._follow()
        self.changed()

    def _review(self, review: str) -> None:
        run, index = self._selected()
        run.rows[index].review = review
        run.save()
        self._fill()
        self._onNext()
        self.changed()

    def _onNext(self) -> None:
        """Select the next row without a review: first low confidence, then what has a note."""
        rows = self.run.rows if self.run else []
        start = self._index() or 0
        order = [*range(start + 1, len(rows)), *range(start + 1)]
        left = [n for n in order if not rows[n].review]
        lowConfidence = [n for n in left if rows[n].status == LOW_CONFIDENCE]
        noted = [n for n in left if hasNote(rows[n])]
        if left:
            self._select((lowConfidence or noted or left)[0])
        self.changed()

    @oneAction
    def _onLoad(self) -> None:
        run, index = self._selected()
        with showingErrors(_("The CT could not be loaded.")):
            row = run.rows[index]
            volume = viewing.loadCt(row.path, row.query)
            same = [n for n, other in enumerate(run.rows) if other.path == row.path]
            run.setVolume(same, volume)
            ResultNodes(slicer.mrmlScene).show(run, same, self.parameters.extremePoints)
            self._follow()
            viewing.showRow(run, index)
        self.changed()

    @oneAction
    def _onCrop(self) -> None:
        run, index = self._selected()
        row = run.rows[index]
        with showingErrors(_("The CT could not be cropped.")):
            name = _("{ct} - {target}").format(ct=row.query, target=row.target)
            volume = viewing.cropTo(run.volume(index), run.result(index), name)
            slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self.changed()

    @oneAction
    def _onRemove(self) -> None:
        if not _mayBeRemoved(self._runs[-1]):
            return
        run = self._runs.pop()
        with showingErrors(_("The results could not be removed.")):
            self._followNone()
            ResultNodes(slicer.mrmlScene).remove(run)
        self._shown = None
        self.update()
        self._follow()

    @oneAction
    def _onExportCsv(self) -> None:
        name = _("localization.csv")
        path = dialogs.askSaveFile(
            self.logic.settings, _("Export results"), name, _("Tables (*.csv)")
        )
        if path and self.run is not None:
            with showingErrors(_("The table could not be written.")):
                writeCsv(path, self.run.rows, self.parameters.exportFrame)

    @oneAction
    def _onExportMarkups(self) -> None:
        folder = dialogs.askFolder(self.logic.settings, _("Folder for the markups"))
        if folder and self.run is not None:
            with showingErrors(_("The markups could not be written.")):
                writeMarkups(folder, self.run.rows, self.parameters.exportFrame)

    def _follow(self) -> None:
        """Observe the nodes of the run: the user may drag a box."""
        nodes: list[Any] = self.run.resultNodes() if self.run is not None else []
        if nodes == self._followed:
            return
        self._followNone()
        self._followed = nodes
        for node in nodes:
            self.addObserver(node, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self._onMoved)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._onMoved)
            self.addObserver(
                node, slicer.vtkMRMLDisplayableNode.TransformModifiedEvent, self._onMoved
            )

    def _followNone(self) -> None:
        self.removeObservers()
        self._followed = []

    def _onMoved(self, caller: Any = None, event: Any = None) -> None:
        if self.run is None:
            return
        mine = [n for n in range(len(self.run.rows)) if self.run.result(n) is caller]
        moved = [n for n in mine if updateRow(self.run, n)]
        if moved:
            self.run.save()
            self.changed()


def hasNote(row: ResultRow) -> bool:
    """True for an answer that is ok, but whose CT or marking is odd in some way."""
    return row.status == OK and bool(row.reason)


def _statusCell(row: ResultRow) -> str:
    text = statusText(row.status)
    return _("{status}, see note").format(status=text) if hasNote(row) else text


def explanation(row: ResultRow) -> str:
    """What a status means, and why, in a sentence or two."""
    meaning = {
        OK: _("The votes agree."),
        LOW_CONFIDENCE: _("Look at it before you use it."),
        OUTSIDE: _(
            "It does not seem to be in this CT; the position is a guess beyond what was scanned."
        ),
        FAILED: (
            _("It could not be searched for.")
            if row.target
            else _("This CT could not be searched.")
        ),
    }[row.status]
    found = _("found with {model}").format(model=row.model) if row.model else ""
    what = ", ".join(filter(None, [row.query, row.target, found]))
    if not row.reason:
        return f"{what}: {meaning}"
    # Not a sentence of its own: it may begin with the name of a file.
    return f"{what}: {meaning.removesuffix('.')}: {row.reason.removesuffix('.')}."


def _mayBeRemoved(run: Run) -> bool:
    """Ask before work of the user's is lost with the run's rows."""
    count = sum(bool(row.review) or row.edited for row in run.rows)
    if not count:
        return True
    question = _(
        "{count} results of {run} were accepted, rejected or corrected by hand. Remove them, too?"
    )
    return bool(
        slicer.util.confirmYesNoDisplay(
            question.format(count=count, run=run.title), windowTitle=_("Remove results")
        )
    )


def _whyNotCropped(run: Run, index: int, isLoaded: bool) -> str:
    if run.rows[index].kind != "box" or run.result(index) is None:
        return _("Only an organ box that was found can be cropped to.")
    return "" if isLoaded else _("Load this CT first.")


def _firstToShow(run: Run, indices: range) -> int:
    return next((n for n in indices if run.rows[n].found), indices.start)


def _summary(rows: Sequence[ResultRow]) -> str:
    counts = Counter(row.status for row in rows)
    return ", ".join(
        f"{statusText(status)}: {counts[status]}" for status in STATUSES if counts[status]
    )


def _triple(values: Sequence[float] | None) -> str:
    return "" if values is None else ", ".join(f"{float(value):.1f}" for value in values)


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
