"""The template part of section 1: the library, and templates made of what is marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from rprloc.errors import InputError
from rprloc.model.card import AUTO_MODEL

from ..library.modelcatalog import listModels
from ..library.templatelibrary import TemplateInfo
from ..widgets import dialogs, torchsetup
from ..widgets.helpers import signalsBlocked, tableItem
from ..widgets.oneaction import oneAction
from ..widgets.section import Section, showingErrors
from .panellogic import PanelLogic

_KEY_ROLE = qt.Qt.UserRole
# Pixels.
_WIDEST_COLUMN = 110


class TemplatePart(Section[PanelLogic]):
    """Choosing, renaming, deleting, importing, exporting and making templates."""

    def __init__(self, ui: Any, logic: PanelLogic, changed: Callable[[], None]) -> None:
        super().__init__(ui, logic, changed)
        self._shown: tuple[list[tuple[str, str]], str] | None = None
        ui.templateSelector.connect("activated(int)", self._onChosen)
        ui.renameTemplateButton.connect("clicked(bool)", self._onRename)
        ui.deleteTemplateButton.connect("clicked(bool)", self._onDelete)
        ui.importTemplateButton.connect("clicked(bool)", self._onImport)
        ui.exportTemplateButton.connect("clicked(bool)", self._onExport)

    def setParameters(self, parameters: Any) -> None:
        """Use another parameter node, or None while the scene is closing."""
        super().setParameters(parameters)
        self._shown = None

    def required(self) -> TemplateInfo:
        """The chosen template, for buttons that are enabled only if there is one."""
        info = self.chosen()
        if info is None:
            raise InputError(_("Choose a template first."))
        return info

    def chosen(self) -> TemplateInfo | None:
        """The chosen TemplateInfo; None if there is none, or if its file is gone."""
        return self.logic.library.find(self.parameters.template)

    def used(self) -> list[Any]:
        """The ticked targets of the chosen template."""
        info = self.chosen()
        unused = set(self.parameters.unusedTemplateTargets)
        return [target for target in info.targets if target.name not in unused] if info else []

    def incompleteReason(self) -> str:
        """Why the chosen template cannot be used; empty if it can."""
        info = self.chosen()
        if info is None:
            return _("Choose a template in section 1.")
        if not self.used():
            return _("Tick at least one target of the template in section 1.")

        # The latents of a template mean nothing to another model than the one that made them.
        made = f"{info.model.get('name', '?')} {info.model.get('version', '?')}"
        models = listModels(self.logic.settings.modelFolder)
        own = [model.key for model in models if model.identity == info.model]
        if self.logic.settings.model == AUTO_MODEL:
            missing = _("The template belongs to model {made}, which is not installed.")
            return "" if own else missing.format(made=made)
        known = self.logic.settings.model in [model.key for model in models]
        if known and self.logic.settings.model not in own:
            text = _("The template belongs to model {made}: choose that model in section 3.")
            return text.format(made=made)
        return ""

    def update(self) -> None:
        """Fill the list of templates and describe the chosen one."""
        if self.parameters is None:
            return
        templates = self.logic.library.templates()
        if not self.parameters.template and templates:
            self.parameters.template = templates[0].key
        self._fill(templates)

        info = self.chosen()
        self.ui.templateInfoLabel.text = (
            _description(info) if info else _("The template of this scene is gone.")
        )

    def _fill(self, templates: list[TemplateInfo]) -> None:
        state = ([(t.key, t.bodyRegion) for t in templates], self.parameters.template)
        if state == self._shown:
            return
        self._shown = state

        selector = self.ui.templateSelector
        with signalsBlocked(selector):
            selector.clear()
            for info in templates:
                origin = _("bundled") if info.bundled else _("yours")
                text = _("{region}: {title} ({origin})")
                selector.addItem(
                    text.format(region=info.bodyRegion, title=info.title, origin=origin), info.key
                )
            selector.currentIndex = selector.findData(self.parameters.template)

    def fillTargets(self, table: Any) -> None:
        """Show the targets of the chosen template in the table."""
        info = self.chosen()
        unused = set(self.parameters.unusedTemplateTargets)
        targets = info.targets if info else ()
        kinds = {"landmark": _("landmark"), "box": _("organ")}
        with signalsBlocked(table):
            table.setRowCount(len(targets))
            for row, target in enumerate(targets):
                tip = _("{name}: untick to leave it out.").format(name=target.name)
                table.setItem(
                    row, 0, tableItem(target.name, tip, checked=target.name not in unused)
                )
                table.setItem(row, 1, tableItem(kinds.get(target.kind, target.kind)))
                count = _("{count} references").format(count=len(target.references))
                table.setItem(row, 2, tableItem(count))
        fitTargets(table)

    def onItem(self, item: Any, table: Any) -> None:
        """A target of the template was ticked or unticked."""
        rows = [table.item(row, 0) for row in range(table.rowCount)]
        self.parameters.unusedTemplateTargets = [
            i.text() for i in rows if i.checkState() != qt.Qt.Checked
        ]

    def updateButtons(self, whyNotMarked: str, byTemplate: bool) -> None:
        """Enable the buttons, or say why not.

        whyNotMarked: why the marked targets make no template, empty if they do.
        """
        self._updateLibraryButtons()
        running = _("Wait until the run has ended, or cancel it.") if self.logic.running else ""
        busy = running or torchsetup.busyReason()
        self.ui.saveTemplateButton.visible = self.ui.addToTemplateButton.visible = not byTemplate
        tip = _("Keep the ticked targets in your library: later they are found without this CT.")
        self.setEnabled(self.ui.saveTemplateButton, busy or whyNotMarked, tip)

        own = [info for info in self.logic.library.templates() if not info.bundled]
        noneYet = "" if own else _("Your library has no template yet: save one first.")
        tip = _(
            "Add this reference to a template of your library: several references find better than"
            " one."
        )
        self.setEnabled(self.ui.addToTemplateButton, busy or whyNotMarked or noneYet, tip)

    def _updateLibraryButtons(self) -> None:
        """Rename, delete and export: a bundled template can only be exported."""
        ui, info = self.ui, self.chosen()
        none = "" if info else _("Choose a template first.")
        isBundled = info is not None and info.bundled
        bundled = _("It came with the extension and cannot be changed.") if isBundled else ""
        fixed = none or bundled

        self.setEnabled(ui.renameTemplateButton, fixed, _("Rename the chosen template."))
        tip = _("Delete the chosen template from your library.")
        self.setEnabled(ui.deleteTemplateButton, fixed, tip)
        tip = _("Write the chosen template to a file, to share it.")
        self.setEnabled(ui.exportTemplateButton, none, tip)

    def _onChosen(self, index: int) -> None:
        self.parameters.template = self.ui.templateSelector.itemData(index, _KEY_ROLE) or ""
        self.parameters.unusedTemplateTargets = []
        self.changed()

    @oneAction
    def _onRename(self) -> None:
        info = self.required()
        title = dialogs.askText(_("Rename template"), _("New name:"), info.title)
        if title:
            with showingErrors(_("The template could not be renamed.")):
                self.parameters.template = self.logic.library.rename(info, title).key
        self.changed()

    @oneAction
    def _onDelete(self) -> None:
        info = self.required()
        question = _("Delete the template {name}? This cannot be undone.").format(name=info.title)
        if slicer.util.confirmYesNoDisplay(question, windowTitle=_("Delete template")):
            with showingErrors(_("The template could not be deleted.")):
                self.logic.library.delete(info)
                self.parameters.template = ""
        self.changed()

    @oneAction
    def _onImport(self) -> None:
        path = dialogs.askOpenFile(
            self.logic.settings, _("Import template"), _("Templates (*.json)")
        )
        if path:
            with showingErrors(_("The template could not be imported.")):
                self.parameters.template = self.logic.library.importFile(path).key
                self.parameters.unusedTemplateTargets = []
        self.changed()

    @oneAction
    def _onExport(self) -> None:
        info = self.required()
        name = f"{info.title}.json"
        path = dialogs.askSaveFile(
            self.logic.settings, _("Export template"), name, _("Templates (*.json)")
        )
        if path:
            with showingErrors(_("The template could not be exported.")):
                self.logic.library.exportFile(info, path)


def fitTargets(table: Any) -> None:
    """Let no long name push the other columns out of sight: it is cut, its tooltip tells all."""
    header = table.horizontalHeader()
    header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
    for column in (1, 2):
        header.setSectionResizeMode(column, qt.QHeaderView.Interactive)
        table.resizeColumnToContents(column)
        table.setColumnWidth(column, min(table.columnWidth(column), _WIDEST_COLUMN))


def _description(info: TemplateInfo) -> str:
    """The organs of a template, and how many references they were learned from."""
    references = {name for target in info.targets for name in target.references}
    names = ", ".join(target.name for target in info.targets)
    text = _("{names}. Learned from {count} references.")
    return text.format(names=names, count=len(references))
