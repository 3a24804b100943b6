"""The panel: four sections over one parameter node and one logic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..jobs.workerjob import JobObserver
from ..scene.markedtargets import MarkedTarget
from ..widgets import dialogs, torchsetup
from ..widgets.delayed import Delayed
from ..widgets.oneaction import oneAction
from ..widgets.section import showingErrors
from .panellogic import PanelLogic
from .queriessection import QueriesSection, candidateVolumes
from .referencesection import ReferenceSection
from .resultssection import ResultsSection
from .runsection import RunSection


class Panel(VTKObservationMixin):
    """Connects the sections: each says why it is incomplete, and is updated after every change."""

    def __init__(self, ui: Any, logic: PanelLogic) -> None:
        super().__init__()
        self.ui = ui
        self.logic = logic
        self.parameters: Any = None
        self._guiTag: Any = None
        self._updating = False
        self._soon = Delayed(self.update)
        self.reference = ReferenceSection(ui, logic, self.updateSoon)
        self.queries = QueriesSection(ui, logic, self.updateSoon)
        self.run = RunSection(ui, logic, self.updateSoon, self.whyNotReady, self.start)
        self.results = ResultsSection(ui, logic, self.updateSoon)
        self.sections = (self.reference, self.queries, self.run, self.results)
        ui.saveTemplateButton.connect("clicked(bool)", self._onSaveTemplate)
        ui.addToTemplateButton.connect("clicked(bool)", self._onAddToTemplate)

    def setParameters(self, parameters: Any) -> None:
        """Show another parameter node; None while the scene is closing."""
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.updateSoon)
        self.parameters = parameters
        for section in self.sections:
            section.setParameters(parameters)
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self.updateSoon)
            self.update()

    def updateSoon(self, caller: Any = None, event: Any = None) -> None:
        """Update once when the application is idle, however often this is called until then."""
        self._soon.start()

    def update(self) -> None:
        """Show the state of everything."""
        if self.parameters is None or self._updating or slicer.mrmlScene.IsBatchProcessing():
            return
        self._updating = True
        try:
            self._chooseDefaults()
            for section in self.sections:
                section.update()
        finally:
            self._updating = False

    def leave(self) -> None:
        """Another module is opened."""
        self.reference.placing.stop()

    def cleanup(self) -> None:
        """The module is being unloaded."""
        self._soon.end()
        self.setParameters(None)
        for section in self.sections:
            section.cleanup()
        self.removeObservers()

    def whyNotReady(self) -> str:
        """Why a run cannot start, for the user; empty if it can."""
        return self.reference.incompleteReason() or self.queries.incompleteReason()

    def start(self, listener: JobObserver) -> None:
        """Start a run with what is chosen. Raises RprLocError."""
        self.reference.placing.stop()
        self.queries.rescan()
        queries = [*self.queries.ticked(), *self.queries.paths()]
        common = {
            "queries": queries,
            "extremePoints": self.parameters.extremePoints,
            "contours": self.parameters.contours,
            "transforms": self.parameters.transforms,
            "waitForCompletion": False,
            "listener": listener,
            "onRows": self.results.onRows,
        }
        if self.reference.usesTemplate():
            template = self.reference.template
            content = self.logic.library.content(
                template.required(), self.parameters.unusedTemplateTargets
            )
            run = self.logic.localize(template=content, name=template.required().title, **common)
        else:
            targets = self.reference.usedTargets()
            run = self.logic.localize(self.parameters.referenceVolume, targets, **common)
        self.results.choose(run)
        self.update()

    def _chooseDefaults(self) -> None:
        """Take the first loaded CT as reference until the user chooses.

        Not once something was marked: its CT may have been another one, which is gone.
        """
        if self.parameters.referenceVolume is None and not self.reference.nodes():
            volumes = candidateVolumes(slicer.mrmlScene)
            if volumes:
                self.parameters.referenceVolume = volumes[0]

    @oneAction
    def _onSaveTemplate(self) -> None:
        title = dialogs.askText(_("Save as template"), _("Name of the template:"))
        if title:
            self._makeTemplate(
                lambda **options: self.logic.saveTemplate(*self._marked(), title, **options)
            )

    @oneAction
    def _onAddToTemplate(self) -> None:
        own = {info.title: info for info in self.logic.library.templates() if not info.bundled}
        title = dialogs.askItem(_("Add to template"), _("Add this reference to:"), list(own))
        if title in own:
            self._makeTemplate(
                lambda **how: self.logic.addToTemplate(own[title], *self._marked(), **how)
            )

    def _marked(self) -> tuple[Any, tuple[MarkedTarget, ...]]:
        return self.parameters.referenceVolume, self.reference.usedTargets()

    def _makeTemplate(self, make: Callable[..., Any]) -> None:
        if torchsetup.ensureTorch(self.updateSoon):
            with showingErrors(_("The template could not be made.")):
                listener, contours = self.run.listener(), self.parameters.contours
                make(waitForCompletion=False, listener=listener, contours=contours)
        self.updateSoon()
