"""What the user wants while a training runs: go on, pause, stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from rprloc.errors import OutputError

RequestedAction = Literal["go", "pause", "stop"]
Answer = TypeVar("Answer")


class Control:
    """Asked between steps.

    This one stops when ``stop`` says so, and nobody is there to end a pause. See
    ``rprtrain.worker.job_control`` for one that a client steers.
    """

    can_wait = False

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self._stop = stop

    def requested_action(self) -> RequestedAction:
        """What to do before the next step; answers at once."""
        return "stop" if self._stop() else "go"

    def wait(self) -> RequestedAction:
        """Wait for the end of a pause: ``go`` or ``stop``. Only where ``can_wait``."""
        return self.requested_action()

    @property
    def stopped(self) -> bool:
        """True once the user has asked to stop."""
        return self.requested_action() == "stop"


def retry_until_written(
    write: Callable[[], Answer], control: Control, pause: Callable[[str], None]
) -> Answer:
    """Call ``write`` until it succeeds, waiting for the user between two attempts.

    Args:
        write: raises OutputError where the disk is full or the folder gone.
        control: who can end the wait.
        pause: gets the reason before each wait.

    Raises:
        OutputError: the last one, if nobody can wait, or the user stops instead.
    """
    while True:
        try:
            return write()
        except OutputError as error:
            if not control.can_wait:
                raise
            pause(str(error))
            if control.wait() == "stop":
                raise
