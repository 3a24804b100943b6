"""Section 3: model, device, start, progress, cancel and log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from rprloc.model.card import AUTO_MODEL

from ..jobs.workerjob import JobObserver, Problem
from ..library.modelcatalog import ModelInfo, listModels
from ..widgets import dialogs, torchsetup
from ..widgets.helpers import (
    breakable,
    defaultDevices,
    detectedDevices,
    duration,
    fillDevices,
    signalsBlocked,
)
from ..widgets.oneaction import oneAction
from ..widgets.section import Section, showingErrors
from .panellogic import PanelLogic, StartRun

_STEPS = 1000


class RunSection(Section[PanelLogic]):
    """Starts runs (and the making of templates) and shows how they go on.

    whyNotReady: returns why a run cannot start, empty if it can. onStart(observer): starts one.
    """

    def __init__(
        self,
        ui: Any,
        logic: PanelLogic,
        changed: Callable[[], None],
        whyNotReady: Callable[[], str],
        onStart: StartRun,
    ) -> None:
        super().__init__(ui, logic, changed)
        self._whyNotReady = whyNotReady
        self._onStart = onStart
        self._devices = defaultDevices()
        self._models: list[ModelInfo] = []
        self._finding = False
        ui.runButton.connect("clicked(bool)", self._onRun)
        ui.cancelButton.connect("clicked(bool)", self._onCancel)
        ui.modelSelector.connect("activated(int)", self._onModel)
        ui.modelFolderButton.connect("clicked(bool)", self._onModelFolder)
        ui.deviceSelector.connect("activated(int)", self._onDevice)
        ui.devicesButton.connect("clicked(bool)", self._onFindDevices)
        # Here and not in the .ui file: there it would be set before the box has its content.
        ui.logBox.collapsed = True
        ui.logBox.visible = False
        self._fillModels()
        self._fillDevices()
        self._showIdle()

    def listener(self) -> JobObserver:
        """What shows a job in this section."""
        return JobObserver(self._onProgress, self.log, self._onFinished, self._forget)

    def setParameters(self, parameters: Any) -> None:
        """Use another parameter node, or None while the scene is closing: its run is history."""
        super().setParameters(parameters)
        if parameters is None:
            self._showNothing()

    def refresh(self) -> None:
        """List models and devices anew when the module is opened.

        The training module may have installed models, and have chosen the model and the device.
        """
        self._fillModels()
        self._fillDevices()

    def update(self) -> None:
        """Enable the buttons, or say why not."""
        if self.parameters is None:
            return
        running = self.logic.running
        problem = "" if running else self._whyNotReady()
        busy = _("A run is going on: wait, or cancel it.") if running else torchsetup.busyReason()
        self.setEnabled(
            self.ui.runButton, busy or problem, _("Search the ticked CTs for the ticked targets.")
        )
        self.setEnabled(
            self.ui.cancelButton,
            "" if running else _("Nothing is running."),
            _("Stop now; what is done is kept."),
        )
        self.ui.whyLabel.text = breakable(problem)
        self.ui.whyLabel.visible = bool(problem)
        for chooser in (self.ui.modelSelector, self.ui.modelFolderButton, self.ui.deviceSelector):
            chooser.enabled = not running
        looking = _("Looking for devices...") if self._finding else ""
        self.setEnabled(
            self.ui.devicesButton,
            busy or looking,
            _("Look for graphics cards (starts the worker process)."),
        )

    def log(self, level: str, text: str) -> None:
        """Add a line to the log; warnings open it."""
        sign = "⚠ " if level == "warning" else ""
        for line in text.splitlines():
            self.ui.logEdit.appendPlainText(f"{time.strftime('%H:%M:%S')}  {sign}{line}")
            self.ui.logBox.visible = True
        if level == "warning":
            self.ui.logBox.collapsed = False

    @oneAction
    def _onRun(self) -> None:
        if torchsetup.ensureTorch(self.changed):
            with showingErrors(_("The localization could not be started.")):
                self._onStart(self.listener())
        self.changed()

    def _onCancel(self) -> None:
        self.logic.cancel()
        self.changed()

    def _onProgress(self, fraction: float, text: str, secondsLeft: float | None) -> None:
        self.ui.progressBar.visible = True
        self.ui.progressBar.value = round(_STEPS * fraction)
        left = duration(secondsLeft)
        self.ui.progressLabel.text = breakable(
            _("{text} - about {time} left").format(text=text, time=left) if left else text
        )

    def _onFinished(self, problem: Problem | None) -> None:
        self._showIdle()
        if problem is None:
            self.ui.progressLabel.text = _("Done.")
            self.log("info", _("Done."))
        else:
            self.ui.progressLabel.text = breakable(problem.message)
            self.log("info" if problem.cancelled else "warning", problem.message)
            if problem.details:
                self.log("warning", problem.details)
        self.changed()
        if problem is not None and problem.code == "no-torch":
            torchsetup.ensureTorch()

    def _forget(self) -> None:
        """A job was given up together with what it was for."""
        self._showNothing()
        self.changed()

    def _showNothing(self) -> None:
        self._showIdle()
        self.ui.progressLabel.text = ""

    def _showIdle(self) -> None:
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = False

    def _fillModels(self) -> None:
        self._models = listModels(self.logic.settings.modelFolder)
        selector = self.ui.modelSelector
        with signalsBlocked(selector):
            selector.clear()
            selector.addItem(_("Automatic: any body region"), AUTO_MODEL)
            for model in self._models:
                selector.addItem(model.title, model.key)
            index = selector.findData(self.logic.settings.model)
            selector.currentIndex = max(index, 0)
        if index < 0:
            # The remembered model is gone: every run would fail.
            self.logic.settings.model = AUTO_MODEL

    def _fillDevices(self) -> None:
        fillDevices(self.ui.deviceSelector, self._devices, self.logic.settings.device)

    def _onModel(self, index: int) -> None:
        self.logic.settings.model = self.ui.modelSelector.itemData(index)
        self.changed()

    @oneAction
    def _onModelFolder(self) -> None:
        folder = dialogs.askFolder(self.logic.settings, _("Folder with models"))
        if folder:
            self.logic.settings.modelFolder = folder
            before = len(self._models)
            self._fillModels()
            if len(self._models) <= before:
                self.log(
                    "warning", _("No further model was found in {folder}.").format(folder=folder)
                )
        self.changed()

    def _onDevice(self, index: int) -> None:
        self.logic.settings.device = self.ui.deviceSelector.itemData(index)
        self.changed()

    @oneAction
    def _onFindDevices(self) -> None:
        if torchsetup.ensureTorch(self.changed):
            self._finding = True
            self.logic.findDevices(self._onDevices, self._onDevicesFailed)
        self.changed()

    def _onDevices(self, devices: list[dict[str, Any]]) -> None:
        self._finding = False
        self._devices = detectedDevices(devices)
        self._fillDevices()
        self.log(
            "info",
            _("Devices: {names}").format(
                names=", ".join(title for _name, title in self._devices[1:])
            ),
        )
        self.changed()

    def _onDevicesFailed(self, message: str) -> None:
        self._finding = False
        self.log("warning", message)
        self.changed()
