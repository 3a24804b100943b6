"""The panel: five sections over one logic."""

from __future__ import annotations

from typing import Any

from RPRLocalizationLib.jobs.workerjob import Problem
from RPRLocalizationLib.widgets.delayed import Delayed

from .ctssection import CTsSection
from .judgesection import JudgeSection
from .plansection import PlanSection
from .traininglogic import RPRTrainingLogic
from .trainsection import RUN_NAME, TrainSection
from .usesection import UseSection


class TrainingPanel:
    """Connects the sections: every change updates all of them, once the application is idle."""

    def __init__(self, ui: Any, logic: RPRTrainingLogic) -> None:
        self.ui, self.logic = ui, logic
        self._soon = Delayed(self.update)
        self.cts = CTsSection(ui, logic, self.updateSoon)
        self.plan = PlanSection(ui, logic, self.updateSoon, self.cts.chosen)
        self.train = TrainSection(
            ui, logic, self.updateSoon, self.whyNotReady, self.request, self._onEnded
        )
        self.judge = JudgeSection(ui, logic, self.updateSoon, self.cts.chosen)
        self.use = UseSection(ui, logic, self.updateSoon, lambda: self.judge.model, self.findRuns)
        self.sections = (self.cts, self.plan, self.train, self.judge, self.use)
        self._runs: list[dict[str, Any]] = []
        self.judge.showRuns([])
        self.update()

    def updateSoon(self) -> None:
        """Update once when the application is idle, however often this is called until then."""
        self._soon.start()

    def update(self) -> None:
        """Show the state of everything."""
        for section in self.sections:
            section.update()

    def whyNotReady(self) -> str:
        """Why a training cannot start, for the user; empty if it can."""
        return self.cts.incompleteReason() or self.plan.incompleteReason()

    def request(self) -> dict[str, Any]:
        """The parameters of ``train.start``, but for the folder."""
        return {
            "images": self.cts.folder,
            **self.plan.card(),
            **self.plan.params(self.cts.chosen()),
        }

    def findRuns(self, chosen: str = "") -> None:
        """List trainings and models anew; only a training to look at starts a worker."""
        folder = self.logic.settings.runsFolder
        if self.logic.training or not any(folder.glob(f"*/{RUN_NAME}")):
            self._showRuns(self._runs, chosen)
            return

        def onFound(result: Any, problem: Problem | None) -> None:
            if problem is not None:
                self.train.log("warning", problem.message)
            self._showRuns(list(result["runs"]) if result else self._runs, chosen)

        self.logic.findRuns([str(folder)], onFound)

    def cleanup(self) -> None:
        """The module is being unloaded."""
        self._soon.end()
        for section in self.sections:
            section.cleanup()

    def _showRuns(self, runs: list[dict[str, Any]], chosen: str) -> None:
        self._runs = runs
        self.train.showRuns(runs)
        self.judge.showRuns(runs, chosen)
        self.plan.fillModels()
        self.updateSoon()

    def _onEnded(self, result: Any) -> None:
        self.findRuns(str((result or {}).get("model") or ""))
