"""Pause, continue and stop of a training that runs as a job of the worker."""

from __future__ import annotations

from rprloc.worker.job import Job

from ..optimization.control import Control, RequestedAction

POLL_S = 0.5  # how soon a pause notices that the request was cancelled
ACTIONS: dict[str, RequestedAction] = {
    "pause": "pause",
    "continue": "go",
    "resume": "go",
    "stop": "stop",
}


class JobControl(Control):
    """Obeys the actions of a job; raises CancelledError where the training asks, if cancelled."""

    can_wait = True

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job
        self._state: RequestedAction = "go"

    def requested_action(self) -> RequestedAction:
        """The latest action that has arrived."""
        self._job.check()
        while (action := self._job.take_action()) is not None:
            self._obey(action)
        return self._state

    def wait(self) -> RequestedAction:
        """Wait for ``continue`` or ``stop``; both end a pause, also one that the training began."""
        while True:
            self._job.check()
            action = self._job.take_action(POLL_S)
            if action is None:
                continue
            self._obey(action)
            answer = ACTIONS.get(action, "pause")
            if answer != "pause":
                return answer

    def _obey(self, action: str) -> None:
        """Remember an action; a stop is final."""
        if action not in ACTIONS:
            self._job.log(f"a training has no action {action[:40]!r}", "warning")
        elif self._state != "stop":
            self._state = ACTIONS[action]

    @property
    def stopped(self) -> bool:
        """True once the client has asked to stop."""
        return self.requested_action() == "stop"
