"""Section 3: start, pause, stop and resume; progress, figures, curves and log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from RPRLocalizationLib.jobs.workerjob import Problem
from RPRLocalizationLib.widgets import torchsetup
from RPRLocalizationLib.widgets.helpers import breakable, duration
from RPRLocalizationLib.widgets.oneaction import oneAction
from RPRLocalizationLib.widgets.section import Section, showingErrors
from RPRLocalizationLib.worker.client import WORKER_DIED
from slicer.i18n import tr as _

from .curves import CurveView
from .plansection import folderName
from .texts import millimetres
from .traininglogic import RPRTrainingLogic
from .trainingrun import RunListener, RunState, TrainingRun

_STEPS = 1000
RUN_NAME = "run.json"


class TrainSection(Section[RPRTrainingLogic]):
    """Trains what sections 1 and 2 say.

    whyNotReady: returns why a training cannot start, empty if it can. request: returns the
        parameters of ``train.start`` but for the folder. onEnded: called when a training has ended.
    """

    def __init__(
        self,
        ui: Any,
        logic: RPRTrainingLogic,
        changed: Callable[[], None],
        whyNotReady: Callable[[], str],
        request: Callable[[], dict[str, Any]],
        onEnded: Callable[[Any], None],
    ) -> None:
        super().__init__(ui, logic, changed)
        self._whyNotReady, self._request, self._onEnded = whyNotReady, request, onEnded
        self.unfinished: list[dict[str, Any]] = []
        self._outcome = ""
        self.curveView = CurveView(logic.curves, changed)
        # It comes with its first line.
        ui.trainLogBox.visible = False
        ui.trainButton.connect("clicked(bool)", self._onStart)
        ui.pauseButton.connect("clicked(bool)", self._onPause)
        ui.stopButton.connect("clicked(bool)", self._onStop)
        ui.resumeRunButton.connect("clicked(bool)", self._onResumeRun)
        ui.curveButton.connect("clicked(bool)", self._onCurve)

    def cleanup(self) -> None:
        """The module is being unloaded."""
        self.curveView.cleanup()
        super().cleanup()

    def showRuns(self, runs: list[dict[str, Any]]) -> None:
        """The trainings that were found; those that were interrupted can be resumed here."""
        self.unfinished = [run for run in runs if run.get("state") == "interrupted"]
        selector = self.ui.unfinishedSelector
        selector.clear()
        for run in self.unfinished:
            selector.addItem(runText(run))

    def update(self) -> None:
        """Enable the buttons, or say why not; show how far the training is."""
        ui = self.ui
        busy = self.logic.busyReason() or torchsetup.busyReason()
        reason = busy or self._whyNotReady()
        tip = _("Start the training of section 2 with the CTs of section 1.")
        self.setEnabled(ui.trainButton, reason, tip)
        ui.trainWhyLabel.text = "" if self.logic.task else reason
        ui.trainWhyLabel.visible = bool(ui.trainWhyLabel.text)
        self._updatePauseAndStop()

        ui.unfinishedBox.visible = bool(self.unfinished) and not self.logic.training
        tip = _("Go on from the last saved state of this training.")
        self.setEnabled(ui.resumeRunButton, busy, tip)

        noCurve = _("There is no curve yet: it begins with the first training steps.")
        reason = self.curveView.unavailableReason
        reason = reason or ("" if self.logic.curves.points else noCurve)
        tip = _("Show the error during the training in plots; again: back to the former layout.")
        self.setEnabled(ui.curveButton, reason, tip)
        ui.curveButton.text = _("Back to my layout") if self.curveView.shown else _("Show curves")

        self._showProgress()

    def _showProgress(self) -> None:
        """Show bar, status and figures; after the end the status says what came of it."""
        ui, run = self.ui, self.logic.run
        ui.trainProgressBar.visible = self.logic.training
        if run is not None and run.active:
            ui.trainProgressBar.value = round(_STEPS * run.fraction)
            ui.trainStatusLabel.text = statusText(run)
        else:
            ui.trainStatusLabel.text = breakable(self._outcome)

        ui.trainFiguresLabel.text = figuresText(run) if run is not None else ""
        for label in (ui.trainStatusLabel, ui.trainFiguresLabel):
            label.visible = bool(label.text)

    def log(self, level: str, text: str) -> None:
        """Add a line to the log; warnings open it."""
        sign = "⚠ " if level == "warning" else ""
        for line in text.splitlines():
            self.ui.trainLogEdit.appendPlainText(f"{time.strftime('%H:%M:%S')}  {sign}{line}")
            self.ui.trainLogBox.visible = True
        if level == "warning":
            self.ui.trainLogBox.collapsed = False

    def _updatePauseAndStop(self) -> None:
        training = self.logic.training
        state = self.logic.run.state if self.logic.run is not None else RunState.ENDED
        nothing = "" if training else _("No training is running.")
        waiting = {
            RunState.PAUSING: _("The training pauses after its current step."),
            RunState.STOPPING: _(
                "The training stops after its current step and keeps the best network."
            ),
        }
        wait = waiting.get(state, "") if state is not None else ""
        paused = state == RunState.PAUSED
        self.ui.pauseButton.text = _("Continue") if paused else _("Pause")
        hint = (
            _("Go on with the training.")
            if paused
            else _("Let other programs have the computer for a while.")
        )
        self.setEnabled(self.ui.pauseButton, nothing or wait, hint)
        stopping = wait if state == RunState.STOPPING else ""
        self.setEnabled(
            self.ui.stopButton,
            nothing or stopping,
            _("End the training now; the best network so far becomes a model."),
        )

    @oneAction
    def _onStart(self) -> None:
        if torchsetup.ensureTorch(self.changed):
            request = self._request()
            folder = newFolder(self.logic.settings.runsFolder, folderName(request["name"]))
            self._start(request["name"], {**request, "out": str(folder)})
        self.changed()

    @oneAction
    def _onResumeRun(self) -> None:
        run = self.unfinished[self.ui.unfinishedSelector.currentIndex]
        if torchsetup.ensureTorch(self.changed):
            device = self.logic.settings.device
            self._start(str(run.get("name", "")), {"resume": run["folder"], "device": device})
        self.changed()

    def _start(self, name: str, params: dict[str, Any]) -> None:
        self._outcome = ""
        with showingErrors(_("The training could not be started.")):
            self.logic.train(name, params, RunListener(self.changed, self.log, self._onFinished))
            where = params.get("out") or params.get("resume")
            self.log(
                "info", _("Training of {name}, kept in {folder}").format(name=name, folder=where)
            )

    def _onPause(self) -> None:
        if self.logic.run is not None and self.logic.run.state == RunState.PAUSED:
            self.logic.resume()
        else:
            self.logic.pause()
        self.changed()

    def _onStop(self) -> None:
        self.logic.stop()
        self.changed()

    def _onFinished(self, result: Any, problem: Problem | None) -> None:
        if problem is None:
            done = result.get("state") != "stopped"
            self._outcome = (
                _("Done. Judge the model in section 4, then install it in section 5.")
                if done
                else _("Stopped; the best network so far was kept. Judge it in section 4.")
            )
            self.log("info", self._outcome)
        else:
            message = problem.message
            if problem.code == WORKER_DIED:
                message = _(
                    "The training process ended unexpectedly. Resume goes on from its last saved"
                    " state."
                )
            self._outcome = f"⚠ {message}"
            self.log("info" if problem.cancelled else "warning", message)
            if problem.details:
                self.log("warning", problem.details)
        self._onEnded(result)
        self.changed()
        if problem is not None and problem.code == "no-torch":
            torchsetup.ensureTorch()

    def _onCurve(self) -> None:
        self.curveView.toggle()
        self.changed()


def newFolder(parent: Path, name: str) -> Path:
    """A folder for a new training: no training is ever written over another one."""
    folder, count = parent / name, 1
    while folder.exists():
        count += 1
        folder = parent / f"{name}-{count}"
    return folder


def runText(run: dict[str, Any]) -> str:
    """An unfinished training in one line."""
    stages = {"coarse": _("coarse network"), "fine": _("fine network")}
    text = _("{name}: {stage}, {percent} % done, saved {date}")
    return text.format(
        name=run.get("name") or Path(str(run.get("folder", ""))).name,
        stage=stages.get(str(run.get("stage")), _("beginning")),
        percent=round(100 * float(run.get("fraction") or 0.0)),
        date=str(run.get("updated", "")).replace("T", " ")[:16],
    )


def statusText(run: TrainingRun) -> str:
    """What the training does, in one line."""
    if run.state == RunState.STARTING:
        return _("Starting the worker...")
    if run.state == RunState.PAUSED:
        return _("Paused. {reason}").format(reason=run.message).strip()
    if run.state == RunState.PAUSING:
        return _("Pausing after the current step...")
    if run.state == RunState.STOPPING:
        return _("Stopping; the best network is being written...")
    if not run.step:
        return run.message
    left = duration(run.secondsLeft)
    text = _("{stage}, step {step}").format(stage=run.stageTitle(), step=run.step)
    text = text[0].upper() + text[1:]
    return _("{text} - about {time} left").format(text=text, time=left) if left else text


def figuresText(run: TrainingRun) -> str:
    """The latest figures, in words."""
    lines = []
    if run.errorMm is not None:
        lines.append(_("Error on the training CTs: {error}").format(error=millimetres(run.errorMm)))
    if run.heldOutMm is not None:
        text = _("Error on held-out CTs: {error} (without a network: {guess})")
        lines.append(text.format(error=millimetres(run.heldOutMm), guess=millimetres(run.guessMm)))
    return "\n".join(lines)
