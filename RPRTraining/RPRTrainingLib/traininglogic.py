"""The module's logic: what the panel asks of the worker process, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from RPRLocalizationLib.jobs.workerjob import Problem
from RPRLocalizationLib.worker import process
from RPRLocalizationLib.worker.client import WorkerClient
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from rprloc.errors import InputError

from .curves import Curves
from .trainingrun import RunListener, RunState, TrainingRun
from .trainingsettings import TrainingSettings

PLUGIN = "rprtrain.worker.plugin"
TRAINING_FOLDER = Path(__file__).resolve().parent.parent
# A request's end: the result's fields and None, or None and what went wrong.
OnDone = Callable[[Any, Problem | None], None]

SCAN, TRAIN, CHECK, FILES = "scan", "train", "check", "files"


class RPRTrainingLogic(ScriptedLoadableModuleLogic):
    """Scan, plan, train, check, install: requests to the worker, callbacks from the event loop.

    client, settings: can be injected for tests. Every ``onDone(result, problem)`` is called once:
    with the result's fields and None, or with None and a ``Problem``.

    For scripts, the command line (``rprloc train``, ``rprloc check``) is the simpler way.
    """

    def __init__(
        self, client: WorkerClient | None = None, settings: TrainingSettings | None = None
    ) -> None:
        super().__init__()
        self.client = client or trainingClient()
        self.settings = settings or TrainingSettings()
        self.curves = Curves()
        self.run: TrainingRun | None = None
        self._task = ""
        self._request: Any = None

    @property
    def task(self) -> str:
        """What the worker is busy with: ``scan``, ``train``, ``check``, ``files``, or empty."""
        return self._task

    @property
    def training(self) -> bool:
        """True while a training runs or is paused."""
        return self.run is not None and self.run.active

    def busyReason(self) -> str:
        """Why nothing else can begin now, for the user; empty if it can."""
        return {
            SCAN: _("The folder is being scanned: wait, or cancel the scan."),
            TRAIN: _("A training is running: wait for its end, or stop it."),
            CHECK: _("The self-check is running: wait, or cancel it."),
            FILES: _("Model files are being written: wait a moment."),
        }.get(self._task, "")

    def scan(
        self,
        folder: str,
        onRow: Callable[[dict[str, Any]], None],
        onProgress: Callable[[dict[str, Any]], None],
        onDone: OnDone,
    ) -> None:
        """List the volumes under a folder: onRow(row) for each. Raises InputError if busy."""
        self._begin(
            SCAN,
            "train.scan",
            {"folder": folder},
            onDone,
            onProgress=onProgress,
            onPartial=lambda event: onRow(event["row"]),
        )

    def plan(self, params: dict[str, Any], onDone: OnDone) -> None:
        """Ask what a training would be: ranges, time, memory.

        With ``measure`` it takes seconds, because a few steps are timed.
        """
        self._ask("train.plan", params, onDone)

    def findRuns(self, folders: list[str], onDone: OnDone) -> None:
        """Ask for trainings in these folders, finished or not."""
        self._ask("train.find", {"folders": folders}, onDone)

    def findDevices(self, onDone: OnDone) -> None:
        """Ask for the devices of this computer."""
        self._ask("devices", {}, onDone)

    def train(self, name: str, params: dict[str, Any], listener: RunListener) -> TrainingRun:
        """Start or resume a training. Raises InputError if something else is going on."""
        self._refuseSecond()
        self.curves.begin(name)
        run = TrainingRun(name)

        def onPartial(event: dict[str, Any]) -> None:
            if event.get("progress"):
                run.take(event["progress"])
                self.curves.take(event["progress"])
                listener.onChanged()

        def onDone(result: Any, problem: Problem | None) -> None:
            run.state = RunState.ENDED
            listener.onFinished(result, problem)

        run.request = self._begin(
            TRAIN,
            "train.start",
            params,
            onDone,
            onPartial=onPartial,
            onLog=lambda event: listener.onLog(
                str(event.get("level", "info")), str(event["message"])
            ),
        )
        self.run = run
        return run

    def pause(self) -> None:
        """Pause the training after its current step."""
        self._act("pause", RunState.PAUSING)

    def resume(self) -> None:
        """Go on with a paused training (also after a full disk)."""
        self._act("resume", RunState.RUNNING)

    def stop(self) -> None:
        """End the training early; the best network so far is kept."""
        self._act("stop", RunState.STOPPING)

    def check(
        self, params: dict[str, Any], onProgress: Callable[[dict[str, Any]], None], onDone: OnDone
    ) -> None:
        """Judge a model without labels: onProgress(event). Raises InputError if busy."""
        self._begin(CHECK, "train.check", params, onDone, onProgress=onProgress)

    def files(self, method: str, params: dict[str, Any], onDone: OnDone) -> None:
        """``model.install``, ``model.export`` or ``model.import``. Raises InputError if busy."""
        self._begin(FILES, method, params, onDone)

    def cancel(self) -> None:
        """Cancel a scan or a check; a training is stopped by ``stop``."""
        if self._request is not None and self._task != TRAIN:
            self._request.cancel()

    def close(self) -> None:
        """End the worker process; a training can be resumed from its last checkpoint."""
        self.client.close()

    def _act(self, action: str, state: RunState) -> None:
        if self.run is not None and self.run.active:
            self.run.state = state
            self.client.act(self.run.request, action)

    def _refuseSecond(self) -> None:
        if self._task:
            raise InputError(self.busyReason())

    def _begin(
        self, task: str, method: str, params: dict[str, Any], onDone: OnDone, **callbacks: Any
    ) -> Any:
        self._refuseSecond()
        self._task = task

        def done(result: Any, problem: Problem | None) -> None:
            self._task, self._request = "", None
            onDone(result, problem)

        self._request = self._ask(method, params, done, **callbacks)
        return self._request

    def _ask(self, method: str, params: dict[str, Any], onDone: OnDone, **callbacks: Any) -> Any:
        return self.client.request(
            method,
            params,
            onResult=lambda event: onDone(event, None),
            onError=lambda event: onDone(None, Problem.of(event)),
            **callbacks,
        )


def trainingClient() -> WorkerClient:
    """A client whose worker knows the training methods.

    Both module folders are on its path: installed they are one folder, in the source tree two.
    """
    folders = dict.fromkeys((process.EXTENSION_FOLDER, TRAINING_FOLDER))
    return WorkerClient(
        arguments=process.workerArguments([PLUGIN]),
        environment=process.workerEnvironment(tuple(folders)),
    )
