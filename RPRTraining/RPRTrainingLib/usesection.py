"""Section 5: put the model where RPRLocalization finds it, and hand it to others as one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from RPRLocalizationLib.jobs.workerjob import Problem
from RPRLocalizationLib.library.modelcatalog import listModels
from RPRLocalizationLib.widgets import dialogs
from RPRLocalizationLib.widgets.helpers import breakable
from RPRLocalizationLib.widgets.oneaction import oneAction
from RPRLocalizationLib.widgets.section import Section, showingErrors
from slicer.i18n import tr as _

from rprloc.errors import InputError

from .plansection import folderName
from .traininglogic import RPRTrainingLogic

EXISTS = "exists"
ZIP_FILTER = "RPRLoc model (*.zip)"


class UseSection(Section[RPRTrainingLogic]):
    """Install, export and import.

    model: returns the chosen model of section 4. listAgain(folder): lists the models anew and
        chooses one.
    """

    def __init__(
        self,
        ui: Any,
        logic: RPRTrainingLogic,
        changed: Callable[[], None],
        model: Callable[[], dict[str, Any] | None],
        listAgain: Callable[[str], None],
    ) -> None:
        super().__init__(ui, logic, changed)
        self._model, self._listAgain = model, listAgain
        self._outcome = ""
        ui.installButton.connect("clicked(bool)", self._onInstall)
        ui.exportModelButton.connect("clicked(bool)", self._onExport)
        ui.importModelButton.connect("clicked(bool)", self._onImport)
        ui.openLocalizationButton.connect("clicked(bool)", self._onOpenLocalization)

    def update(self) -> None:
        """Enable the buttons, or say why not."""
        model, busy = self._model(), self.logic.busyReason()
        nothing = busy or (
            "" if model else _("There is no model yet: train one in section 3, or import one.")
        )
        self.ui.useModelLabel.text = model["title"] if model else _("none yet")
        here = _("This model is installed already.") if model and model["installed"] else ""
        folder = str(self.logic.settings.installFolder)
        self.setEnabled(
            self.ui.installButton,
            nothing or here,
            _("Copy the model to {folder}, where One-Shot Localization finds it.").format(
                folder=folder
            ),
        )
        self.setEnabled(
            self.ui.exportModelButton,
            nothing,
            _("Write the model as one .zip file with checksums, to be shared."),
        )
        self.setEnabled(
            self.ui.importModelButton,
            busy,
            _("Install a model from a .zip file; a damaged file is refused."),
        )
        usable = model is not None and not nothing and model["installed"]
        self.setEnabled(
            self.ui.openLocalizationButton,
            "" if usable else _("Install the model first."),
            _("Open One-Shot Localization with this model chosen."),
        )
        self.ui.useLabel.text = breakable(self._outcome)

    @oneAction
    def _onInstall(self) -> None:
        model = self._model()
        if model is not None:
            self._install("model.install", {"folder": model["folder"]})

    @oneAction
    def _onImport(self) -> None:
        path = dialogs.askOpenFile(self.logic.settings, _("Model to import"), ZIP_FILTER)
        if path:
            self._install("model.import", {"path": path})

    def _install(self, method: str, params: dict[str, Any], replace: bool = False) -> None:
        into = str(self.logic.settings.installFolder)

        def onDone(result: Any, problem: Problem | None) -> None:
            if problem is None:
                self._onInstalled(str(result["folder"]) if method == "model.import" else "")
            elif problem.code == EXISTS and not replace:
                question = _("{message}\n\nReplace it?").format(message=problem.message)
                if slicer.util.confirmYesNoDisplay(question):
                    self._install(method, params, replace=True)
            else:
                self._outcome = f"⚠ {problem.message}"
            self.changed()

        self._outcome = _("Copying the model...")
        with showingErrors(_("The model could not be installed.")):
            self.logic.files(method, {**params, "into": into, "replace": replace}, onDone)
        self.changed()

    def _onInstalled(self, chosen: str) -> None:
        self.logic.settings.modelFolder = str(self.logic.settings.installFolder)
        self._outcome = _("Installed. One-Shot Localization lists it now under Model.")
        self._listAgain(chosen)

    @oneAction
    def _onExport(self) -> None:
        model = self._model()
        if model is None:
            return
        name = f"{folderName(Path(model['folder']).name)}.zip"
        path = dialogs.askSaveFile(self.logic.settings, _("Export model"), name, ZIP_FILTER)
        if not path:
            return

        def onDone(result: Any, problem: Problem | None) -> None:
            if problem is None:
                size = float(result.get("bytes") or 0) / 1e6
                text = _("Written: {path} ({size} MB).")
                self._outcome = text.format(path=result.get("path", path), size=f"{size:.1f}")
            else:
                self._outcome = f"⚠ {problem.message}"
            self.changed()

        self._outcome = _("Writing the file...")
        with showingErrors(_("The model could not be exported.")):
            self.logic.files("model.export", {"folder": model["folder"], "path": path}, onDone)
        self.changed()

    @oneAction
    def _onOpenLocalization(self) -> None:
        model = self._model()
        if model is None:
            return
        folder = Path(model["installed"])
        keys = [
            info.key
            for info in listModels(self.logic.settings.modelFolder)
            if info.folder == folder
        ]
        if keys:
            self.logic.settings.model = keys[0]
        with showingErrors(_("One-Shot Localization could not be opened.")):
            try:
                slicer.util.selectModule("RPRLocalization")
            except RuntimeError as error:
                # There is no module selector without a main window.
                raise InputError(str(error)) from error
