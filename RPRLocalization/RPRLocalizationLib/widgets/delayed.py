"""A call that is made once, a little later, however often it is asked for until then."""

from __future__ import annotations

from collections.abc import Callable

import qt


class Delayed:
    """Calls ``call`` so many milliseconds after ``start``; 0: when the application is idle."""

    def __init__(self, call: Callable[[], None], milliseconds: int = 0) -> None:
        self._call = call
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.connect("timeout()", call)

    def start(self) -> None:
        """Ask for the call; asked for again before it is made, it is put off."""
        self._timer.start()

    def end(self) -> None:
        """Forget it for good: while connected, a timer keeps whoever is called alive."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._call)
